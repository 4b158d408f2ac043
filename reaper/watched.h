/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_FUNCTION     HASH_FNV
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "gaps.h"
#include "knock.h"
#include "neglect.h"
#include "reaper.h"
#include "tally.h"
#include "verdict.h"

struct sockdiag;

/* A tracked site. A scan holds a reference to each that it looks at, so that it can look without the lock and
 * the caller can untrack meanwhile. */
struct watched {
	/* Never changed. */
	uint64_t id;
	int cgroup_fd;                     /* owned */
	struct reaper_listener *listeners; /* owned */
	unsigned n_listeners;
	uint64_t datagrams; /* which of them */
	struct idle_policy policy;
	uint64_t request_timeout_us;

	/* Under the lock. */
	unsigned references;
	bool tracked; /* in sites */
	bool announced_busy;
	uint64_t busy_until_ns; /* CLOCK_MONOTONIC; announced too */
	struct idle_state state;
	uint64_t given_ns, used_ns; /* when a verdict was handed out last; the last use before that */
	struct neglect neglect;
	struct gaps gaps;
	struct reaper_activity activity;
	enum idle_verdict verdict;   /* queued; IDLE_BUSY: none */
	struct watched *prev, *next; /* in queue */
	UT_hash_handle hh;

	/* Of the scanning thread. */
	struct knock *knocks; /* at each of the listeners; owned */
	struct tally tally;
	struct idle_sample sample;
};

/* A copy of site, tracked from now on, with one reference; takes cgroup_fd over if it succeeds. NULL when out
 * of memory. */
struct watched *watched_create(const struct reaper_site *site);

/* Gives a reference back; under the lock. */
void watched_release(struct watched *site);

/* Looks at n sites: fills their samples, all but announced_busy. Without the lock: this takes milliseconds. */
void watched_look(struct watched *const *sites, size_t n, struct tally_table *table, struct sockdiag *diag);
