/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct daemon;
struct run;

/* A program that runs, but has let nobody in yet, still opens: it reads its files, and wants a processor as
 * much as any start. While as many open as may start at a time, no other start begins, so that a storm of wakes
 * does not become a storm of programs, in which who is awake hardly gets his turn. One has opened when its
 * listeners' queues are empty, when its first process sleeps, or after a second: who waits for something else
 * holds nobody up. With Type=notify it says so itself, and has its place among the starts until then, but for
 * 10 seconds at most: however long its start takes, and however often it asks for more time, others go on. */
struct opening {
	struct run *prev, *next; /* of the daemon's */
	bool on;
	bool visited;           /* somebody waited: when its start was asked for, or when it began */
	bool looked_at, asleep; /* at the last look that came some time after another */
};

/* All of a daemon; admission.h counts them. */
struct openings {
	struct run *first; /* list */
	unsigned n_long;   /* of them have long turns */
	uv_timer_t timer;  /* for the next look, while somebody waits for what it finds, or has long turns */
	uint64_t pause_ms; /* until then */
};

/* The loop is there; it is to be closed. */
void openings_init(struct daemon *daemon);
void openings_close(struct daemon *daemon);

/* The run's program has been executed; with Type=notify, and has not said yet that it is ready. */
void opening_begin(struct run *run);

/* It is about to end, or to be frozen, or with Type=notify is ready. Where it does not open, it only has usual
 * turns from now on. */
void opening_end(struct run *run);

/* The run's start is about to ask for its place: where no other one waits, who has opened meanwhile gives his
 * up.
 */
void opening_ask(struct run *run);

/* A start waits for its place: it is looked for one. */
void opening_expect(struct daemon *daemon);
