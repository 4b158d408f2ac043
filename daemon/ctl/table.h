/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "arena.h"
#include "width.h"

struct terminal;

#define TABLE_COLUMNS_MAX 12
#define TABLE_GAP         2 /* columns of a terminal between two of the table */

struct table_column {
	const char *title;
	bool right;    /* numbers: aligned at their last digit */
	bool optional; /* left out when no row has it */
	bool spare;    /* left out before any column is cut */
	size_t least;  /* may be cut down to this; 0: is never cut */
	enum width_cut cut;
	unsigned gives_way; /* on a narrow terminal the column with the highest is left out first; 0: stays */
};

/* Rows of text in aligned columns. Cells are text that str_escape() let pass, with style marks. */
struct table {
	const struct table_column *columns; /* the caller's, and stay */
	size_t n_columns;
	const char **cells; /* [n_rows * n_columns]; owned; the texts belong to whoever added them */
	size_t n_rows, n_allocated;
	struct arena arena; /* what the table itself makes */
};

void table_init(struct table *table, const struct table_column *columns, size_t n_columns);
void table_finish(struct table *table);

/* Adds a row: n_columns cells, which have to stay until the table is printed. NULL is shown as "-". -ENOMEM. */
int table_add(struct table *table, const char *const *cells);

/* How wide each column gets on a terminal of so many columns; 0: is left out. Columns are cut before any is
 * left out but the spare ones; when nothing else helps those that may be cut go below their least. */
void table_layout(const struct table *table, size_t columns, size_t widths[static TABLE_COLUMNS_MAX]);

/* Prints the header and at most max_rows rows. */
void table_print(struct table *table, const struct terminal *terminal, size_t max_rows, FILE *out);
