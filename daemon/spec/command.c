/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "spec.h"
#include "words.h"

#define NAME_START "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
#define NAME       NAME_START "0123456789"

/* The command that is being made. */
struct command {
	const char *const *environment;
	struct arena *arena;
	const char **words; /* room for SPEC_LIST_MAX and the NULL */
	size_t n;
	size_t bytes; /* of all words and their NULs */
	char *message;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct command *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->message, COMMAND_MESSAGE_BYTES, format, args);
	va_end(args);
	return -EINVAL;
}

static const char *find_variable(const struct command *c, const char *name, size_t length)
{
	for (const char *const *at = c->environment; at && *at; at++)
		if (strncmp(*at, name, length) == 0 && (*at)[length] == '=')
			return *at + length + 1;
	return "";
}

/* Takes word, a string in the arena. */
static int add_word(struct command *c, const char *word)
{
	size_t size = strlen(word) + 1;

	if (c->n >= SPEC_LIST_MAX)
		return refuse(c, "more than %d words, its variables replaced", SPEC_LIST_MAX);
	if (size > SPEC_LINE_BYTES - c->bytes)
		return refuse(c, "more than %d bytes, its variables replaced", SPEC_LINE_BYTES);
	c->bytes += size;
	c->words[c->n++] = word;
	return 0;
}

/* A word "$NAME": its value's words. */
static int add_split(struct command *c, const char *name)
{
	const char *value = find_variable(c, name, strlen(name)), *message = NULL;
	char *word;
	int error;

	while ((error = words_next(&value, 0, c->arena, &word, &message)) > 0) {
		error = add_word(c, word);
		if (error < 0)
			return error;
	}
	return error == -EINVAL ? refuse(c, "$%.64s holds %s", name, message) : error;
}

/* At a '$': the text to put there, and how much of the word it takes the place of. */
static int replace(struct command *c, const char *at, const char **ret, size_t *ret_length, size_t *ret_taken)
{
	size_t length;

	*ret = at;
	*ret_length = 1;
	*ret_taken = at[1] == '$' ? 2 : 1;
	if (at[1] != '{')
		return 0;
	length = strspn(at + 2, NAME);
	if (length == 0 || !strchr(NAME_START, at[2]) || at[2 + length] != '}')
		return refuse(c, "'%.32s': expected ${NAME}, or $$ for a dollar sign", at);
	if (c->n == 0)
		return refuse(c, "a variable in the program's path; expected a fixed one");
	*ret = find_variable(c, at + 2, length);
	*ret_length = strlen(*ret);
	*ret_taken = length + 3;
	return 0;
}

static int add_replaced(struct command *c, const char *word)
{
	char out[SPEC_LINE_BYTES];
	size_t used = 0;
	char *copy;

	while (*word) {
		const char *piece = word;
		size_t length = strcspn(word, "$"), taken = length;

		if (length == 0) {
			int error = replace(c, word, &piece, &length, &taken);

			if (error < 0)
				return error;
		}
		if (length > sizeof out - used)
			return refuse(c, "more than %d bytes, its variables replaced", SPEC_LINE_BYTES);
		memcpy(out + used, piece, length);
		used += length;
		word += taken;
	}
	copy = arena_strndup(c->arena, out, used);
	return copy ? add_word(c, copy) : -ENOMEM;
}

static int add_expanded(struct command *c, const char *word)
{
	size_t length;

	if (!strchr(word, '$'))
		return add_word(c, word);
	if (word[0] != '$' || word[1] == '\0' || !strchr(NAME_START, word[1]))
		return add_replaced(c, word);
	length = strspn(word + 1, NAME);
	/* systemd would take the whole for a name, find no such variable, and drop the word without a sign. */
	if (word[1 + length])
		return refuse(c, "'%.32s': expected ${%.*s} inside a word, or $$ for a dollar sign", word,
			      length > 32 ? 32 : (int)length, word + 1);
	if (c->n == 0)
		return refuse(c, "a variable as the program; expected a fixed path");
	return add_split(c, word + 1);
}

int command_expand(const char *const *words, const char *const *environment, struct arena *arena,
		   const char *const **ret, char message[static COMMAND_MESSAGE_BYTES])
{
	const char *room[SPEC_LIST_MAX + 1];
	struct command c = {.environment = environment, .arena = arena, .words = room, .message = message};

	for (; *words; words++) {
		int error = add_expanded(&c, *words);

		if (error < 0)
			return error;
	}
	c.words = arena_alloc(arena, (c.n + 1) * sizeof *c.words);
	if (!c.words)
		return -ENOMEM;
	memcpy(c.words, room, c.n * sizeof *c.words);
	*ret = c.words;
	return 0;
}
