/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lookup.h"
#include "spec.h"
#include "unit.h"

#define BUILD_SCRATCH_BYTES (16 * 1024 * 1024) /* the most memory that reading one site may take */

/* What a spec is made of. Nothing is owned. */
struct build_input {
	const struct lookup *lookup;
	const char *name;          /* of the site */
	const char *path;          /* of its file, for errors that have no line */
	struct unit *const *units; /* [n_units], resolved with site_keys, in the order they apply */
	size_t n_units;
	const char *const *templates; /* nearest first, NULL-terminated, or NULL */
	bool fragment;                /* a template or drop-in alone: need not be a whole site */
};

/* Makes the spec: reads all assignments in their order, replaces specifiers and variables, checks the whole.
 * 0 and *ret, one block of memory to be freed with spec_free(); -EINVAL or -ENOMEM with *diag. */
int build_spec(const struct build_input *input, struct site_spec **ret, struct diag *diag);
