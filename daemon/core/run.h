/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "reaper.h"
#include "site.h"

/* The handles and descriptors of a run; what they report goes to site_dispatch(). */

/* A run in which nothing happens yet, in the daemon's list. NULL when out of memory. */
struct run *run_create(struct site *site);

/* Closes everything; the memory is given up by the loop. A process or a cgroup that is left is not touched.
 * NULL is fine. */
void run_destroy(struct run *run);

/* Takes hold of the process that the run's job has started, and watches for its end. -errno. */
int run_attach(struct run *run);

/* The run whose container's first process that is, or NULL. */
struct run *run_of_process(const struct daemon *daemon, pid_t pid);

/* Lets go of a container that has ended, and removes its cgroup. */
void run_detach(struct run *run);

/* Enters the control groups around its own: those of its slice, with the controllers that its limits need.
 * -errno, with the failure recorded. */
int run_enter_group(struct run *run);

/* Puts the limits of the plan in force into force in the container that runs; where there is none, nothing. */
void run_enforce(struct run *run);

/* Watches cgroup.events while the container freezes, or stops to. -errno. */
int run_watch_freeze(struct run *run);
void run_unwatch_freeze(struct run *run);

/* Holds the connections of a container that is frozen, anew: see hold_take(). */
int run_hold(struct run *run, uv_poll_cb callback, void *data);
void run_let_go(struct run *run);

/* Arms the timer, once; SPEC_INFINITY: it is stopped. */
void run_set_timer(struct run *run, uint64_t timeout_us);

/* Whether something is there to be read on a held connection, or waits for a listener. */
bool run_pending(const struct run *run);

/* Its listeners as the reaper knows them: how many. */
unsigned run_listeners(const struct site_spec *spec,
		       struct reaper_listener listeners[static SPEC_LISTENERS_MAX]);

/* Hands the site's wishes and addresses to the reaper, or takes them back. -errno, and the run is stuck: the
 * timer of its state, set anew, is for another try. */
int run_track(struct run *run);
void run_untrack(struct run *run);
