/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "arena.h"
#include "diag.h"
#include "lookup.h"
#include "spec.h"

/* A slice: a group of sites that share one control group and its limits. Its file, slices/NAME.slice, need not
 * be there. As in systemd "customer-shop" lies in "customer", by its name alone. */
struct slice_spec {
	const char *name;                /* the name first: key->through is never 0 */
	const char *description;         /* default: the name */
	struct resource_spec *resources; /* [Resources] */
	struct arena arena;              /* which all of it is in */
};

/* A valid name, with a single '-' between its parts. */
bool slice_valid_name(const char *name);

/* The name of the slice that this one lies in, into parent, which may be name itself; false where it lies in
 * none. */
bool slice_parent(const char *name, char *parent, size_t size);

/* Whether a slice is this one or lies in it, near or far. */
bool slice_contains(const char *outer, const char *name);

/* "customer.slice/customer-shop.slice": a string in the arena; NULL when out of memory. */
char *slice_path(struct arena *arena, const char *name);

/* Reads the file that is in force for a name, and its drop-ins. 0 and *ret, to be freed with slice_free();
 * -ENOENT without a diag where there is none; -EINVAL and others with *diag. */
int slice_load(const struct lookup *lookup, const char *name, struct slice_spec **ret, struct diag *diag);

/* Checks a file with the drop-ins beside it, or a drop-in alone. */
int slice_check_file(const char *path, struct diag *diag);

bool slice_same(const struct slice_spec *a, const struct slice_spec *b);
void slice_free(struct slice_spec *spec);
