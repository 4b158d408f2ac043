/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "allocations.h"
#include "envfile.h"
#include "scratch.h"

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define EMPTY     ((const char *const[]){NULL})

static int setup(void **state)
{
	static struct scratch scratch;

	calls = fail_at = 0;
	live = 0;
	scratch_init(&scratch);
	*state = &scratch;
	return 0;
}

static int teardown(void **state)
{
	fail_at = 0;
	scratch_finish(*state);
	return live == 0 ? 0 : -1;
}

static void assert_list(char **list, const char *const *expected)
{
	size_t n = 0;

	for (; expected[n]; n++) {
		assert_non_null(list[n]);
		assert_string_equal(list[n], expected[n]);
	}
	assert_null(list[n]);
	free(list);
}

static void assert_file(struct scratch *scratch, const char *text, const char *const *expected)
{
	const char *files[] = {scratch_path(scratch, "env"), NULL}, *file;
	char **list = NULL;
	int r;

	scratch_write(scratch, "env", text);
	r = envfile_read_all(EMPTY, files, &list, &file);
	if (r != (expected ? 0 : -EINVAL))
		fail_msg("%s comes to %d", text, r);
	if (expected)
		assert_list(list, expected);
	else
		assert_string_equal(file, files[0]);
}

static void test_lines(void **state)
{
	struct scratch *scratch = *state;

	assert_file(scratch, "", EMPTY);
	assert_file(scratch, "\n \n\t\n\n", EMPTY);
	assert_file(scratch, "A=1", LIST("A=1"));
	assert_file(scratch, "A=1\nB=2\n", LIST("A=1", "B=2"));
	assert_file(scratch, "A=1\r\nB=2\r\n", LIST("A=1", "B=2"));
	assert_file(scratch, "# A=1\n  ; B=2\nC=3\n", LIST("C=3"));
	/* A comment begins a line. */
	assert_file(scratch, "A=1 # one\nB=a;b\n", LIST("A=1 # one", "B=a;b"));
	assert_file(scratch, "  A=1  \n\tB= 2\t\n", LIST("A=1", "B=2"));
	assert_file(scratch, "A=\nB=  \n", LIST("A=", "B="));
	assert_file(scratch, "A=x=y\nB==\n", LIST("A=x=y", "B=="));
	assert_file(scratch, "A=a  b\n", LIST("A=a  b"));
	assert_file(scratch, "A_b9=1\n_=2\n", LIST("A_b9=1", "_=2"));
	assert_file(scratch, "A=\xff\xc3\xa9\x1b\n", LIST("A=\xff\xc3\xa9\x1b"));
	/* No shell: neither variables nor commands. */
	assert_file(scratch, "A=$HOME `id` ${X} *\n", LIST("A=$HOME `id` ${X} *"));
}

static void test_quotes(void **state)
{
	struct scratch *scratch = *state;

	assert_file(scratch, "A='a b'\nB=\"c d\"\n", LIST("A=a b", "B=c d"));
	assert_file(scratch, "A=''\nB=\"\"\n", LIST("A=", "B="));
	assert_file(scratch, "A=' a '\nB= \" b \" \n", LIST("A= a ", "B= b "));
	assert_file(scratch, "A='\"'\nB=\"'\"\n", LIST("A=\"", "B='"));
	assert_file(scratch, "A='a\\b\\'\n", LIST("A=a\\b\\"));
	assert_file(scratch, "A=\"\\\"\\\\\\`\\$\\n\\a\"\n", LIST("A=\"\\`$\\n\\a"));
	assert_file(scratch, "A=\"#\"\nB=';'\n", LIST("A=#", "B=;"));
	/* Quotes in the middle are letters; pieces one after the other are one value. */
	assert_file(scratch, "A=it's\nB=a\"b\"\n", LIST("A=it's", "B=a\"b\""));
	assert_file(scratch, "A='a'\"b\"c\n", LIST("A=abc"));
	/* Values of several lines, as keys and certificates are. */
	assert_file(scratch, "A='one\ntwo=2\n# three'\nB=4\n", LIST("A=one\ntwo=2\n# three", "B=4"));
	assert_file(scratch, "A=\"one\n\ntwo\\\n three\"\n", LIST("A=one\n\ntwo three"));
}

/* A backslash keeps the next byte as it is, and joins lines. */
static void test_escapes(void **state)
{
	struct scratch *scratch = *state;

	assert_file(scratch, "A=a\\ b\\\\c\\'\\\"\\n\n", LIST("A=a b\\c'\"n"));
	assert_file(scratch, "A=\\ a\\ \nB=1\n", LIST("A= a ", "B=1"));
	assert_file(scratch, "A=one \\\n  two\nB=1\n", LIST("A=one   two", "B=1"));
	assert_file(scratch, "A=\\\nB=1\n", LIST("A=B=1"));
	assert_file(scratch, "A=a\\", LIST("A=a"));
}

