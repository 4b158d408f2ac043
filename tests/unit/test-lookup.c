/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>

#include "scratch.h"

static int setup(void **state)
{
	static struct scratch scratch;

	scratch_init(&scratch);
	*state = &scratch;
	return 0;
}

static int teardown(void **state)
{
	scratch_finish(*state);
	return 0;
}

static void assert_found(const struct scratch *scratch, const char *name, const char *relative)
{
	char *path = NULL;

	assert_int_equal(lookup_find(&scratch->lookup, UNIT_SITE, name, &path), 0);
	assert_string_equal(path, scratch_path(scratch, relative));
	free(path);
}

static void test_find(void **state)
{
	struct scratch *scratch = *state;
	char *path = NULL;

	assert_int_equal(lookup_find(&scratch->lookup, UNIT_SITE, "a", &path), -ENOENT);
	scratch_write(scratch, "lib/sites/a.site", "x");
	assert_found(scratch, "a", "lib/sites/a.site");
	scratch_write(scratch, "run/sites/a.site", "x");
	assert_found(scratch, "a", "run/sites/a.site");
	scratch_write(scratch, "etc/sites/a.site", "x");
	assert_found(scratch, "a", "etc/sites/a.site");
	assert_int_equal(lookup_find(&scratch->lookup, UNIT_TEMPLATE, "a", &path), -ENOENT);
	scratch_write(scratch, "run/templates/a.template", "x");
	assert_int_equal(lookup_find(&scratch->lookup, UNIT_TEMPLATE, "a", &path), 0);
	assert_string_equal(path, scratch_path(scratch, "run/templates/a.template"));
	free(path);
}

static void test_masked(void **state)
{
	struct scratch *scratch = *state;
	char *path = NULL;

	scratch_write(scratch, "lib/sites/a.site", "x");
	scratch_write(scratch, "etc/sites/a.site", "");
	assert_int_equal(lookup_find(&scratch->lookup, UNIT_SITE, "a", &path), -ENOENT);
	unlink(scratch_path(scratch, "etc/sites/a.site"));
	assert_int_equal(symlink("/dev/null", scratch_path(scratch, "etc/sites/a.site")), 0);
	assert_int_equal(lookup_find(&scratch->lookup, UNIT_SITE, "a", &path), -ENOENT);
	assert_null(path);
}

/* No name leaves its folder. */
static void test_hostile_names(void **state)
{
	static const char *const names[] = {"",     ".",       "..", "../a", "a/b", "/etc/passwd",
					    "a\nb", "a\x1b[m", "-a", ".a"};
	struct scratch *scratch = *state;
	char *path = NULL, **list = NULL, name[256];

	scratch_write(scratch, "etc/a.site", "x");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		assert_int_equal(lookup_find(&scratch->lookup, UNIT_SITE, names[i], &path), -EINVAL);
		assert_int_equal(lookup_drop_ins(&scratch->lookup, UNIT_SITE, names[i], &list), -EINVAL);
	}
	memset(name, 'a', sizeof name);
	name[201] = '\0';
	assert_int_equal(lookup_find(&scratch->lookup, UNIT_SITE, name, &path), -EINVAL);
	name[200] = '\0';
	assert_int_equal(lookup_find(&scratch->lookup, UNIT_SITE, name, &path), -ENOENT);
	assert_null(path);
	assert_null(list);
}

static void test_drop_ins(void **state)
{
	static const char *const expected[] = {
		"etc/sites/a.site.d/10-a.conf",
		"lib/sites/a.site.d/20-b.conf",
		"run/sites/a.site.d/30-c.conf",
		"etc/sites/a.site.d/50-e.conf",
	};
	struct scratch *scratch = *state;
	char **list = NULL;

	assert_int_equal(lookup_drop_ins(&scratch->lookup, UNIT_SITE, "a", &list), 0);
	assert_null(list[0]);
	lookup_free_list(list);
	for (size_t i = 0; i < 4; i++)
		scratch_write(scratch, expected[i], "x");
	scratch_write(scratch, "lib/sites/a.site.d/10-a.conf", "hidden by etc's");
	scratch_write(scratch, "run/sites/a.site.d/10-a.conf", "hidden by etc's");
	scratch_write(scratch, "lib/sites/a.site.d/40-d.conf", "masked");
	assert_int_equal(symlink("/dev/null", scratch_path(scratch, "etc/sites/a.site.d/40-d.conf")), 0);
	scratch_write(scratch, "etc/sites/a.site.d/README", "x");
	scratch_write(scratch, "etc/sites/a.site.d/.hidden.conf", "x");
	scratch_write(scratch, "etc/sites/a.site.d/x.conf~", "x");
	scratch_write(scratch, "etc/sites/b.site.d/1.conf", "another site's");
	assert_int_equal(lookup_drop_ins(&scratch->lookup, UNIT_SITE, "a", &list), 0);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(list[i], scratch_path(scratch, expected[i]));
	assert_null(list[4]);
	lookup_free_list(list);
}

static void test_too_many_drop_ins(void **state)
{
	struct scratch *scratch = *state;
	char **list = NULL;

	for (int i = 0; i <= LOOKUP_DROP_INS_MAX; i++) {
		char relative[64];

		snprintf(relative, sizeof relative, "etc/sites/a.site.d/%d.conf", i);
		scratch_write(scratch, relative, "x");
	}
	assert_int_equal(lookup_drop_ins(&scratch->lookup, UNIT_SITE, "a", &list), -E2BIG);
	assert_null(list);
}

static void test_list(void **state)
{
	static const char *const expected[] = {"a", "b", "c", "not a name"};
	struct scratch *scratch = *state;
	char **list = NULL;
	size_t count = 7;

	assert_int_equal(lookup_list(&scratch->lookup, UNIT_SITE, &list, &count), 0);
	assert_int_equal(count, 0);
	assert_null(list[0]);
	lookup_free_list(list);
	scratch_write(scratch, "lib/sites/c.site", "x");
	scratch_write(scratch, "lib/sites/a.site", "x");
	scratch_write(scratch, "run/sites/b.site", "x");
	scratch_write(scratch, "etc/sites/a.site", "x");
	scratch_write(scratch, "etc/sites/not a name.site", "x");
	scratch_write(scratch, "etc/sites/.b.site", "half-written");
	scratch_write(scratch, "etc/sites/.site", "x");
	scratch_write(scratch, "etc/sites/d.template", "x");
	scratch_write(scratch, "etc/sites/a.site.d/x.conf", "x");
	assert_int_equal(lookup_list(&scratch->lookup, UNIT_SITE, &list, &count), 0);
	assert_int_equal(count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(list[i], expected[i]);
	assert_null(list[4]);
	lookup_free_list(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_find, setup, teardown),
		cmocka_unit_test_setup_teardown(test_masked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drop_ins, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_drop_ins, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
