/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Where torporctl prints: how wide it is, whether it shows colours and which characters it knows. */

enum terminal_colour { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER };

struct terminal {
	size_t columns; /* SIZE_MAX where the output is not a terminal: nothing is cut */
	size_t rows;
	bool is_terminal, colour;
	bool utf8; /* the user's locale */
};

/* Style marks: one byte each inside of a text, which terminal_print() turns into a terminal's escape sequence
 * or leaves out. Control bytes never pass str_escape(), so that nobody else's text can hold a mark. */
#define MARK_PLAIN  "\020"
#define MARK_BOLD   "\021"
#define MARK_RED    "\022"
#define MARK_GREEN  "\023"
#define MARK_YELLOW "\024"
#define MARK_BLUE   "\025"
#define MARK_DIM    "\026"

static inline bool terminal_is_mark(char byte)
{
	return byte >= MARK_PLAIN[0] && byte <= MARK_DIM[0];
}

/* Looks at stdout, $TERM, $NO_COLOR, $COLUMNS and the locale, and sets LC_CTYPE to one in which width_of()
 * works. */
void terminal_init(struct terminal *terminal, enum terminal_colour when);

/* Looks again at the size: it has changed. */
void terminal_measure(struct terminal *terminal);

const char *terminal_ellipsis(const struct terminal *terminal);
const char *terminal_arrow(const struct terminal *terminal);
const char *terminal_bullet(const struct terminal *terminal);

/* Prints text that has passed str_escape(), with style marks. NULL prints nothing. */
void terminal_print(const struct terminal *terminal, FILE *out, const char *text);

/* Prints a text of many lines as it came: newlines and tabs stay, everything else is escaped; the last line is
 * ended. */
void terminal_print_raw(FILE *out, const char *text);
