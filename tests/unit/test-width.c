/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "arena.h"
#include "terminal.h"
#include "width.h"

static struct arena arena;

static void counts_columns(void **state)
{
	static const struct {
		const char *text;
		size_t columns;
	} cases[] = {
		{"", 0},
		{"abc", 3},
		{"m\u00fcller", 6},
		{"\u65e5\u672c", 4},           /* wide */
		{"e\u0301", 1},                /* a letter and the mark on it */
		{"\U0001f600", 2},             /* outside of the first plane */
		{MARK_RED "ab" MARK_PLAIN, 2}, /* marks take nothing */
		{"a\xff"
		 "b",
		 3},             /* not UTF-8: a byte is a column */
		{"\xe2\x82", 2}, /* ends inside of a character */
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(width_of(cases[i].text), cases[i].columns);
}

static void prefix_keeps_characters_whole(void **state)
{
	(void)state;
	assert_int_equal(width_prefix("abc", 2), 2);
	assert_int_equal(width_prefix("abc", 9), 3);
	assert_int_equal(width_prefix("\u65e5\u672c", 3), strlen("\u65e5"));
	assert_int_equal(width_prefix("\u65e5\u672c", 1), 0);
	assert_int_equal(width_prefix("e\u0301x", 1), strlen("e\u0301"));
	assert_int_equal(width_prefix("abc", 0), 0);
}

static void fits(void **state)
{
	static const struct {
		const char *text;
		size_t columns;
		enum width_cut cut;
		const char *result;
	} cases[] = {
		{"abcdef", 6, WIDTH_CUT_MIDDLE, "abcdef"},
		{"abcdef", SIZE_MAX, WIDTH_CUT_END, "abcdef"},
		{"abcdef", 5, WIDTH_CUT_MIDDLE, "ab\u2026ef"},
		{"abcdef", 4, WIDTH_CUT_MIDDLE, "ab\u2026f"},
		{"abcdef", 4, WIDTH_CUT_END, "abc\u2026"},
		{"abcdef", 1, WIDTH_CUT_MIDDLE, "\u2026"},
		{"abcdef", 0, WIDTH_CUT_MIDDLE, ""},
		{"\u65e5\u672c\u8a9e", 4, WIDTH_CUT_END, "\u65e5\u2026"},
		{"\u65e5\u672c\u8a9e", 5, WIDTH_CUT_MIDDLE, "\u65e5\u2026\u8a9e"},
		{"abcde\u0301f", 4, WIDTH_CUT_MIDDLE, "ab\u2026f"},
		{MARK_RED "abcdef" MARK_PLAIN, 4, WIDTH_CUT_END, MARK_RED "abc\u2026" MARK_PLAIN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *cut = width_fit(&arena, cases[i].text, cases[i].columns, cases[i].cut, "\u2026");

		assert_string_equal(cut, cases[i].result);
		assert_true(width_of(cut) <= cases[i].columns);
	}
}

static void styled_text_ends_plain(void **state)
{
	const char *text = MARK_BOLD "a long" MARK_PLAIN " name " MARK_RED "in red" MARK_PLAIN;

	(void)state;
	for (size_t columns = 0; columns < width_of(text); columns++)
		for (enum width_cut cut = WIDTH_CUT_MIDDLE; cut <= WIDTH_CUT_END; cut++) {
			const char *result = width_fit(&arena, text, columns, cut, "...");

			assert_true(width_of(result) <= columns);
			assert_int_equal(result[strlen(result) - 1], MARK_PLAIN[0]);
		}
}

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena);
	return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	arena_finish(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_columns),
		cmocka_unit_test(prefix_keeps_characters_whole),
		cmocka_unit_test(fits),
		cmocka_unit_test(styled_text_ends_plain),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
