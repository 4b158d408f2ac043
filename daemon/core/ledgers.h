/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "ledger.h"

struct daemon;
struct ledgers;
struct site;

/* The ledgers of all sites that have ever woken, and the file STATE/ledger that they outlive torpord in:
 * replaced as a whole, LEDGERS_WRITE_MS after the first wake since it was written last, and at the end. */

#define LEDGERS_WRITE_MS   (10 * 60 * 1000)
#define LEDGERS_FILE_BYTES (64 * 1024 * 1024) /* the largest that is read */
#define LEDGERS_ABSENT_MAX 10000              /* kept of sites that are not there now */

/* Reads the file. A line that makes no sense is left out, and said so. 0 and *ret, or -errno. */
int ledgers_create(struct daemon *daemon, struct ledgers **ret);

/* Remembers what to write, before the sites are gone; then, when the loop is over, writes and frees. NULL is
 * fine. */
void ledgers_close(struct ledgers *ledgers);
void ledgers_destroy(struct ledgers *ledgers);

/* A site has come: it goes on with its ledger. It is about to go: its ledger stays. */
void ledgers_take(struct site *site);
void ledgers_leave(struct site *site);

/* A site has changed its state from before, in took_us if that was a wake. */
void ledgers_site_changed(struct site *site, enum site_state before, uint64_t took_us);

/* Takes in what the reaper has seen of a site that it watches: before it stops to. */
void ledgers_note_gaps(struct site *site);

/* A Ledger of io.torpor; NULL: the site has not woken yet. */
json_t *ledgers_report(const struct site *site);
