/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attached.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <utlist.h>

#include "cleanup.h"
#include "clock.h"
#include "daemon.h"
#include "run.h"
#include "str.h"

#define AT_A_TIME       8        /* threads that work for one network */
#define LEFT_TIMEOUT_US 30000000 /* for what an earlier torpord has left: the default of TimeoutStopSec= */

struct attached *attached_new(struct networks *networks)
{
	struct attached *attached = calloc(1, sizeof *attached);

	if (!attached)
		return NULL;
	attached->networks = networks;
	attached->timeout_us = LEFT_TIMEOUT_US;
	attached->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (attached->cancel_fd < 0) {
		free(attached);
		return NULL;
	}
	DL_APPEND(networks->list, attached);
	return attached;
}

void attached_free(struct attached *attached)
{
	DL_DELETE(attached->networks->list, attached);
	if (attached->run)
		attached->run->network = NULL;
	attachment_finish(&attached->attachment);
	fd_close(attached->cancel_fd);
	free(attached);
}

void attached_push_done(struct attached *attached)
{
	struct networks *networks = attached->networks;

	pthread_mutex_lock(&networks->mutex);
	attached->next_done = networks->first_done;
	networks->first_done = attached;
	pthread_mutex_unlock(&networks->mutex);
	uv_async_send(&networks->done);
}

/* A thread's work. */

static void *work(void *argument)
{
	struct attached *attached = argument;
	struct networks *networks = attached->networks;
	uint64_t deadline_ns = attached->timeout_us == SPEC_INFINITY
				       ? UINT64_MAX
				       : clock_now_ns() + attached->timeout_us * 1000;

	pthread_setname_np(pthread_self(), "network");
	if (attached->detach)
		attached->result = attachment_remove(&attached->attachment, &networks->places,
						     attached->cancel_fd, deadline_ns);
	else
		attached->result =
			attachment_add(&attached->attachment, &networks->places, attached->cancel_fd);
	attached_push_done(attached);
	return NULL;
}

/* Signals are the loop's. */
static int start_thread(struct attached *attached)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&attached->thread, NULL, work, attached);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

/* Whose turn it is. */

static bool may_begin(const struct attached *attached)
{
	const struct networks *networks = attached->networks;
	const char *site = attached->attachment.site, *name = attached->attachment.network_name;
	unsigned working = 0;

	for (const struct attached *other = networks->list; other; other = other->next) {
		bool older = other->stage == STAGE_WAITING || other->stage == STAGE_WORKING;

		if (other == attached)
			break;
		if (older && str_equal(other->attachment.site, site))
			return false;
	}
	for (const struct attached *other = networks->list; other; other = other->next)
		working += other->stage == STAGE_WORKING && str_equal(other->attachment.network_name, name);
	return working < AT_A_TIME;
}

static void begin(struct attached *attached)
{
	int r = start_thread(attached);

	attached->stage = STAGE_WORKING;
	attached->has_thread = r == 0;
	if (r == 0)
		return;
	attached->result = r;
	attached->attachment.error = -r;
	snprintf(attached->attachment.message, sizeof attached->attachment.message,
		 "no thread for its plugins: %s", strerror(-r));
	attached_push_done(attached);
}

void attached_begin_next(struct networks *networks)
{
	for (struct attached *at = networks->list; at && !networks->closing; at = at->next) {
		if (at->stage != STAGE_WAITING || !may_begin(at))
			continue;
		begin(at);
		if (at->run && !at->detach)
			run_set_timer(at->run, at->run->plan->spec->timeout_start_us);
	}
}

void attached_queue_detach(struct attached *attached)
{
	struct networks *networks = attached->networks;
	eventfd_t count;

	(void)eventfd_read(attached->cancel_fd, &count);
	attached->detach = true;
	attached->stage = STAGE_WAITING;
	DL_DELETE(networks->list, attached);
	DL_APPEND(networks->list, attached);
}
