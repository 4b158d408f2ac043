/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>

#include "scratch.h"
#include "spec.h"
#include "unit.h"

static struct unit *parse(const char *text)
{
	struct unit *unit = NULL;
	struct diag diag;

	if (unit_parse("x", text, strlen(text), &unit, &diag) < 0)
		fail_msg("line %u: %s", diag.line, diag.message);
	return unit;
}

static void assert_assignment(const struct unit *unit, size_t i, const char *section, const char *key,
			      const char *value, unsigned line)
{
	assert_true(i < unit->n_assignments);
	assert_string_equal(unit->assignments[i].section, section);
	assert_string_equal(unit->assignments[i].key, key);
	assert_string_equal(unit->assignments[i].value, value);
	assert_int_equal(unit->assignments[i].line, line);
}

static void test_assignments(void **state)
{
	struct unit *unit =
		parse("# comment\n; another\n\n[A]\nKey=Value\n  Other \t=\t with spaces \t\nKey=2\n"
		      "[B B]\nEmpty=\nEquals=a=b ; c # d: e\nLast=x");

	(void)state;
	assert_int_equal(unit->n_assignments, 6);
	assert_assignment(unit, 0, "A", "Key", "Value", 5);
	assert_assignment(unit, 1, "A", "Other", "with spaces", 6);
	assert_assignment(unit, 2, "A", "Key", "2", 7);
	assert_assignment(unit, 3, "B B", "Empty", "", 9);
	/* Not so with inih: ';' and '#' inside a value are its own. */
	assert_assignment(unit, 4, "B B", "Equals", "a=b ; c # d: e", 10);
	assert_assignment(unit, 5, "B B", "Last", "x", 11);
	unit_unref(unit);
}

static void test_continuations(void **state)
{
	struct unit *unit = parse(
		"[A]\nOne=a\\\n  b \\\n# left out\n  ; left out\n\tc\nTwo=back\\\\\nThree=x\\\n\nFour=y\\");

	(void)state;
	assert_int_equal(unit->n_assignments, 4);
	assert_assignment(unit, 0, "A", "One", "a b  c", 2);
	assert_assignment(unit, 1, "A", "Two", "back\\\\", 7);
	assert_assignment(unit, 2, "A", "Three", "x", 8);
	assert_assignment(unit, 3, "A", "Four", "y", 10);
	unit_unref(unit);
}

static void test_byte_order_mark(void **state)
{
	struct unit *unit = parse("\xef\xbb\xbf[A]\nKey=\xc3\xa9\n");

	(void)state;
	assert_assignment(unit, 0, "A", "Key", "\xc3\xa9", 2);
	unit_unref(unit);
}

static void assert_refused(const char *text, size_t size, unsigned line, const char *part)
{
	struct unit *unit = NULL;
	struct diag diag;

	assert_int_equal(unit_parse("dir/x", text, size, &unit, &diag), -EINVAL);
	assert_null(unit);
	assert_string_equal(diag.file, "dir/x");
	assert_int_equal(diag.line, line);
	if (!strstr(diag.message, part))
		fail_msg("'%s' does not say '%s'", diag.message, part);
}

#define assert_text_refused(text, line, part) assert_refused(text, sizeof text - 1, line, part)

static void test_refusals(void **state)
{
	(void)state;
	assert_text_refused("Key=Value\n", 1, "before any section");
	assert_text_refused("[A]\nKey\n", 2, "expected Key=Value");
	assert_text_refused("[A]\nKey: Value\n", 2, "expected Key=Value");
	assert_text_refused("[A]\n=Value\n", 2, "expected a key");
	assert_text_refused("[A\n", 1, "expected [Section]");
	assert_text_refused("[]\n", 1, "expected [Section]");
	assert_text_refused("[A]]\n", 1, "expected [Section]");
	assert_text_refused("[A] x\n", 1, "expected [Section]");
	assert_text_refused("[A]\nKey=a\0b\n", 2, "NUL");
	assert_text_refused("# a\0b\n", 1, "NUL");
	assert_text_refused("[A]\nKey=a\n\0", 3, "NUL");
	assert_text_refused("[A]\nKey=\x1b[31m\n", 2, "control byte 0x1b");
	assert_text_refused("[A]\nKey=\x7f\n", 2, "control byte 0x7f");
	assert_text_refused("[A]\r\nKey=a\r\n", 1, "carriage return");
	assert_text_refused("[A]\nKey=\xff\n", 2, "0xff is not UTF-8");
	assert_text_refused("[A]\nKey=\xc0\xaf\n", 2, "not UTF-8");
	assert_text_refused("[A]\nKey=\xed\xa0\x80\n", 2, "not UTF-8");
}

