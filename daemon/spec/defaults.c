/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "defaults.h"

#include <assert.h>
#include <pthread.h>

#include "arena.h"
#include "key.h"

static struct resource_spec resources;
static struct site_spec site = {.resources = &resources};

/* No default is a string or a list, so that nothing is allocated and nothing can fail. */
static void fill(void)
{
	struct arena arena;

	arena_init(&arena);
	if (key_set_defaults(&site_keys, &site, &arena) < 0 || arena.chunk)
		assert(!"a default in the key table is no value of its key");
	arena_finish(&arena);
}

const struct site_spec *defaults_site(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, fill);
	return &site;
}
