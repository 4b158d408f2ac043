/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "attachment.h"

struct daemon;
struct run;

/* One attachment as the loop holds it, and the thread in which plugins work for it: what networks.c is made of.
 */

/* What goes on with one attachment. */
enum stage {
	STAGE_WAITING, /* for its turn to be attached, or detached */
	STAGE_WORKING, /* its thread has it */
	STAGE_AT_REST, /* attached, or given up: its run has it */
	STAGE_LEFT,    /* could not be taken back: until retry_ns */
};

struct attached {
	struct attached *prev, *next; /* of the networks' list: by age */
	struct attached *next_done;   /* of the queue of threads that have ended */
	struct networks *networks;
	struct attachment attachment; /* the thread's while that works */
	struct run *run;              /* NULL: it has ended */
	enum stage stage;
	bool detach; /* what the thread does, or is to */
	bool has_thread;
	int result;
	int cancel_fd;
	uint64_t timeout_us; /* for the plugins that take it back; SPEC_INFINITY: none */
	uint64_t retry_ns;   /* CLOCK_MONOTONIC */
	unsigned failures;
	pthread_t thread;
};

struct networks {
	struct daemon *daemon;
	struct attachment_places places; /* strings are owned but for those of the configuration */
	struct attached *list;
	uv_async_t done;
	uv_timer_t retry;
	bool closing;
	unsigned open_handles; /* freed when the loop has given the last one back */

	pthread_mutex_t mutex; /* guards what follows */
	struct attached *first_done;
};

/* A new one in the list, which waits to be attached. NULL when out of memory. */
struct attached *attached_new(struct networks *networks);

/* Takes it off the list; its thread, if it ever had one, has ended. */
void attached_free(struct attached *attached);

/* To be taken back, behind whoever waits already. */
void attached_queue_detach(struct attached *attached);

/* Hands it over to the loop as networks->done does: its thread, or what was to be one, is done with it. */
void attached_push_done(struct attached *attached);

/* Begins with everybody whose turn has come: nobody of its site is before it, and not too many of its network
 * are at work. */
void attached_begin_next(struct networks *networks);
