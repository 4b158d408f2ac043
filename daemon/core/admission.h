/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

struct run;

/* A start that waits. */
struct admission_place {
	struct run *run;
	unsigned turn; /* of its slice: among those of one priority the lower comes first */
};

/* How many starts are under way at a time, and who comes next: by Priority=, then slice by slice in turn, so
 * that nobody stands behind all the sites of another customer, then first come first served. A slice within
 * another takes its turns; sites that are in none have them together. The kernel's backlog is the queue of
 * those who wait for a site; this is the queue of sites. */
struct admission {
	struct admission_place *places;  /* [size]; owned */
	struct admission_place *waiting; /* within them; next first */
	unsigned n_waiting, size;
	unsigned starting, limit;
	unsigned opening; /* as few may, at most: see opening.h */
	bool narrow;      /* memory is short: one at a time */
	bool closed;      /* torpord stops: none */
	bool going_on;    /* admission_go_on() is under way: starts that fail at once end up in it again */
};

void admission_finish(struct admission *admission);

/* Starts the run's site now (wake_launch()), or when its turn comes. -ENOMEM. */
int admission_request(struct admission *admission, struct run *run);

/* Whether another start than one that has just begun is under way, or waits, or opens. */
bool admission_is_crowded(const struct admission *admission);

/* Starts one site at a time from now on, or as many as the limit says. */
void admission_narrow(struct admission *admission, bool narrow);

/* Nobody starts any more: torpord stops. */
void admission_close(struct admission *admission);

/* There may be room for whoever is next. */
void admission_go_on(struct admission *admission);

/* The run gives its place among the starts up, where it has one. Starts nobody: admission_go_on() does. */
void admission_give_up(struct admission *admission, struct run *run);

/* The run's start is over, or it gives its place in the queue up; where it has neither, nothing. Starts whoever
 * is next. */
void admission_release(struct admission *admission, struct run *run);
