/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "sandbox.h"

#define SANDBOX_KINDS_MAX    4  /* for which sandboxes are made ahead: the templates of a host are few */
#define SANDBOX_KINDS_STARTS 64 /* a kind that none of so many starts was of is forgotten */

/* A kind of sandbox that starts have asked for. */
struct known_kind {
	struct shared_root *shared; /* from which they were made; not owned */
	struct sandbox_kind kind;   /* its list is owned */
	uint64_t used;              /* the number of the last start of this kind */
	unsigned making;            /* are being made at present */
};

/* What the next starts are likely to ask for, the most recent first. */
struct sandbox_kinds {
	struct known_kind known[SANDBOX_KINDS_MAX];
	unsigned n;
	uint64_t starts;
};

/* A start asks for a kind. -ENOMEM: it is not among them then. */
int sandbox_kinds_use(struct sandbox_kinds *kinds, struct shared_root *shared, const struct sandbox_kind *kind);

/* NULL: not known, or no more. Good until the next sandbox_kinds_use(). */
struct known_kind *sandbox_kinds_find(struct sandbox_kinds *kinds, const struct shared_root *shared,
				      const struct sandbox_kind *kind);

void sandbox_kinds_finish(struct sandbox_kinds *kinds);
