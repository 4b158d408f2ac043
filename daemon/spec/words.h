/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

#include "arena.h"

/* A ':' that was not escaped, in words read with WORDS_COLON. */
#define WORDS_SEPARATOR '\x1f'

enum words_flags {
	WORDS_COLON = 1,     /* "\:" is a colon, and a bare ':' becomes WORDS_SEPARATOR */
	WORDS_SPECIFIER = 2, /* when quoting: '%' is doubled */
	WORDS_VARIABLE = 4,  /* when quoting: '$' is doubled */
};

/* Takes the next word off *text, as systemd.syntax(7): words are separated by white space; "..." and '...'
 * hold it; a backslash starts a C escape (\n \t \s \x41 \101 \u00e9 \\ \" \' \;). 1 and *ret, a string in the
 * arena; 0 at the end of the text; -EINVAL and *message for an open quote or an unknown escape; -ENOMEM. */
int words_next(const char **text, enum words_flags flags, struct arena *arena, char **ret,
	       const char **message);

/* Writes word so that words_next() reads it again, in quotes where it needs them. */
void words_quote(const char *word, enum words_flags flags, FILE *out);
