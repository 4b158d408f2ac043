/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "site.h"

/* The state machine: an event, the state that follows by the tables of state.h, and what is done on the way
 * into it. */

/* Something happened; by says to people why ("connection on 127.0.0.1:80"), a static string. Returns false when
 * the table has no answer, and nothing was done. The site may be gone when this returns. */
bool site_dispatch(struct site *site, enum site_event event, const char *by);

/* The same, where it is known who or what is behind it. */
bool site_dispatch_from(struct site *site, enum site_event event, const char *by, const struct cause *cause);

/* Its container has ended, cleanly (status 0) or not; how says it in words. */
void site_ended(struct site *site, bool clean, const char *how);

/* The only place that writes a site's state, and what goes with each: its listeners are watched or not, its
 * timer runs, and who wants to know is told. For the ways into a state: wake.c, freeze.c, stop.c. */
void site_set_state(struct site *site, enum site_state state, const char *by);
