/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stddef.h>

struct arena;

/* The states of a site, by the names the daemon gives them. state may be NULL or a name that is not known. */

/* A style mark. */
const char *state_mark(const char *state);

/* state escaped and in its colour. */
const char *state_format(struct arena *arena, const char *state);

/* The order of a live view: lower is busier. */
size_t state_rank(const char *state);

/* "12 awake, 3 frozen, 988 cold" from an object {state: number}; states without a site are left out. NULL when
 * nothing is left. */
const char *state_format_counts(struct arena *arena, const json_t *counts);
