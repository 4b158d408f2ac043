/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reaper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

#include "clock.h"
#include "fd.h"
#include "sockdiag.h"
#include "tally.h"
#include "watched.h"

struct reaper {
	uint64_t scan_interval_us;
	void (*notify)(void *userdata);
	void *userdata;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake; /* the first site came, the last one went, or the end */

	/* Under the lock. */
	bool stop;
	uint64_t scans;
	struct watched *sites; /* by id */
	struct watched *queue; /* those with a verdict to hand out, oldest first */

	/* Of the scanning thread. */
	struct watched **scanned; /* owned */
	size_t scanned_size;
	struct sockdiag *diag;
	struct tally_table table;
};

static struct watched *find(struct reaper *reaper, uint64_t id)
{
	struct watched *site;

	HASH_FIND(hh, reaper->sites, &id, sizeof id, site);
	return site;
}

static void drop_verdict(struct reaper *reaper, struct watched *site)
{
	if (site->verdict == IDLE_BUSY)
		return;
	DL_DELETE(reaper->queue, site);
	site->verdict = IDLE_BUSY;
}

static void untrack(struct reaper *reaper, struct watched *site)
{
	drop_verdict(reaper, site);
	HASH_DEL(reaper->sites, site);
	site->tracked = false;
	watched_release(site);
}

/* A site that shows at each look that it is used has not paused in between. */
static void note_gap(const struct reaper *reaper, struct watched *site, uint64_t before_ns)
{
	uint64_t gap_us = (site->state.last_active_ns - before_ns) / 1000;

	if (gap_us > 2 * reaper->scan_interval_us)
		(void)gaps_add(&site->gaps, gap_us);
}

/* Decides on what was seen. True: a verdict has been queued. */
static bool judge(struct reaper *reaper, struct watched *site)
{
	enum idle_verdict verdict;
	uint64_t before_ns = site->state.last_active_ns;
	enum busy_reason reason;
	bool queued = false;

	site->sample.announced_busy = site->announced_busy || site->sample.now_ns < site->busy_until_ns;
	if (site->sample.sockets_known)
		neglect_update(&site->neglect, site->sample.now_ns, site->tally.neglected, site->datagrams);
	verdict = idle_decide(&site->state, &site->sample, &site->policy, reaper->scan_interval_us, &reason);
	note_gap(reaper, site, before_ns);
	site->activity = (struct reaper_activity){
		.scanned_ns = site->sample.now_ns,
		.connections = site->sample.connections,
		.waiting = site->sample.waiting,
		.cpu = site->state.cpu,
		.reason = reason,
		.attended = site->tally.attended,
		.neglected = site->neglect.listeners,
		.neglected_ns = site->neglect.since_ns,
	};
	if (verdict != IDLE_FREEZE && verdict != IDLE_STOP) {
		drop_verdict(reaper, site); /* not taken yet, and no longer true */
		return false;
	}
	if (site->verdict == IDLE_BUSY) {
		DL_APPEND(reaper->queue, site);
		queued = true;
	}
	site->verdict = verdict;
	return queued;
}

/* Called and left with the lock held. */
static void scan(struct reaper *reaper)
{
	size_t n = 0, count = HASH_COUNT(reaper->sites);
	bool queued = false;

	if (count > reaper->scanned_size) {
		struct watched **scanned = reallocarray(reaper->scanned, count, sizeof(struct watched *));

		if (!scanned)
			return; /* nothing seen, no verdict */
		reaper->scanned = scanned;
		reaper->scanned_size = count;
	}
	for (struct watched *site = reaper->sites; site; site = site->hh.next) {
		site->references++;
		reaper->scanned[n++] = site;
	}
	pthread_mutex_unlock(&reaper->lock);
	watched_look(reaper->scanned, n, &reaper->table, reaper->diag);
	pthread_mutex_lock(&reaper->lock);
	for (size_t i = 0; i < n; i++) {
		if (reaper->scanned[i]->tracked)
			queued |= judge(reaper, reaper->scanned[i]);
		watched_release(reaper->scanned[i]);
	}
	reaper->scans++;
	if (queued) {
		pthread_mutex_unlock(&reaper->lock);
		reaper->notify(reaper->userdata);
		pthread_mutex_lock(&reaper->lock);
	}
}

static void wait_until(struct reaper *reaper, uint64_t time_ns)
{
	struct timespec until = clock_timespec(time_ns);

	pthread_cond_timedwait(&reaper->wake, &reaper->lock, &until);
}

static void *thread_main(void *userdata)
{
	struct reaper *reaper = userdata;
	uint64_t interval_ns = reaper->scan_interval_us * 1000, next_ns = 0;

	pthread_mutex_lock(&reaper->lock);
	while (!reaper->stop) {
		if (!reaper->sites) {
			next_ns = 0;
			pthread_cond_wait(&reaper->wake, &reaper->lock);
			continue;
		}
		if (next_ns == 0)
			next_ns = clock_now_ns() + interval_ns;
		if (clock_now_ns() < next_ns) {
			wait_until(reaper, next_ns);
			continue;
		}
		scan(reaper);
		next_ns += interval_ns;
		if (next_ns < clock_now_ns()) /* late: no burst of scans to catch up */
			next_ns = clock_now_ns() + interval_ns;
	}
	pthread_mutex_unlock(&reaper->lock);
	return NULL;
}

/* The thread takes no signal: they are the main thread's, by signalfd or handler. */
static int start_thread(struct reaper *reaper)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	r = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (r != 0)
		return -r;
	r = pthread_create(&reaper->thread, NULL, thread_main, reaper);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return -r;
	pthread_setname_np(reaper->thread, "reaper");
	return 0;
}

