/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* The life of a site as two tables: which state follows on which event, and what each state has. Pure. */

enum site_state {
	STATE_ILLEGAL, /* 0: a forgotten cell of the table is loud */
	STATE_COLD,
	STATE_STARTING,
	STATE_AWAKE,
	STATE_FREEZING,
	STATE_FROZEN,
	STATE_PAGING,
	STATE_PAGED,
	STATE_STOPPING,
	STATE_FAILED,
	SITE_STATES
};

enum site_event {
	EVENT_CONNECTION, /* something waits in a listener's queue, or on a held connection */
	EVENT_WAKE,       /* a command, Keep=, or the time for it */
	EVENT_READY,      /* the program has been executed; with Type=notify: it said READY=1 */
	EVENT_FAILED,     /* the start failed, or the container died and is to blame */
	EVENT_EXITED,     /* the container has ended, with nothing to blame */
	EVENT_FREEZE,     /* found idle, or a command */
	EVENT_FROZEN,     /* the kernel says that all of it is frozen; of what pages out: it stays in memory */
	EVENT_PAGE_OUT,   /* found idle for longer, memory is short, or a command */
	EVENT_PAGED,      /* its memory is in the swap */
	EVENT_STOP,       /* found idle for longer, a command, or the site is removed */
	EVENT_TIMEOUT,    /* the state's timer */
	SITE_EVENTS
};

/* The timer that runs in a state. */
enum site_timer {
	TIMER_NONE,
	TIMER_START,  /* TimeoutStartSec= */
	TIMER_ACCEPT, /* TimeoutStartSec= again, after which nothing accepted is worth saying; or another try of
		       * what did not work at the wake */
	TIMER_FREEZE, /* a freeze that does not finish is undone */
	TIMER_FROZEN, /* until PageOutAfterSec= or StopAfterSec= is over */
	TIMER_STOP,   /* TimeoutStopSec= */
	TIMER_BACKOFF, /* 1 s to 60 s after a failure */
};

struct site_rule {
	const char *name;
	bool watched;   /* listeners are in epoll: while the container accepts, that would be a busy loop */
	bool container; /* there is, or may be, a process */
	bool asleep;    /* it is frozen, and its open connections are held */
	bool settled;   /* commands that wait have their answer */
	enum site_timer timer;
};

/* The state that follows, or STATE_ILLEGAL. */
enum site_state site_next(enum site_state state, enum site_event event);

const struct site_rule *site_rule(enum site_state state);
const char *site_event_name(enum site_event event);

/* The state named so, or STATE_ILLEGAL. */
enum site_state site_state_from_name(const char *name);

/* The first table in Markdown, as it stands in the README. */
void site_states_print(FILE *out);
