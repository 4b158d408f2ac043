/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "scratch.h"
#include "slice.h"
#include "str.h"

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

static void test_names(void **state)
{
	static const char *const good[] = {"a", "a-b", "a-b-c", "example.com", "a_b:c@1"};
	static const char *const bad[] = {"", "-", "-a", "a-", "a--b", ".a", "a/b", "a b", "a\n"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(slice_valid_name(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(slice_valid_name(bad[i]));
}

static void test_places(void **state)
{
	char name[NAME_BYTES_MAX + 1] = "a-b-c";
	struct arena arena;

	(void)state;
	assert_true(slice_parent(name, name, sizeof name));
	assert_string_equal(name, "a-b");
	assert_true(slice_parent(name, name, sizeof name));
	assert_string_equal(name, "a");
	assert_false(slice_parent(name, name, sizeof name));
	assert_true(slice_contains("a", "a"));
	assert_true(slice_contains("a", "a-b-c"));
	assert_true(slice_contains("a-b", "a-b-c"));
	assert_false(slice_contains("a", "ab"));
	assert_false(slice_contains("a-b", "a"));
	assert_false(slice_contains("a-b", "a-bc"));
	arena_init(&arena);
	assert_string_equal(slice_path(&arena, "a"), "a.slice");
	assert_string_equal(slice_path(&arena, "a-b-c"), "a.slice/a-b.slice/a-b-c.slice");
	arena_finish(&arena);
}

static struct slice_spec *load(const struct scratch *scratch, const char *name)
{
	struct slice_spec *spec = NULL;
	struct diag diag;
	char text[1200];

	if (slice_load(&scratch->lookup, name, &spec, &diag) < 0)
		fail_msg("%s", diag_format(&diag, text, sizeof text));
	return spec;
}

static void test_load(void **state)
{
	struct scratch *scratch = *state;
	struct slice_spec *spec, *other;
	struct diag diag;

	assert_int_equal(slice_load(&scratch->lookup, "a", &spec, &diag), -ENOENT);
	scratch_write(scratch, "lib/slices/a.slice", "# nothing\n");
	spec = load(scratch, "a");
	assert_string_equal(spec->description, "a");
	/* A slice has no limit of its own accord. */
	assert_true(spec->resources->tasks_max == SPEC_UNSET && spec->resources->memory_max == SPEC_UNSET);
	assert_int_equal(spec->resources->cpu_quota_period_us, 100000);
	scratch_write(scratch, "etc/slices/a.slice",
		      "[Slice]\nDescription=A customer\n[Resources]\nMemoryMax=1G\nCPUWeight=80\nTasksMax=50%\n"
		      "IOReadBandwidthMax=\"/a b\" 1M\nAllowedCPUs=0 1\n[X-Other]\nAnything=1\n");
	scratch_write(scratch, "run/slices/a.slice.d/50-set.conf", "[Resources]\nMemoryMax=2G\nCPUWeight=\n");
	other = load(scratch, "a");
	assert_string_equal(other->description, "A customer");
	assert_int_equal(other->resources->memory_max, UINT64_C(2) << 30);
	assert_true(other->resources->cpu_weight == SPEC_UNSET);
	assert_true(other->resources->tasks_max == (SPEC_SHARE | 5000));
	assert_string_equal(other->resources->allowed_cpus, "0-1");
	assert_int_equal(other->resources->n_io_limits, 1);
	assert_string_equal(other->resources->io_limits[0].path, "/a b");
	assert_false(slice_same(spec, other));
	slice_free(spec);
	spec = load(scratch, "a");
	assert_true(slice_same(spec, other));
	slice_free(spec);
	slice_free(other);
	slice_free(NULL);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *message;
		unsigned line;
	} cases[] = {
		{"[Slice]\nMemoryMax=1G\n", "MemoryMax= stands in [Slice]; expected it in [Resources]", 2},
		{"[Resources]\nMemroyMax=1G\n", "did you mean MemoryMax=?", 2},
		{"[Resources]\n\nMemoryMax=1Q\n", "MemoryMax=1Q: expected a size", 3},
		{"[Container]\nUser=root\n", "expected [Slice], [Resources]", 2},
		{"[Resource]\nMemoryMax=1G\n", "unknown section [Resource]; did you mean [Resources]?", 2},
		{"[Slice]\nDescription\n", "", 2},
	};
	struct scratch *scratch = *state;
	struct slice_spec *spec = NULL;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct diag diag = {0};

		scratch_write(scratch, "etc/slices/a.slice", cases[i].text);
		assert_int_equal(slice_load(&scratch->lookup, "a", &spec, &diag), -EINVAL);
		assert_null(spec);
		assert_string_equal(diag.file, scratch_path(scratch, "etc/slices/a.slice"));
		assert_int_equal(diag.line, cases[i].line);
		if (!strstr(diag.message, cases[i].message))
			fail_msg("'%s' does not say '%s'", diag.message, cases[i].message);
		assert_int_equal(slice_check_file(scratch_path(scratch, "etc/slices/a.slice"), &diag), -EINVAL);
	}
	/* A drop-in is refused by its own name. */
	scratch_write(scratch, "etc/slices/a.slice", "");
	scratch_write(scratch, "lib/slices/b.slice", "[Slice]\n");
	scratch_write(scratch, "etc/slices/b.slice.d/x.conf", "[Resources]\nTasksMax=-1\n");
	struct diag diag = {0};

	assert_int_equal(slice_load(&scratch->lookup, "b", &spec, &diag), -EINVAL);
	assert_string_equal(diag.file, scratch_path(scratch, "etc/slices/b.slice.d/x.conf"));
	assert_int_equal(slice_load(&scratch->lookup, "a--b", &spec, &diag), -EINVAL);
	assert_non_null(strstr(diag.message, "no name of a slice"));
	/* An empty file hides one. */
	assert_int_equal(slice_load(&scratch->lookup, "a", &spec, &diag), -ENOENT);
}

static void test_check_file(void **state)
{
	struct scratch *scratch = *state;
	struct diag diag = {0};

	scratch_write(scratch, "x/a-b.slice", "[Resources]\nMemoryMax=1G\n");
	assert_int_equal(slice_check_file(scratch_path(scratch, "x/a-b.slice"), &diag), 0);
	scratch_write(scratch, "x/a-b.slice.d/y.conf", "[Resources]\nMemoryMax=1X\n");
	assert_int_equal(slice_check_file(scratch_path(scratch, "x/a-b.slice"), &diag), -EINVAL);
	assert_true(str_has_suffix(diag.file, "x/a-b.slice.d/y.conf"));
	assert_int_equal(slice_check_file(scratch_path(scratch, "x/a-b.slice.d/y.conf"), &diag), -EINVAL);
	scratch_write(scratch, "x/a-.slice", "[Resources]\n");
	assert_int_equal(slice_check_file(scratch_path(scratch, "x/a-.slice"), &diag), -EINVAL);
	assert_non_null(strstr(diag.message, "no name of a slice"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names), TEST(places), TEST(load), TEST(refused), TEST(check_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
