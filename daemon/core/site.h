/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <uthash.h>
#include <uv.h>

#include "container.h"
#include "enforcement.h"
#include "drain.h"
#include "failure.h"
#include "hold.h"
#include "launcher.h"
#include "listener.h"
#include "opening.h"
#include "plan.h"
#include "state.h"

struct attached;
struct daemon;
struct history;
struct cause;
struct site;

/* What a site has only while it is not cold: a failed start, a container, the timers of its state. */
struct run {
	struct run *prev, *next; /* of the daemon's runs */
	UT_hash_handle hh;       /* by the pid of its container, in the daemon's processes */
	struct site *site;
	struct container container;
	struct launch_plan *plan; /* the plan it was started with; one reference */
	struct attached *network; /* its attachment to a CNI network, or NULL */
	struct group *group;      /* the slice it has entered, or NULL */
	struct launch_job job;
	struct enforcement enforcement; /* of the container's limits */
	struct hold hold;
	struct drain drain;
	struct opening opening;
	uv_poll_t pidfd_poll, events_poll;
	uv_timer_t timer;
	unsigned open_handles;       /* freed when the loop has given the last one back */
	bool job_in_flight;          /* the launcher has it */
	bool queued;                 /* waits for admission */
	bool admitted;               /* holds a place among the starts under way */
	bool long_turns;             /* its threads have them: see turns.h */
	bool failed_start;           /* what ends next is to blame: a start that took too long */
	bool killed;                 /* cgroup.kill was written: how it ended is our doing */
	bool signalled;              /* KillSignal= was sent */
	bool stop_when_frozen;       /* the verdict was stop: freeze, look, then stop */
	bool paging;                 /* the pager has it */
	bool paged_before;           /* its memory has been in the swap as a whole */
	struct footprint *footprint; /* what it had used when it was paged out last; owned; NULL: not known */
	int page_error;              /* why it was not paged out since it sleeps; 0: not tried, or done */
	const char *page_by;         /* what asked for that, or will once it is frozen; static; NULL: nothing */
	bool busy;                   /* TORPOR_BUSY=1 of sd_notify */
	bool asked;             /* awake by a visitor's bytes over TCP: whether that is use, the reaper sees */
	bool spoke;             /* has said that it is in use since the freeze began */
	uint64_t busy_until_ns; /* EXTEND_TIMEOUT_USEC= while it was awake: CLOCK_MONOTONIC */
	bool hurried;           /* HibernateOnCalendar= has come: see site_hurry() */
	bool tracked;           /* the reaper watches it */
	bool stuck;        /* awake, but it could not be thawed or tracked: tried again, see wake_go_on() */
	bool notify_ready; /* READY=1 came before the launcher's answer */
	uint64_t last_active_ns; /* CLOCK_MONOTONIC, when it was found idle */
	uint64_t wake_ns;        /* CLOCK_MONOTONIC at the event that started it */
	uint64_t attached_ns;    /* when its network was there; 0: it has none */
	uint64_t launched_ns;    /* when its start was sent off */
	uint64_t ready_ns;       /* when it became awake first */
	int gate_fd;             /* AcceptWhenReady=: see interceptor.h; owned */
	int *listener_fds;       /* owned: for the job */
	char *status_text;       /* STATUS= of sd_notify; owned */
	uint64_t bound;          /* bit i: the program has bound listener i itself */
	uint64_t listened;       /* bit i: it has called listen(2) for it */
	uint64_t taken_ns;       /* CLOCK_MONOTONIC when it took one last, either way; 0: not yet */
	struct address *other;   /* where it listens instead, perhaps; owned */
};

struct site {
	UT_hash_handle hh; /* by name, in the daemon's sites */
	struct daemon *daemon;
	char *name;                  /* owned */
	struct launch_plan *plan;    /* in force; one reference */
	struct listener **listeners; /* [plan->spec->n_listeners]; owned */
	struct run *run;             /* NULL while cold and nothing is under way */
	struct failure *failure;     /* owned; NULL: none */
	uint64_t id;                 /* never used twice */
	uint64_t since_us;           /* CLOCK_REALTIME of the last change of state */
	struct history *history;     /* owned; NULL: has not woken yet */
	uint32_t wakes, thaws;
	uint32_t quick_exits; /* in a row, of programs that ended with status 0 at once */
	uint8_t state;
	bool leaving;        /* removed: gone as soon as it is cold */
	bool wanted;         /* somebody has asked for it while it stopped: see site_wants_to_run() */
	bool stopped;        /* somebody has stopped it: Keep= does not start it again */
	bool changed;        /* its files changed while a start was under way: to be read again */
	bool restart_needed; /* the container runs on an older plan, and not only in what it can follow */
};

/* A new site, cold, its listeners open and watched; the plan's reference and the array of listeners are taken
 * over on success. NULL when out of memory. */
struct site *site_create(struct daemon *daemon, struct launch_plan *plan, struct listener **listeners);

/* Puts a new plan in force; old listeners that are not in the new array are closed. The container goes on with
 * the plan it has, but for the limits. */
void site_replace(struct site *site, struct launch_plan *plan, struct listener **listeners);

/* Stops the site and forgets it when it is cold. The site may be gone when this returns. */
void site_remove(struct site *site);

/* Whether it is to be started as soon as it is cold: somebody has asked for it since it began to stop, or Keep=
 * or its hours want it to run, and nobody has stopped it by a command. That holds until it starts, for whatever
 * reason, or the unit says anew that it is to be kept. */
bool site_wants_to_run(const struct site *site);

/* Watches the listeners of a cold or frozen site, or leaves them alone: while there is no memory for a start,
 * and while torpord stops. */
void site_watch(struct site *site, bool watch);

/* Frees a cold site at the end of the daemon. */
void site_destroy(struct site *site);

/* Somebody waits at one of its listeners, and may wake it. */
void site_visited(struct site *site, const struct listener *listener);

/* Watches one listener of a site that sleeps. */
void site_watch_listener(struct site *site, struct listener *listener);

/* What the unit, or the hour, says of its times and addresses is different: what counts them begins anew. */
void site_times_changed(struct site *site);

/* Whether the site is hibernated as soon as it has been idle for a moment; until it is woken from that. */
void site_hurry(struct site *site, bool hurried);
