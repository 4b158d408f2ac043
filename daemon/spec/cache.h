/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "unit.h"

/* The files of one site or template: its own, then its drop-ins. */
struct unit_set {
	struct unit **units; /* [n_units], a reference of each; owned */
	size_t n_units;
};

void unit_set_finish(struct unit_set *set);

/* What spec_cache of spec.h remembers. */
struct spec_cache;

/* The files of the template of this name, or NULL. The cache's own, until spec_cache_clear(). */
const struct unit_set *cache_find(const struct spec_cache *cache, const char *name);

/* Takes *set, which is empty then, and returns what cache_find() will; -ENOMEM leaves it as it is. */
int cache_add(struct spec_cache *cache, const char *name, struct unit_set *set, const struct unit_set **ret);
