/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "width.h"

#include <string.h>
#include <wchar.h>

#include "arena.h"
#include "terminal.h"

/* The bytes of the character at text (at least 1) and its columns. */
static size_t next_character(const char *text, size_t *ret_columns)
{
	mbstate_t state = {0};
	wchar_t character;
	size_t length;
	int columns;

	if (terminal_is_mark(*text)) {
		*ret_columns = 0;
		return 1;
	}
	*ret_columns = 1;
	if ((unsigned char)*text < 0x80)
		return 1;
	length = mbrtowc(&character, text, strlen(text) < 8 ? strlen(text) : 8, &state);
	if (length == 0 || length > 8)
		return 1;
	columns = wcwidth(character);
	/* -1: newer than this C library. One column is the likeliest. */
	*ret_columns = columns < 0 ? 1 : (size_t)columns;
	return length;
}

size_t width_of(const char *text)
{
	size_t total = 0, columns;

	for (; *text; total += columns)
		text += next_character(text, &columns);
	return total;
}

size_t width_prefix(const char *text, size_t columns)
{
	size_t at = 0, used = 0, more;

	while (text[at]) {
		size_t length = next_character(text + at, &more);

		if (used + more > columns)
			break;
		used += more;
		at += length;
	}
	return at;
}

/* The end of text that takes at most columns, beginning with a character that has a width of its own. */
static const char *suffix(const char *text, size_t total, size_t columns)
{
	size_t more;

	while (*text && total > columns) {
		text += next_character(text, &more);
		total -= more;
	}
	while (*text && !terminal_is_mark(*text)) {
		size_t length = next_character(text, &more);

		if (more > 0)
			break;
		text += length;
	}
	return text;
}

const char *width_fit(struct arena *arena, const char *text, size_t columns, enum width_cut cut,
		      const char *ellipsis)
{
	size_t total = width_of(text), missing = width_of(ellipsis), head;
	const char *tail = "", *reset = "";

	if (total <= columns)
		return text;
	if (missing > columns) {
		ellipsis = "";
		missing = 0;
	}
	columns -= missing;
	if (cut == WIDTH_CUT_MIDDLE) {
		tail = suffix(text, total, columns / 2);
		columns -= columns / 2;
	}
	head = width_prefix(text, columns);
	for (const char *p = text + head; *p; p++)
		if (terminal_is_mark(*p))
			reset = MARK_PLAIN;
	return arena_printf(arena, "%.*s%s%s%s", (int)head, text, ellipsis, tail, reset);
}
