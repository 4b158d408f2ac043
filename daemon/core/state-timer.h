/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

struct site;

/* The timer of a site's state: what runs is in the tables of state.h, and how long it does in the unit. */

#define STATE_FREEZE_TIMEOUT_US UINT64_C(2000000) /* a freeze that takes longer is undone (D state, FUSE) */

/* Arms it for the state that the site is in, anew; where there is none, it is stopped. */
void state_timer_set(struct site *site);

/* When it will fire, in microseconds from now; UINT64_MAX when none runs. */
uint64_t state_timer_left_us(const struct site *site);