static int init_locks(struct reaper *reaper)
{
	pthread_condattr_t attributes;
	int r = pthread_condattr_init(&attributes);

	if (r != 0)
		return -r;
	r = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	if (r == 0)
		r = pthread_cond_init(&reaper->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	if (r != 0)
		return -r;
	r = pthread_mutex_init(&reaper->lock, NULL);
	if (r != 0)
		pthread_cond_destroy(&reaper->wake);
	return -r;
}

int reaper_create(uint64_t scan_interval_us, void (*notify)(void *userdata), void *userdata,
		  struct reaper **ret)
{
	struct reaper *reaper;
	int r;

	if (scan_interval_us == 0 || scan_interval_us > REAPER_INTERVAL_MAX_US)
		return -EINVAL;
	reaper = calloc(1, sizeof *reaper);
	if (!reaper)
		return -ENOMEM;
	reaper->scan_interval_us = scan_interval_us;
	reaper->notify = notify;
	reaper->userdata = userdata;
	r = sockdiag_create(&reaper->diag);
	if (r < 0)
		goto free_reaper;
	r = init_locks(reaper);
	if (r < 0)
		goto free_diag;
	r = start_thread(reaper);
	if (r < 0)
		goto destroy_locks;
	*ret = reaper;
	return 0;

destroy_locks:
	pthread_mutex_destroy(&reaper->lock);
	pthread_cond_destroy(&reaper->wake);
free_diag:
	sockdiag_destroy(reaper->diag);
free_reaper:
	free(reaper);
	return r;
}

void reaper_destroy(struct reaper *reaper)
{
	struct watched *site, *following;

	if (!reaper)
		return;
	pthread_mutex_lock(&reaper->lock);
	reaper->stop = true;
	pthread_cond_signal(&reaper->wake);
	pthread_mutex_unlock(&reaper->lock);
	pthread_join(reaper->thread, NULL);

	HASH_ITER(hh, reaper->sites, site, following)
	untrack(reaper, site);
	pthread_mutex_destroy(&reaper->lock);
	pthread_cond_destroy(&reaper->wake);
	sockdiag_destroy(reaper->diag);
	tally_table_finish(&reaper->table);
	free(reaper->scanned);
	free(reaper);
}

int reaper_track(struct reaper *reaper, const struct reaper_site *from)
{
	struct watched *site = watched_create(from);
	int r = 0;

	if (!site) {
		fd_close(from->cgroup_fd);
		return -ENOMEM;
	}
	pthread_mutex_lock(&reaper->lock);
	if (find(reaper, site->id)) {
		r = -EEXIST;
	} else {
		HASH_ADD(hh, reaper->sites, id, sizeof site->id, site);
		site->tracked = site->hh.tbl != NULL;
		if (!site->tracked)
			r = -ENOMEM;
		else if (HASH_COUNT(reaper->sites) == 1)
			pthread_cond_signal(&reaper->wake);
	}
	if (r < 0)
		watched_release(site);
	pthread_mutex_unlock(&reaper->lock);
	return r;
}

void reaper_untrack(struct reaper *reaper, uint64_t id)
{
	struct watched *site;

	pthread_mutex_lock(&reaper->lock);
	site = find(reaper, id);
	if (site) {
		untrack(reaper, site);
		if (!reaper->sites)
			pthread_cond_signal(&reaper->wake);
	}
	pthread_mutex_unlock(&reaper->lock);
}

void reaper_announce(struct reaper *reaper, uint64_t id, bool busy, uint64_t busy_until_ns)
{
	struct watched *site;

	pthread_mutex_lock(&reaper->lock);
	site = find(reaper, id);
	if (site) {
		site->announced_busy = busy;
		site->busy_until_ns = busy_until_ns;
		idle_state_touch(&site->state, clock_now_ns());
		drop_verdict(reaper, site);
	}
	pthread_mutex_unlock(&reaper->lock);
}

bool reaper_next_verdict(struct reaper *reaper, struct reaper_verdict *ret)
{
	struct watched *site;

	pthread_mutex_lock(&reaper->lock);
	site = reaper->queue;
	if (site) {
		*ret = (struct reaper_verdict){.id = site->id, .verdict = site->verdict};
		site->used_ns = site->state.last_active_ns;
		idle_state_touch(&site->state, clock_now_ns());
		site->given_ns = site->state.last_active_ns;
		drop_verdict(reaper, site);
	}
	pthread_mutex_unlock(&reaper->lock);
	return site != NULL;
}

bool reaper_get_activity(struct reaper *reaper, uint64_t id, struct reaper_activity *ret)
{
	struct watched *site;

	pthread_mutex_lock(&reaper->lock);
	site = find(reaper, id);
	if (site) {
		*ret = site->activity;
		/* That a verdict was handed out is no use of the site. */
		ret->last_active_ns = site->state.last_active_ns == site->given_ns ? site->used_ns
										   : site->state.last_active_ns;
	}
	pthread_mutex_unlock(&reaper->lock);
	return site != NULL;
}

bool reaper_take_gaps(struct reaper *reaper, uint64_t id, struct gaps *ret)
{
	struct watched *site;

	pthread_mutex_lock(&reaper->lock);
	site = find(reaper, id);
	if (site) {
		*ret = site->gaps;
		site->gaps = (struct gaps){0};
	}
	pthread_mutex_unlock(&reaper->lock);
	return site != NULL;
}

uint64_t reaper_scans(struct reaper *reaper)
{
	uint64_t scans;

	pthread_mutex_lock(&reaper->lock);
	scans = reaper->scans;
	pthread_mutex_unlock(&reaper->lock);
	return scans;
}
