/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <uthash.h>

#include "diag.h"

/* A unit on disk that is not in force, and why. The site, where there is one, runs on its last good unit. */
struct refused {
	UT_hash_handle hh;
	char *name; /* the site's or the slice's; owned */
	int error;  /* -errno */
	struct diag diag;
};

/* Remembers an error of a site's (noun) or a slice's unit; replaces an older one. Says so in the log, once for
 * each new text. */
void refused_set(struct refused **table, const char *noun, const char *name, int error,
		 const struct diag *diag);

/* The unit is in force, or gone. */
void refused_clear(struct refused **table, const char *noun, const char *name);

struct refused *refused_find(struct refused *table, const char *name);
void refused_clear_all(struct refused **table);
