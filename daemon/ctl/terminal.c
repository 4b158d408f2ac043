/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "terminal.h"

#include <langinfo.h>
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cleanup.h"
#include "str.h"

#define DEFAULT_COLUMNS 80 /* a terminal that does not say */
#define DEFAULT_ROWS    24

static size_t size_from_environment(const char *name, size_t otherwise)
{
	const char *text = getenv(name);
	uint64_t value;

	if (!text || str_to_u64(text, &value) < 0 || value == 0 || value > UINT16_MAX)
		return otherwise;
	return (size_t)value;
}

void terminal_measure(struct terminal *terminal)
{
	struct winsize size = {0};

	terminal->columns = SIZE_MAX;
	terminal->rows = SIZE_MAX;
	if (!terminal->is_terminal)
		return;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		size = (struct winsize){0};
	terminal->columns = size.ws_col ? size.ws_col : size_from_environment("COLUMNS", DEFAULT_COLUMNS);
	terminal->rows = size.ws_row ? size.ws_row : size_from_environment("LINES", DEFAULT_ROWS);
}

static bool wants_colour(const struct terminal *terminal, enum terminal_colour when)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

	if (when != COLOUR_AUTO)
		return when == COLOUR_ALWAYS;
	/* no-color.org: set and not empty, whatever its value. */
	return terminal->is_terminal && !(none && *none) && term && !str_equal(term, "dumb");
}

void terminal_init(struct terminal *terminal, enum terminal_colour when)
{
	*terminal = (struct terminal){.is_terminal = isatty(STDOUT_FILENO)};
	terminal_measure(terminal);
	terminal->colour = wants_colour(terminal, when);
	setlocale(LC_CTYPE, "");
	terminal->utf8 = str_equal(nl_langinfo(CODESET), "UTF-8");
	if (!terminal->utf8)
		setlocale(LC_CTYPE, "C.UTF-8");
}

const char *terminal_ellipsis(const struct terminal *terminal)
{
	return terminal->utf8 ? "\u2026" : "...";
}

const char *terminal_arrow(const struct terminal *terminal)
{
	return terminal->utf8 ? "\u2192" : "->";
}

const char *terminal_bullet(const struct terminal *terminal)
{
	return terminal->utf8 ? "\u25cf" : "*";
}

void terminal_print(const struct terminal *terminal, FILE *out, const char *text)
{
	static const char *const sequences[] = {"\033[0m",  "\033[1m",  "\033[31m", "\033[32m",
						"\033[33m", "\033[34m", "\033[2m"};

	for (; text && *text; text++) {
		if (!terminal_is_mark(*text))
			putc(*text, out);
		else if (terminal->colour)
			fputs(sequences[*text - MARK_PLAIN[0]], out);
	}
}

void terminal_print_raw(FILE *out, const char *text)
{
	size_t size = strlen(text) * 4 + 1, length = 0;
	autofree char *piece = malloc(strlen(text) + 1), *escaped = malloc(size);

	if (!piece || !escaped)
		return;
	for (; *text; text += length + (text[length] != '\0')) {
		length = strcspn(text, "\n\t");
		memcpy(piece, text, length);
		piece[length] = '\0';
		str_escape(piece, escaped, size);
		fputs(escaped, out);
		putc(text[length] == '\t' ? '\t' : '\n', out);
	}
}
