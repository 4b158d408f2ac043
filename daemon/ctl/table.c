/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "table.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "terminal.h"

#define ABSENT "-"

void table_init(struct table *table, const struct table_column *columns, size_t n_columns)
{
	assert(n_columns <= TABLE_COLUMNS_MAX);
	*table = (struct table){.columns = columns, .n_columns = n_columns};
	arena_init(&table->arena);
}

void table_finish(struct table *table)
{
	free(table->cells);
	arena_finish(&table->arena);
	*table = (struct table){0};
}

int table_add(struct table *table, const char *const *cells)
{
	if (table->n_rows == table->n_allocated) {
		size_t want = table->n_allocated ? table->n_allocated * 2 : 64;
		const char **grown = reallocarray(table->cells, want, table->n_columns * sizeof *grown);

		if (!grown)
			return -ENOMEM;
		table->cells = grown;
		table->n_allocated = want;
	}
	memcpy(table->cells + table->n_rows++ * table->n_columns, cells, table->n_columns * sizeof *cells);
	return 0;
}

/* The width that shows all of a column; 0 when it is optional and empty. */
static size_t natural_width(const struct table *table, size_t column)
{
	size_t widest = width_of(table->columns[column].title);
	bool empty = true;

	for (size_t row = 0; row < table->n_rows; row++) {
		const char *cell = table->cells[row * table->n_columns + column];
		size_t width = width_of(cell ? cell : ABSENT);

		empty = empty && !cell;
		widest = width > widest ? width : widest;
	}
	return empty && table->columns[column].optional ? 0 : widest;
}

/* Takes up to excess from the columns that may be cut, the last one first. Returns what is left of excess. */
static size_t shrink(const struct table *table, size_t widths[], size_t excess, bool below_least)
{
	for (size_t i = table->n_columns; i-- > 0 && excess > 0;) {
		size_t least = below_least ? 1 : table->columns[i].least, take;

		if (table->columns[i].least == 0 || widths[i] <= least)
			continue;
		take = widths[i] - least < excess ? widths[i] - least : excess;
		widths[i] -= take;
		excess -= take;
	}
	return excess;
}

static size_t total_width(const struct table *table, const size_t widths[])
{
	size_t total = 0;

	for (size_t i = 0; i < table->n_columns; i++)
		if (widths[i] > 0)
			total += widths[i] + (total > 0 ? TABLE_GAP : 0);
	return total;
}

/* The shown column that gives way first, or n_columns. */
static size_t first_to_go(const struct table *table, const size_t widths[])
{
	size_t found = table->n_columns;
	unsigned most = 0;

	for (size_t i = 0; i < table->n_columns; i++)
		if (widths[i] > 0 && table->columns[i].gives_way > most) {
			most = table->columns[i].gives_way;
			found = i;
		}
	return found;
}

void table_layout(const struct table *table, size_t columns, size_t widths[static TABLE_COLUMNS_MAX])
{
	size_t natural[TABLE_COLUMNS_MAX];

	for (size_t i = 0; i < table->n_columns; i++)
		natural[i] = natural_width(table, i);
	for (;;) {
		size_t total = total_width(table, natural), excess, victim;

		memcpy(widths, natural, table->n_columns * sizeof *natural);
		excess = total > columns ? total - columns : 0;
		excess = shrink(table, widths, excess, false);
		victim = first_to_go(table, natural);
		if (excess == 0 &&
		    (total <= columns || victim == table->n_columns || !table->columns[victim].spare))
			return;
		if (victim == table->n_columns) {
			shrink(table, widths, excess, true);
			return;
		}
		natural[victim] = 0;
	}
}

static void pad(FILE *out, size_t columns)
{
	while (columns-- > 0)
		putc(' ', out);
}

static void print_row(struct table *table, const struct terminal *terminal, const char *const *cells,
		      const size_t widths[], FILE *out)
{
	size_t owed = 0; /* blanks before the next cell: none at the end of a line */
	bool first = true;

	for (size_t i = 0; i < table->n_columns; i++) {
		const struct table_column *column = &table->columns[i];
		const char *cell = cells[i] ? cells[i] : ABSENT;
		size_t used;

		if (widths[i] == 0)
			continue;
		cell = width_fit(&table->arena, cell, widths[i], column->cut, terminal_ellipsis(terminal));
		if (!cell)
			cell = "";
		used = width_of(cell);
		owed += first ? 0 : TABLE_GAP;
		owed += column->right && widths[i] > used ? widths[i] - used : 0;
		pad(out, owed);
		terminal_print(terminal, out, cell);
		owed = !column->right && widths[i] > used ? widths[i] - used : 0;
		first = false;
	}
	putc('\n', out);
}

void table_print(struct table *table, const struct terminal *terminal, size_t max_rows, FILE *out)
{
	size_t widths[TABLE_COLUMNS_MAX] = {0};
	const char *titles[TABLE_COLUMNS_MAX];

	table_layout(table, terminal->columns, widths);
	for (size_t i = 0; i < table->n_columns; i++)
		titles[i] = table->columns[i].title;
	terminal_print(terminal, out, MARK_BOLD);
	print_row(table, terminal, titles, widths, out);
	terminal_print(terminal, out, MARK_PLAIN);
	for (size_t row = 0; row < table->n_rows && row < max_rows; row++)
		print_row(table, terminal, table->cells + row * table->n_columns, widths, out);
}
