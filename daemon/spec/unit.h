/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "diag.h"

/* One line "Key=Value" of a file. The strings belong to the unit. */
struct assignment {
	const char *section, *key;
	const char *value;       /* continuations joined, white space around it gone; "" resets */
	unsigned line;           /* from 1: where it starts */
	const struct key *known; /* what key_resolve() found; NULL: to be passed over */
};

/* The text of one file, split by the rules of systemd.syntax(7). Immutable and counted: a template's unit is
 * shared by all sites that build on it. */
struct unit {
	unsigned references;
	char *path;                     /* as it was opened; owned */
	char *text;                     /* what the assignments point into; owned */
	struct assignment *assignments; /* [n_assignments], in the order of the file; owned */
	size_t n_assignments;
};

/* Splits text into assignments. path is only a name, for errors. 0 and a new unit with one reference;
 * -EINVAL with *diag for a NUL or another control byte, a line or file too long, text that is not UTF-8, and
 * lines that are no section, assignment or comment; or -ENOMEM. */
int unit_parse(const char *path, const char *text, size_t size, struct unit **ret, struct diag *diag);

/* The same for a file. Also what open(2) and read(2) say; -EISDIR, -EINVAL for what is no regular file. */
int unit_read(const char *path, struct unit **ret, struct diag *diag);

struct unit *unit_ref(struct unit *unit);
void unit_unref(struct unit *unit);
