/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "table.h"
#include "terminal.h"

static const struct table_column columns[] = {
	{"SITE", .least = 6, .cut = WIDTH_CUT_MIDDLE},
	{"STATE"},
	{"CONN", .right = true, .gives_way = 1},
	{"WAKES", .right = true, .gives_way = 2},
	{"TEMPLATE", .optional = true, .spare = true, .gives_way = 4, .least = 4, .cut = WIDTH_CUT_END},
	{"ERROR", .optional = true, .gives_way = 3, .least = 4, .cut = WIDTH_CUT_END},
};

#define N_COLUMNS (sizeof columns / sizeof columns[0])

static const char *const short_row[N_COLUMNS] = {"a", "cold", NULL, "7"};
static const char *const long_row[N_COLUMNS] = {"shop.customers",     "awake", "1203", "12", "php",
						"failed at step exec"};

static const struct terminal wide = {.columns = SIZE_MAX, .rows = SIZE_MAX, .utf8 = true};

static void fill(struct table *table, const char *const *first, const char *const *second)
{
	table_init(table, columns, N_COLUMNS);
	assert_int_equal(table_add(table, first), 0);
	if (second)
		assert_int_equal(table_add(table, second), 0);
}

static void assert_layout(const struct table *table, size_t width, const size_t *expected)
{
	size_t widths[TABLE_COLUMNS_MAX];

	table_layout(table, width, widths);
	for (size_t i = 0; i < N_COLUMNS; i++)
		assert_int_equal(widths[i], expected[i]);
}

static void lays_out(void **state)
{
	/* From all to the least: the spare column goes, the error is cut, the name is cut, columns go by rank,
	 * and at last the name gets what is left. */
	static const struct {
		size_t width, expected[N_COLUMNS];
	} cases[] = {
		{SIZE_MAX, {14, 5, 4, 5, 8, 19}}, {65, {14, 5, 4, 5, 8, 19}}, {64, {14, 5, 4, 5, 0, 19}},
		{55, {14, 5, 4, 5, 0, 19}},       {54, {14, 5, 4, 5, 0, 18}}, {40, {14, 5, 4, 5, 0, 4}},
		{39, {13, 5, 4, 5, 0, 4}},        {32, {6, 5, 4, 5, 0, 4}},   {31, {11, 5, 4, 5, 0, 0}},
		{26, {6, 5, 4, 5, 0, 0}},         {25, {12, 5, 4, 0, 0, 0}},  {18, {11, 5, 0, 0, 0, 0}},
		{10, {3, 5, 0, 0, 0, 0}},         {1, {1, 5, 0, 0, 0, 0}},
	};
	struct table table;

	(void)state;
	fill(&table, short_row, long_row);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_layout(&table, cases[i].width, cases[i].expected);
	table_finish(&table);
}

static void never_wider_than_the_terminal(void **state)
{
	size_t widths[TABLE_COLUMNS_MAX];
	struct table table;

	(void)state;
	fill(&table, short_row, long_row);
	for (size_t width = 8; width < 80; width++) {
		size_t total = 0;

		table_layout(&table, width, widths);
		for (size_t i = 0; i < N_COLUMNS; i++)
			total += widths[i] ? widths[i] + (total ? TABLE_GAP : 0) : 0;
		assert_true(total <= width);
	}
	table_finish(&table);
}

static void leaves_empty_optional_columns_out(void **state)
{
	static const size_t expected[N_COLUMNS] = {4, 5, 4, 5, 0, 0};
	struct table table;

	(void)state;
	fill(&table, short_row, NULL);
	assert_layout(&table, SIZE_MAX, expected);
	table_finish(&table);
}

static void assert_printed(struct table *table, const struct terminal *terminal, size_t rows,
			   const char *expected)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	table_print(table, terminal, rows, out);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

static void prints(void **state)
{
	struct terminal narrow = {.columns = 32, .rows = 24, .utf8 = true};
	struct table table;

	(void)state;
	fill(&table, short_row, long_row);
	assert_printed(&table, &wide, SIZE_MAX,
		       "SITE            STATE  CONN  WAKES  TEMPLATE  ERROR\n"
		       "a               cold      -      7  -         -\n"
		       "shop.customers  awake  1203     12  php       failed at step exec\n");
	assert_printed(&table, &narrow, 1,
		       "SITE    STATE  CONN  WAKES  ERR\u2026\n"
		       "a       cold      -      7  -\n");
	narrow.utf8 = false;
	assert_printed(&table, &narrow, SIZE_MAX,
		       "SITE    STATE  CONN  WAKES  E...\n"
		       "a       cold      -      7  -\n"
		       "sh...s  awake  1203     12  f...\n");
	table_finish(&table);
}

static void aligns_what_is_wide_or_coloured(void **state)
{
	static const char *const wide_row[N_COLUMNS] = {"\u65e5\u672c", MARK_GREEN "awake" MARK_PLAIN, "1",
							"2"};
	struct terminal coloured = wide;
	struct table table;

	(void)state;
	fill(&table, wide_row, short_row);
	assert_printed(&table, &wide, SIZE_MAX,
		       "SITE  STATE  CONN  WAKES\n"
		       "\u65e5\u672c  awake     1      2\n"
		       "a     cold      -      7\n");
	coloured.colour = true;
	assert_printed(&table, &coloured, 1,
		       "\033[1mSITE  STATE  CONN  WAKES\n"
		       "\033[0m\u65e5\u672c  \033[32mawake\033[0m     1      2\n");
	table_finish(&table);
}

static void holds_many_rows(void **state)
{
	size_t widths[TABLE_COLUMNS_MAX];
	struct table table;

	(void)state;
	table_init(&table, columns, N_COLUMNS);
	table_layout(&table, 80, widths); /* without a row */
	for (size_t i = 0; i < 10000; i++)
		assert_int_equal(table_add(&table, i == 9999 ? long_row : short_row), 0);
	table_layout(&table, SIZE_MAX, widths);
	assert_int_equal(table.n_rows, 10000);
	assert_int_equal(widths[0], strlen("shop.customers"));
	table_finish(&table);
}

static int set_up(void **state)
{
	(void)state;
	return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lays_out),
		cmocka_unit_test(never_wider_than_the_terminal),
		cmocka_unit_test(leaves_empty_optional_columns_out),
		cmocka_unit_test(prints),
		cmocka_unit_test(aligns_what_is_wide_or_coloured),
		cmocka_unit_test(holds_many_rows),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
