/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "memory.h"
#include "pressure.h"
#include "state.h"

struct daemon;
struct site;

/* The ceilings of the host. While memory is short, by MemoryKeepFree= or by the kernel's word, the coldest
 * sites go a rung down, one after another, those of the lowest Priority= first: what is frozen is paged out,
 * what has been awake without use is frozen and paged out, and where the swap is full, what sleeps is stopped.
 * Starts go one at a time meanwhile. Above MaxAwake= the coldest of those that are awake and idle are frozen.
 */
struct shortage {
	struct pressure pressure;
	uv_timer_t timer; /* looks again, while something is awake or memory is short */
	struct memory memory;
	uint64_t looked_ns; /* when memory was read; 0: never */
	uint64_t keep_free_bytes;
	uint64_t under_way; /* the id of the site that goes down; 0: none */
	unsigned n_awake;
	unsigned n_downs; /* since memory became short */
	bool low;
};

/* Begins to watch, by the daemon's configuration. -errno. */
int shortage_start(struct daemon *daemon);

/* Ends that. */
void shortage_stop(struct daemon *daemon);

/* A site has changed its state: what follows is done from the loop, not now. */
void shortage_site_changed(struct site *site, enum site_state from);
