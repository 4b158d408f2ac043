/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "state.h"

struct site;

/* The way to cold; by: see site_dispatch(). A container that runs is frozen before it is signalled, and looked
 * at where it has not been found idle. */

/* Begins with what there is: a start that waits or is under way, a container that runs or sleeps. */
void stop_begin(struct site *site, enum site_event event, const char *by);

/* What happens while it stops. */
void stop_go_on(struct site *site, enum site_event event);

/* How long a site that stops may take from now on, at the most, until its processes are killed and its network
 * is taken back: microseconds; SPEC_INFINITY: no limit. */
uint64_t stop_left_us(const struct site *site);

/* Cold or failed: nothing is left of the run but, when failed, its timer. The site may be gone then. */
void stop_complete(struct site *site, enum site_state state, const char *by);
