/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "connections.h"

/* The thread that looks who is connected to a site, when somebody asks: after a wake, or for `torporctl why`.
 * One dump of the kernel's tables answers all that have been asked meanwhile. The kernel walks the whole table
 * of TCP connections for that, a millisecond and more in which it gives the processor to nobody: so the thread
 * first lets a burst of wakes be over. */

#define LOOKER_QUESTIONS_MAX 1024      /* that wait; more are refused */
#define LOOKER_QUIET_NS      10000000  /* without a question, before it looks; */
#define LOOKER_ANYWAY_NS     100000000 /* so long after the first where they never leave off */

struct looker;
struct reaper_listener;

/* Who is connected to a site now? */
struct looker_question {
	uint64_t id, tag;                        /* the caller's: they come back with the answer */
	const struct reaper_listener *listeners; /* copied */
	unsigned n_listeners;
	uint64_t since_ns; /* CLOCK_MONOTONIC: who has come since then? 0: that is not asked */
	bool fresh;        /* nobody was connected before */
};

struct looker_answer {
	uint64_t id, tag;
	bool known; /* the kernel's tables could be read */
	struct connections connections;
};

/* Starts the thread. notify(userdata) is called from it whenever answers have been queued, and must only wake
 * the caller's loop. -errno. */
int looker_create(void (*notify)(void *userdata), void *userdata, struct looker **ret);

/* Stops and joins the thread. NULL is fine. */
void looker_destroy(struct looker *looker);

/* -ENOMEM; -EBUSY when too many questions wait. */
int looker_ask(struct looker *looker, const struct looker_question *question);

/* Takes the next answer: true and *ret, or false. */
bool looker_next_answer(struct looker *looker, struct looker_answer *ret);
