/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "drop-in.h"
#include "scratch.h"

#define HEAD "# Made by torporctl set. Removed, the unit alone counts again.\n"

static struct scratch scratch;

static int setup(void **state)
{
	(void)state;
	scratch_init(&scratch);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	scratch_finish(&scratch);
	return 0;
}

typedef int merge_function(const struct key_table *table, const char *path, const char *const *settings,
			   size_t n, char **ret, struct diag *diag);

/* What the file says after the settings, which is then what the file says. */
static void assert_text(merge_function *merge, const struct key_table *table, const char *expected,
			const char *const *settings)
{
	struct diag diag = {0};
	char *text = NULL;
	size_t n = 0;

	while (settings[n])
		n++;
	if (merge(table, scratch_path(&scratch, "x.conf"), settings, n, &text, &diag) < 0)
		fail_msg("%s", diag.message);
	assert_string_equal(text, expected);
	scratch_write(&scratch, "x.conf", text);
	free(text);
}

#define SET(expected, ...)                                                                                     \
	assert_text(drop_in_set, &site_keys, expected, (const char *const[]){__VA_ARGS__, NULL})
#define FORGET(expected, ...)                                                                                  \
	assert_text(drop_in_forget, &site_keys, expected, (const char *const[]){__VA_ARGS__, NULL})

static void test_set(void **state)
{
	(void)state;
	SET(HEAD "[Resources]\nMemoryMax=1G\n", "MemoryMax=1G");
	/* Others stay; the order is the table's; what is set again is replaced. */
	SET(HEAD "[Resources]\nCPUWeight=5\nMemoryMax=1G\n\n[Hibernate]\nKeep=warm\n", "Keep=warm",
	    "CPUWeight=5");
	SET(HEAD "[Resources]\nCPUWeight=5\nMemoryMax=2G\n\n[Hibernate]\nKeep=warm\n", "MemoryMax=2G");
	/* An empty value is one: the default. */
	SET(HEAD "[Resources]\nCPUWeight=5\nMemoryMax=\n\n[Hibernate]\nKeep=warm\n", "MemoryMax=");
	FORGET(HEAD "[Resources]\nMemoryMax=\n", "CPUWeight=", "Keep=x");
	FORGET("", "MemoryMax=");
	FORGET("", "MemoryMax=");
	SET(HEAD "[Site]\nDescription= with = and #\n", "Description= with = and #");
}

/* A list is what was set last, all of it, whatever the unit adds to. */
static void test_lists(void **state)
{
	(void)state;
	SET(HEAD "[Resources]\nAllowedCPUs=\nAllowedCPUs=0\n", "AllowedCPUs=0");
	SET(HEAD "[Resources]\nAllowedCPUs=\nAllowedCPUs=0-1\nIOReadIOPSMax=\nIOReadIOPSMax=/a "
		 "1\nIOReadIOPSMax=/b 2\n",
	    "IOReadIOPSMax=/a 1", "AllowedCPUs=0-1", "IOReadIOPSMax=/b 2");
	SET(HEAD "[Resources]\nAllowedCPUs=\nAllowedCPUs=0-1\nIOReadIOPSMax=\n", "IOReadIOPSMax=");
	FORGET(HEAD "[Resources]\nIOReadIOPSMax=\n", "AllowedCPUs=");
}

static void test_slice(void **state)
{
	(void)state;
	assert_text(drop_in_set, &slice_keys, HEAD "[Slice]\nDescription=x\n\n[Resources]\nTasksMax=5\n",
		    (const char *const[]){"TasksMax=5", "Description=x", NULL});
}

static void assert_refused(const struct key_table *table, const char *setting, const char *message)
{
	const char *path = scratch_path(&scratch, "x.conf"), *settings[] = {"CPUWeight=5", setting};
	struct diag diag = {0};
	char *text = NULL;

	assert_int_equal(drop_in_set(table, path, settings, 2, &text, &diag), -EINVAL);
	assert_null(text);
	assert_string_equal(diag.file, path);
	if (!strstr(diag.message, message))
		fail_msg("'%s' does not say '%s'", diag.message, message);
}

static void test_refused(void **state)
{
	(void)state;
	assert_refused(&site_keys, "MemoryMax", "MemoryMax: expected KEY=VALUE");
	assert_refused(&site_keys, "MemroyMax=1G", "unknown key 'MemroyMax'; did you mean MemoryMax=?");
	assert_refused(&site_keys, "memorymax=1G", "did you mean MemoryMax=?");
	assert_refused(&site_keys, "Something=1", "unknown key 'Something'");
	assert_refused(&site_keys, "=1", "unknown key ''");
	assert_refused(&site_keys, "User=root", "User= cannot be changed while a container runs");
	assert_refused(&slice_keys, "Keep=warm", "unknown key 'Keep'");
	/* No other line comes in by a value. */
	assert_refused(&site_keys, "MemoryMax=1G\n[Container]\nUser=root",
		       "MemoryMax: expected a value of one line");
	assert_refused(&site_keys, "MemoryMax=1G\r", "expected a value of one line");
	assert_refused(&site_keys, "MemoryMax=1G\\", "expected a value of one line");
	/* Somebody has been at the file. */
	scratch_write(&scratch, "x.conf", "[Resources]\nNonsense=1\n");
	assert_refused(&site_keys, "MemoryMax=1G", "unknown key 'Nonsense'");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(set), TEST(lists), TEST(slice), TEST(refused)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
