/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "gaps.h"
#include "verdict.h"

/* The thread that watches awake sites and finds the idle ones. It is given values, never pointers to live
 * sites: an id that the caller never uses twice, a descriptor that becomes the reaper's own, copies of
 * addresses. With no site tracked it sleeps on a condition variable without a time-out: no timer, no
 * wake-up. With some tracked it scans once an interval: one sock_diag dump a socket family in use
 * (TCP and UDP over IPv4, over IPv6, unix) and one read of cpu.stat a site. None of the functions below waits
 * for a scan, reaper_destroy() apart. */

#define REAPER_INTERVAL_MAX_US UINT64_C(86400000000) /* a day */

/* What getsockname(2) says of a listener: the accepted sockets are found by it. */
struct reaper_listener {
	int type; /* SOCK_STREAM ... */
	socklen_t length;
	struct sockaddr_storage address;
};

struct reaper_site {
	uint64_t id;
	int cgroup_fd;                           /* a directory descriptor; taken over, also on failure */
	const struct reaper_listener *listeners; /* copied */
	unsigned n_listeners;
	struct idle_policy policy;
	uint64_t request_timeout_us; /* TCP connections whose last bytes came in hold it awake so long, and then
					not at all; 0: they count like others */
	uint64_t last_active_ns;     /* CLOCK_MONOTONIC of its last use, where that is before now; 0: now */
	bool announced_busy;         /* what reaper_announce() has said before */
	uint64_t busy_until_ns;
};

/* What was last seen of a site, for list, status and why. */
struct reaper_activity {
	uint64_t scanned_ns;     /* CLOCK_MONOTONIC of the last scan; 0: none yet */
	uint64_t last_active_ns; /* CLOCK_MONOTONIC of the last sign of use that was seen */
	unsigned connections;    /* accepted and open */
	unsigned waiting;        /* in a listener's queue */
	double cpu;              /* share of one CPU between the last two scans */
	enum busy_reason reason; /* why it counts as busy in the last scan; BUSY_NOT: it does not */

	/* Bit i is listener i, 0 to 63. */
	uint64_t attended;     /* a connection of it is open */
	uint64_t neglected;    /* something waits there, and none is open, in all scans since then */
	uint64_t neglected_ns; /* CLOCK_MONOTONIC; 0: no listener is neglected */
};

struct reaper_verdict {
	uint64_t id;
	enum idle_verdict verdict; /* IDLE_FREEZE or IDLE_STOP */
};

struct reaper;

/* Starts the thread. notify(userdata) is called from it whenever a verdict has been queued, and must only wake
 * the caller's loop. 0 and *ret, or -errno; -EINVAL for an interval of 0 or above REAPER_INTERVAL_MAX_US. */
int reaper_create(uint64_t scan_interval_us, void (*notify)(void *userdata), void *userdata,
		  struct reaper **ret);

/* Stops and joins the thread. NULL is fine. */
void reaper_destroy(struct reaper *reaper);

/* Starts to watch a site: it has just become awake, which is its last sign of use unless it says otherwise.
 * -EEXIST, -ENOMEM. */
int reaper_track(struct reaper *reaper, const struct reaper_site *site);

/* Stops to watch it. No verdict on id is handed out after this returns. Unknown ids are ignored. */
void reaper_untrack(struct reaper *reaper, uint64_t id);

/* The site announced by sd_notify that it is busy (counts as in use until it says otherwise) or idle; and that
 * it is in use until busy_until_ns (CLOCK_MONOTONIC) in any case. */
void reaper_announce(struct reaper *reaper, uint64_t id, bool busy, uint64_t busy_until_ns);

/* Takes the next queued verdict: true and *ret, or false (one that a later scan found untrue is gone, although
 * notify was called for it). Given once: the site counts as in use from then on
 * (a caller that could not act on it will be told again when the times have passed anew). */
bool reaper_next_verdict(struct reaper *reaper, struct reaper_verdict *ret);

/* The last look at a tracked site: false when it is not tracked. */
bool reaper_get_activity(struct reaper *reaper, uint64_t id, struct reaper_activity *ret);

/* The times between uses of a tracked site since they were taken last: true and *ret, or false. */
bool reaper_take_gaps(struct reaper *reaper, uint64_t id, struct gaps *ret);

/* Scans made since the start: for tests and status. */
uint64_t reaper_scans(struct reaper *reaper);