static void test_bad_lines(void **state)
{
	static const char *const bad[] = {
		"A",       "A\nB=1",     "=1",         "0A=1",      "9A=1", "A B=1",      "A-B=1",
		"A.B=1",   "export A=1", "\xc3\xa9=1", "A='",       "A=\"", "A='\nB=1\n", "A=\"\\\"",
		"A=\"a\\", "A=1\n'B'=2", "\\\nA=1",    "[Section]", "A =1",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_file(*state, bad[i], NULL);
}

static void test_nul_byte(void **state)
{
	struct scratch *scratch = *state;
	const char *files[] = {scratch_path(scratch, "env"), NULL}, *file;
	char **list;

	scratch_write_bytes(scratch, "env", "A=1\n\0B=2\n", 9);
	assert_int_equal(envfile_read_all(EMPTY, files, &list, &file), -EINVAL);
}

/* Later ones win, over the base, over earlier files and over themselves, in the place of the first. */
static void test_order(void **state)
{
	struct scratch *scratch = *state;
	const char *files[] = {scratch_path(scratch, "one"), scratch_path(scratch, "two"), NULL}, *file;
	char **list;

	scratch_write(scratch, "one", "A=file\nC=3\nAB=4\nC=5\n");
	scratch_write(scratch, "two", "C=6\nD=7\n");
	assert_int_equal(envfile_read_all(LIST("PATH=/bin", "A=base", "B="), files, &list, &file), 0);
	assert_list(list, LIST("PATH=/bin", "A=file", "B=", "C=6", "AB=4", "D=7"));
	files[1] = NULL;
	assert_int_equal(envfile_read_all(EMPTY, files, &list, &file), 0);
	assert_list(list, LIST("A=file", "C=5", "AB=4"));
	assert_int_equal(envfile_read_all(LIST("A=base"), EMPTY, &list, &file), 0);
	assert_list(list, LIST("A=base"));
}

static void assert_fails(const char *const *files, int error, const char *culprit)
{
	char *sentinel = NULL, **list = &sentinel;
	const char *file = NULL;

	assert_int_equal(envfile_read_all(LIST("A=1"), files, &list, &file), error);
	assert_ptr_equal(file, culprit);
	assert_ptr_equal(list, &sentinel);
}

static void test_optional(void **state)
{
	struct scratch *scratch = *state;
	char optional[512], folder[512];
	const char *missing = scratch_path(scratch, "missing"), *good = scratch_path(scratch, "good"), *file;
	char **list;

	scratch_write(scratch, "good", "B=2\n");
	snprintf(optional, sizeof optional, "-%s", missing);
	snprintf(folder, sizeof folder, "-%s", scratch->root);
	assert_int_equal(envfile_read_all(LIST("A=1"), LIST(optional, good), &list, &file), 0);
	assert_list(list, LIST("A=1", "B=2"));
	/* Only what is missing may be missing. */
	assert_fails(LIST(good, missing), -ENOENT, missing);
	assert_fails(LIST(missing, good), -ENOENT, missing);
	assert_fails(LIST(good, folder), -EISDIR, folder);
	scratch_write(scratch, "missing", "bad");
	assert_fails(LIST(good, optional), -EINVAL, optional);
}

static void test_sizes(void **state)
{
	struct scratch *scratch = *state;
	const char *path = scratch_path(scratch, "env"), *file;
	static char text[ENVFILE_BYTES + 2];
	char **list;

	memset(text, 'x', sizeof text);
	memcpy(text, "A=", 2);
	scratch_write_bytes(scratch, "env", text, ENVFILE_BYTES);
	assert_int_equal(envfile_read_all(EMPTY, LIST(path), &list, &file), 0);
	assert_int_equal(strlen(list[0]), ENVFILE_BYTES);
	free(list);
	scratch_write_bytes(scratch, "env", text, ENVFILE_BYTES + 1);
	assert_fails(LIST(path), -E2BIG, path);
	assert_int_equal(mkfifo(scratch_path(scratch, "fifo"), 0600), 0);
	path = scratch_path(scratch, "fifo");
	assert_fails(LIST(path), -EINVAL, path);
}

/* A tenant may own the file: it cannot hold a start up by a hundred thousand variables. */
static void test_many(void **state)
{
	struct scratch *scratch = *state;
	const char *path = scratch_path(scratch, "env"), *file;
	static char text[ENVFILE_BYTES];
	char **list, *at = text;
	size_t n = 0;

	for (int i = 0; i < ENVFILE_ASSIGNMENTS_MAX; i++)
		at += sprintf(at, "A%d=%d\n", i, i);
	scratch_write(scratch, "env", text);
	assert_int_equal(envfile_read_all(EMPTY, LIST(path), &list, &file), 0);
	while (list[n])
		n++;
	assert_int_equal(n, ENVFILE_ASSIGNMENTS_MAX);
	free(list);
	/* Repeated ones count, as does the base. */
	assert_fails(LIST(path), -E2BIG, path);
	strcpy(at, "A0=1\n");
	scratch_write(scratch, "env", text);
	assert_int_equal(envfile_read_all(EMPTY, LIST(path), &list, &file), -E2BIG);
}

static void test_out_of_memory(void **state)
{
	struct scratch *scratch = *state;
	const char *files[] = {scratch_path(scratch, "one"), scratch_path(scratch, "two"), NULL}, *file;
	char text[4096], *at = text;
	bool reached = true;
	size_t n;

	for (int i = 0; i < 100; i++)
		at += sprintf(at, "A%d='%d'\n", i, i);
	scratch_write(scratch, "one", text);
	scratch_write(scratch, "two", "B=2\n");
	for (n = 1; reached; n++) {
		char **list = NULL;
		int r;

		calls = 0;
		fail_at = n;
		r = envfile_read_all(LIST("A=1"), files, &list, &file);
		reached = calls >= n;
		fail_at = 0;
		assert_int_equal(r, reached ? -ENOMEM : 0);
		free(list);
		assert_int_equal(live, 0);
	}
	assert_true(n > 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lines), TEST(quotes),   TEST(escapes), TEST(bad_lines), TEST(nul_byte),
		TEST(order), TEST(optional), TEST(sizes),   TEST(many),      TEST(out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
