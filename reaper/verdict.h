/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Whether a site is idle: a pure function over samples, without clocks or system calls. */

#define IDLE_NEVER UINT64_MAX /* for a time that never comes */

struct idle_policy {
	uint64_t freeze_after_us; /* idle this long: IDLE_FREEZE; IDLE_NEVER: not */
	uint64_t stop_after_us;   /* idle this long: IDLE_STOP; IDLE_NEVER: not */
	double idle_cpu;          /* at or below this share of one CPU its CPU use counts as none */
	bool connections_busy;    /* an open connection is use */
};

/* One look at one site. What could not be found out is marked so: it means busy, never idle. */
struct idle_sample {
	uint64_t now_ns; /* CLOCK_MONOTONIC */
	bool sockets_known, cpu_known;
	unsigned connections;      /* accepted and open */
	unsigned waiting;          /* connections (or datagrams) in the listeners' queues */
	unsigned queued;           /* open connections with unread or unsent bytes */
	unsigned requests;         /* open connections on which an answer is owed */
	unsigned undated;          /* open connections on which one may be owed */
	uint64_t last_data_age_us; /* since bytes moved on a connection; IDLE_NEVER: there is none */
	uint64_t cpu_usage_us;     /* CPU time used since the container started */
	bool announced_busy;       /* sd_notify */
};

/* What is remembered of a site from one sample to the next. */
struct idle_state {
	uint64_t last_active_ns;
	uint64_t last_sample_ns; /* 0: no sample yet */
	uint64_t cpu_sample_ns;  /* of the last sample that knew cpu_usage_us; 0: none yet */
	uint64_t cpu_usage_us;
	double cpu; /* share of one CPU between the last two of those */
};

enum busy_reason {
	BUSY_NOT,
	BUSY_UNKNOWN,
	BUSY_WAITING,
	BUSY_DATA,
	BUSY_QUEUED,
	BUSY_REQUEST,
	BUSY_UNDATED,
	BUSY_CONNECTION,
	BUSY_CPU,
	BUSY_ANNOUNCED,
	BUSY_CLOCK
};
enum idle_verdict { IDLE_BUSY, IDLE_WAIT, IDLE_FREEZE, IDLE_STOP };

/* "a connection is waiting to be accepted", ...: for `torporctl why`. */
const char *busy_reason_text(enum busy_reason reason);

/* The site is used now: when it becomes awake, and after a verdict was handed out. A zeroed state that was
 * touched is where watching starts. */
void idle_state_touch(struct idle_state *state, uint64_t now_ns);

/* Takes a sample in and decides. IDLE_BUSY with *reason: it is in use. IDLE_WAIT: idle, not for long enough.
 * Where both times have passed, IDLE_STOP. Bytes that moved date the last use exactly (now less their age);
 * every other sign dates it at the sample. Open connections that move nothing are no use. The first sample has
 * no CPU share: nothing is decided before the second, and the time counts from the touch.
 * A sample that comes much later than scan_interval_us after the one before (ten times and 5 s at least: the
 * machine was paused, or starved) proves nothing about the time between: BUSY_CLOCK. */
enum idle_verdict idle_decide(struct idle_state *state, const struct idle_sample *sample,
			      const struct idle_policy *policy, uint64_t scan_interval_us,
			      enum busy_reason *reason);
