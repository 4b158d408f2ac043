/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* How many columns text takes on a terminal, by wcwidth(3). The texts are UTF-8 that str_escape() let pass;
 * style marks (terminal.h) take none. LC_CTYPE must be a UTF-8 locale, else every byte counts as one column. */

struct arena;

enum width_cut {
	WIDTH_CUT_MIDDLE, /* for names: both ends tell them apart */
	WIDTH_CUT_END,    /* for sentences */
};

size_t width_of(const char *text);

/* The length in bytes of the longest start of text that takes at most columns. Never parts a character from the
 * marks that combine with it. */
size_t width_prefix(const char *text, size_t columns);

/* text when it fits into columns, else a copy in arena with ellipsis where something is missing (without it
 * when not even that fits). NULL when out of memory. */
const char *width_fit(struct arena *arena, const char *text, size_t columns, enum width_cut cut,
		      const char *ellipsis);
