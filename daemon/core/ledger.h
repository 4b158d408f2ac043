/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gaps.h"
#include "state.h"

/* What a site has cost and saved since it first woke: counters and two sketches, in a quarter of a kilobyte.
 * Pure. */

/* How long each wake took, by half octaves from 64 us to 45 s; a count that is full halves all, so that it
 * is the last few hundred that tell. */
#define SKETCH_BUCKETS 40
struct sketch {
	uint8_t counts[SKETCH_BUCKETS];
};

enum ledger_time { LEDGER_AWAKE, LEDGER_FROZEN, LEDGER_PAGED, LEDGER_COLD, LEDGER_TIMES };

struct ledger {
	uint64_t since_us;               /* CLOCK_REALTIME; 0: nothing is counted yet */
	uint64_t at_ns;                  /* CLOCK_MONOTONIC up to which time is counted */
	uint64_t spent_us[LEDGER_TIMES]; /* starting, freezing and stopping are awake; paging is frozen; failed
					    is cold */
	uint64_t saved_kib_s;            /* KiB times seconds that it would have used, had it stayed awake */
	uint32_t wakes, thaws, failures;
	uint32_t awake_kib, paged_kib; /* of memory, at the end of the last such time; 0: not known */
	uint64_t window_us;            /* that the gaps are part of */
	uint64_t idle_since_ns;        /* CLOCK_MONOTONIC of the last use, while it is not awake; else 0 */
	struct gaps gaps;              /* between uses */
	struct sketch cold, thaw;      /* how long wakes took */
};

/* Counts the time that has passed since the last call to the state that the site was in. */
void ledger_account(struct ledger *ledger, enum site_state state, uint64_t now_ns);

/* Notes the times between uses that the reaper has seen; that it is used again now. */
void ledger_add_gaps(struct ledger *ledger, const struct gaps *gaps);
void ledger_used(struct ledger *ledger, uint64_t now_ns);

void sketch_add(struct sketch *sketch, uint64_t us);

/* The time within which that many of a hundred were, right to a fifth; 0: there was none. */
uint64_t sketch_quantile(const struct sketch *sketch, unsigned percent);

/* One line of the ledger's file, its newline included; name has no blank. 0 or -ENOBUFS. */
#define LEDGER_LINE_BYTES 800
int ledger_format(const struct ledger *ledger, const char *name, char buf[static LEDGER_LINE_BYTES]);

/* Reads such a line, which it changes: *name points into it. -EBADMSG. */
int ledger_parse(char *line, const char **name, struct ledger *ret);
