/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "arena.h"

#define COMMAND_MESSAGE_BYTES 160

/* Replaces variables in the words of ExecStart=, as systemd.service(5): "${NAME}" inside a word by its value,
 * a word "$NAME" by the words that its value splits into (none when it is empty), "$$" by "$". environment
 * is a NULL-terminated list of "NAME=value", or NULL; a name that is not in it is empty. *ret is a new list in
 * the arena. -EINVAL with a message (a variable as the program; more than SPEC_LIST_MAX words or
 * SPEC_LINE_BYTES bytes), or -ENOMEM. */
int command_expand(const char *const *words, const char *const *environment, struct arena *arena,
		   const char *const **ret, char message[static COMMAND_MESSAGE_BYTES]);
