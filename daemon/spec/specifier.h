/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "address.h"
#include "arena.h"
#include "lookup.h"

#define SPECIFIER_MESSAGE_BYTES 128

/* What specifiers stand for in one site. Nothing is owned. */
struct specifier_context {
	const struct lookup *lookup;
	const char *name;            /* the site */
	const char *user, *group;    /* as written; NULL: not set */
	const struct address *first; /* the first listener; NULL: not known yet */
	bool owner_known;            /* %u and %g may be used */
};

/* Every specifier and what it stands for, for the manual page; ends with a letter of 0. */
struct specifier_help {
	char letter;
	const char *meaning;
};
extern const struct specifier_help specifier_table[];

/* Replaces "%i" and its kin in text. *ret is text itself where there is nothing to replace, else a string in
 * the arena. -EINVAL with a message for an unknown specifier, one that cannot be used here, and a result of
 * more than SPEC_LINE_BYTES; -ENOMEM. */
int specifier_expand(const struct specifier_context *context, const char *text, struct arena *arena,
		     const char **ret, char message[static SPECIFIER_MESSAGE_BYTES]);