static void test_long_lines(void **state)
{
	size_t size = 2 * 65536;
	char *text = malloc(size);

	(void)state;
	memset(text, 'a', size);
	memcpy(text, "[A]\nKey=", 8);
	text[65540] = '\n';
	assert_refused(text, 65541, 2, "a line of");
	/* One byte more than allowed, and just allowed. */
	text[4 + SPEC_LINE_BYTES + 1] = '\n';
	assert_refused(text, 4 + SPEC_LINE_BYTES + 2, 2, "a line of 32769 bytes");
	text[4 + SPEC_LINE_BYTES] = '\n';
	text[4 + SPEC_LINE_BYTES + 1] = '#';
	struct unit *unit;
	assert_int_equal(unit_parse("x", text, 4 + SPEC_LINE_BYTES + 2, &unit, NULL), 0);
	assert_int_equal(strlen(unit->assignments[0].value), SPEC_LINE_BYTES - 4);
	unit_unref(unit);
	/* Continuations count. */
	for (size_t i = 1000; i + 1 < size; i += 1000)
		memcpy(text + i, "\\\n", 2);
	text[4 + SPEC_LINE_BYTES] = 'a';
	text[4 + SPEC_LINE_BYTES + 1] = 'a';
	text[65540] = 'a';
	assert_refused(text, size, 2, "continuations included");
	free(text);
}

static void test_long_file(void **state)
{
	char *text = calloc(1, SPEC_FILE_BYTES + 2);

	(void)state;
	memset(text, '\n', SPEC_FILE_BYTES + 1);
	assert_refused(text, SPEC_FILE_BYTES + 1, 0, "a file of 1048577 bytes");
	free(text);
}

/* inih cuts a section's name at 49 bytes, and two tenants become one. */
static void test_section_twins(void **state)
{
	char a[64], text[160];
	struct unit *unit;

	(void)state;
	memset(a, 's', 49);
	a[49] = '\0';
	snprintf(text, sizeof text, "[%s1]\nKey=1\n[%s2]\nKey=2\n", a, a);
	unit = parse(text);
	assert_string_not_equal(unit->assignments[0].section, unit->assignments[1].section);
	unit_unref(unit);
}

static void test_many_assignments(void **state)
{
	char *text = malloc(SPEC_FILE_BYTES);
	size_t used = 4;
	struct unit *unit;

	(void)state;
	memcpy(text, "[A]\n", 4);
	for (; used + 3 <= SPEC_FILE_BYTES; used += 3)
		memcpy(text + used, "a=\n", 3);
	assert_int_equal(unit_parse("x", text, used, &unit, NULL), 0);
	assert_int_equal(unit->n_assignments, (used - 4) / 3);
	unit_unref(unit);
	free(text);
}

static void test_files(void **state)
{
	struct scratch scratch;
	struct unit *unit;
	struct diag diag;

	(void)state;
	scratch_init(&scratch);
	scratch_write(&scratch, "good", "[A]\nb=c\n");
	assert_int_equal(unit_read(scratch_path(&scratch, "good"), &unit, &diag), 0);
	assert_string_equal(unit->path, scratch_path(&scratch, "good"));
	assert_ptr_equal(unit_ref(unit), unit);
	unit_unref(unit);
	assert_assignment(unit, 0, "A", "b", "c", 2);
	unit_unref(unit);
	assert_int_equal(unit_read(scratch_path(&scratch, "missing"), &unit, &diag), -ENOENT);
	assert_int_equal(unit_read(scratch_path(&scratch, "etc"), &unit, &diag), -EISDIR);
	assert_non_null(strstr(diag.message, "a folder"));
	/* Nobody writes to it: reading must not wait. */
	assert_int_equal(mkfifo(scratch_path(&scratch, "fifo"), 0600), 0);
	assert_int_equal(unit_read(scratch_path(&scratch, "fifo"), &unit, &diag), -EINVAL);
	assert_non_null(strstr(diag.message, "not a regular file"));
	scratch_write(&scratch, "large", "x");
	assert_int_equal(truncate(scratch_path(&scratch, "large"), 1024 * 1024 * 1024), 0);
	assert_int_equal(unit_read(scratch_path(&scratch, "large"), &unit, &diag), -EINVAL);
	assert_non_null(strstr(diag.message, "larger than"));
	unit_unref(NULL);
	scratch_finish(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_assignments),     cmocka_unit_test(test_continuations),
		cmocka_unit_test(test_byte_order_mark), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_long_lines),      cmocka_unit_test(test_long_file),
		cmocka_unit_test(test_section_twins),   cmocka_unit_test(test_many_assignments),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
