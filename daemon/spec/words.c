/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "words.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "utf8.h"

#define WHITE_SPACE " \t\n"

/* Where a raw word is being read from and written to: the same buffer, the writer never ahead. */
struct unescaper {
	const char *at;
	char *out;
	enum words_flags flags;
	const char *message;
};

static int refuse(struct unescaper *u, const char *message)
{
	u->message = message;
	return -EINVAL;
}

static int digit_of(char c, unsigned base)
{
	int digit = c >= '0' && c <= '9'   ? c - '0'
		    : c >= 'a' && c <= 'f' ? c - 'a' + 10
		    : c >= 'A' && c <= 'F' ? c - 'A' + 10
					   : 16;

	return digit < (int)base ? digit : -1;
}

/* Takes exactly count digits: a byte for \xNN and \NNN, a character for \u and \U. */
static int unescape_number(struct unescaper *u, unsigned base, int count, bool character)
{
	uint32_t code = 0;
	size_t length;

	for (int i = 0; i < count; i++) {
		int digit = digit_of(u->at[i], base);

		if (digit < 0)
			return refuse(
				u,
				"an escape with too few digits; expected \\xNN, \\NNN, \\uNNNN or \\UNNNNNNNN");
		code = code * base + (uint32_t)digit;
	}
	u->at += count;
	if (code == 0)
		return refuse(u, "an escaped NUL; no string can hold one");
	if (code == WORDS_SEPARATOR && u->flags & WORDS_COLON)
		return refuse(u, "an escaped control byte in a path");
	if (!character && code <= 0xff) {
		*u->out++ = (char)code;
		return 0;
	}
	length = character ? utf8_encode(code, u->out) : 0;
	if (length == 0)
		return refuse(u, "an escape of what is no byte or character");
	u->out += length;
	return 0;
}

/* After a backslash. */
static int unescape(struct unescaper *u)
{
	static const char from[] = "abfnrtvs\\\"';", to[] = "\a\b\f\n\r\t\v \\\"';";
	char c = *u->at;
	const char *found = c ? strchr(from, c) : NULL;

	if (found) {
		*u->out++ = to[found - from];
		u->at++;
		return 0;
	}
	if (c == ':' && u->flags & WORDS_COLON) {
		*u->out++ = ':';
		u->at++;
		return 0;
	}
	if (c >= '0' && c <= '7')
		return unescape_number(u, 8, 3, false);
	if (c && strchr("xuU", c)) {
		u->at++;
		return unescape_number(u, 16, c == 'x' ? 2 : c == 'u' ? 4 : 8, c != 'x');
	}
	return refuse(u, c ? "an unknown escape; expected one of \\n \\t \\s \\\\ \\\" \\' \\xNN, or \\\\ for "
			     "a backslash"
			   : "a backslash at the end; expected \\\\ for a backslash");
}

/* The bytes of the raw word at text, its quotes and escapes included. */
static size_t raw_length(const char *text)
{
	char quote = '\0';
	size_t i;

	for (i = 0; text[i] && (quote || !strchr(WHITE_SPACE, text[i])); i++) {
		if (text[i] == '\\' && text[i + 1])
			i++;
		else if (quote)
			quote = text[i] == quote ? '\0' : quote;
		else if (text[i] == '"' || text[i] == '\'')
			quote = text[i];
	}
	return i;
}

int words_next(const char **text, enum words_flags flags, struct arena *arena, char **ret, const char **message)
{
	const char *start = *text + strspn(*text, WHITE_SPACE);
	size_t length = raw_length(start);
	struct unescaper u = {.flags = flags};
	char quote = '\0', *word;
	int error = 0;

	if (length == 0)
		return 0;
	word = arena_strndup(arena, start, length);
	if (!word)
		return -ENOMEM;
	u.at = u.out = word;
	while (error == 0 && *u.at) {
		char c = *u.at++;

		if (c == '\\')
			error = unescape(&u);
		else if (quote ? c == quote : c == '"' || c == '\'')
			quote = quote ? '\0' : c;
		else if (c == WORDS_SEPARATOR)
			error = refuse(&u, "a control byte");
		else
			*u.out++ = c == ':' && flags & WORDS_COLON ? WORDS_SEPARATOR : c;
	}
	if (error == 0 && quote)
		error = refuse(&u, "a quote that is not closed");
	if (error < 0) {
		*message = u.message;
		return error;
	}
	*u.out = '\0';
	*text = start + length;
	*ret = word;
	return 1;
}

void words_quote(const char *word, enum words_flags flags, FILE *out)
{
	bool quotes = *word == '\0' || strpbrk(word, WHITE_SPACE "\"'\\;#") != NULL;

	if (quotes)
		putc('"', out);
	while (*word) {
		unsigned char c = (unsigned char)*word;
		size_t length = utf8_sequence(word, NULL);

		if (c == '\n')
			fputs("\\n", out);
		else if (c == '\t')
			fputs("\\t", out);
		else if (length == 0 || c < 0x20 || c == 0x7f)
			fprintf(out, "\\x%02x", c);
		else if (c == '"' || c == '\\' || (c == ':' && flags & WORDS_COLON))
			fprintf(out, "\\%c", c);
		else if ((c == '%' && flags & WORDS_SPECIFIER) || (c == '$' && flags & WORDS_VARIABLE))
			fprintf(out, "%c%c", c, c);
		else
			fwrite(word, 1, length ? length : 1, out);
		word += length ? length : 1;
	}
	if (quotes)
		putc('"', out);
}
