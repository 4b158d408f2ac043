/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "state.h"

struct daemon;
struct run;
struct site;

/* The rungs below frozen: when a site that sleeps takes the next one, and how its memory gets to the swap. */

/* Starts the pager, and looks after memory from then on. -errno, which has been logged. */
int ladder_start(struct daemon *daemon);

/* Ends it. */
void ladder_stop(struct daemon *daemon);

/* How long a site that sleeps stays on its rung, by the times of its unit: SPEC_INFINITY: for ever. */
uint64_t ladder_left_us(const struct site *site);

/* The same for one rung: until it is paged out, until it is stopped. */
uint64_t ladder_page_out_left_us(const struct site *site);
uint64_t ladder_stop_left_us(const struct site *site);

/* The event that the time of a sleeping site stands for, now that it is over. */
enum site_event ladder_due(const struct site *site);

/* Hands the memory of a site that has just become STATE_PAGING to the pager; EVENT_PAGED or EVENT_FROZEN comes
 * of it, or where its unit says so EVENT_TIMEOUT. by: what asked for it, a static string. */
void ladder_page_out(struct site *site, const char *by);

/* Stops a site that sleeps as if its time were over, but for what has come in: that wakes it. */
void ladder_give_up(struct site *site, const char *by);

/* It is awake, or ends: the pager leaves it alone. */
void ladder_cancel(struct run *run);
