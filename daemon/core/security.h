/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "exposure.h"
#include "lookup.h"

struct site;

/* What the calls of a plan come to, kept for the next site that has the same. */
struct security_cache {
	struct blob *blob; /* a reference, or NULL */
	struct exposure_calls calls;
};

/* Before the pool of the blob is finished. */
void security_cache_finish(struct security_cache *cache);

/* The type Security of io.torpor.varlink: of the container that runs, else of the plan in force. A new
 * reference; NULL when out of memory. */
json_t *security_report(const struct site *site, bool brief);

/* The same for files that need not be in force, without a daemon: paths of sites and templates, and names of
 * templates, on a host that enforces every limit. Prints one JSON array of Security, and errors as
 * file:line: message. Returns the exit code: 1 when there was an error. */
int security_files(const struct lookup *lookup, char **names, bool brief);
