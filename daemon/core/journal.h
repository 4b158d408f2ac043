/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdint.h>

struct site;

/* What has happened lately: the last changes of state of all sites, for those who ask afterwards. */

#define JOURNAL_ENTRIES      1024 /* kept; about 200 bytes each */
#define JOURNAL_DETAIL_BYTES 768  /* the longest detail, its end included */

struct journal_entry {
	uint64_t time_us; /* CLOCK_REALTIME */
	uint64_t took_us; /* of a wake; else 0 */
	uint64_t site_id;
	char *site;     /* owned */
	const char *by; /* why; static text */
	char *detail;   /* what exactly: an address, who gave the command, what failed; owned; NULL: nothing */
	uint8_t from, to;
};

/* Zero-initialised is empty. */
struct journal {
	struct journal_entry *entries; /* a ring; owned */
	unsigned first, n;
};

void journal_finish(struct journal *journal);

/* Remembers a copy of the entry in the place of the oldest. Out of memory: it is not remembered. */
void journal_add(struct journal *journal, const struct journal_entry *entry);

/* The i-th of n, the oldest first. */
const struct journal_entry *journal_at(const struct journal *journal, unsigned i);

/* An Event of io.torpor. A new reference; NULL when out of memory. */
json_t *journal_event(const struct journal_entry *entry);
