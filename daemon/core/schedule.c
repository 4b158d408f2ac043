/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "schedule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"
#include "daemon.h"
#include "fd.h"
#include "log.h"
#include "timetable.h"
#include "transition.h"

#define LATE_MAX_US 60000000 /* what was missed by more is not made up for */

/* A site with calendars. */
struct entry {
	UT_hash_handle hh; /* by site */
	struct site *site;
	struct timetable table;
	struct timetable_view view; /* at seen_us */
	uint64_t seen_us;           /* CLOCK_REALTIME up to which it has been heeded */
};

struct schedule {
	struct daemon *daemon;
	struct entry *entries;
	uv_poll_t poll;
	int fd;
	uint64_t armed_us; /* CALENDAR_NEVER: the timer is not running */
};

static struct entry *find(const struct site *site)
{
	const struct schedule *schedule = site->daemon->schedule;
	struct entry *entry = NULL;

	if (schedule && (site->plan->spec->wake_on || site->plan->spec->hibernate_on))
		HASH_FIND_PTR(schedule->entries, &site, entry);
	return entry;
}

/* With TFD_TIMER_CANCEL_ON_SET a change of the clock makes the descriptor readable too. */
static void arm(struct schedule *schedule, uint64_t at_us)
{
	struct itimerspec spec = {0};

	schedule->armed_us = at_us;
	if (at_us != CALENDAR_NEVER) {
		spec.it_value.tv_sec = (time_t)(at_us / 1000000);
		spec.it_value.tv_nsec = (long)(at_us % 1000000) * 1000;
	}
	if (timerfd_settime(schedule->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, NULL) < 0 &&
	    errno != ECANCELED)
		log_error("the timer of schedules cannot be set: %s", strerror(errno));
}

static void arm_next(struct schedule *schedule)
{
	uint64_t next_us = CALENDAR_NEVER;

	for (const struct entry *entry = schedule->entries; entry; entry = entry->hh.next)
		if (entry->view.next_us < next_us)
			next_us = entry->view.next_us;
	arm(schedule, next_us);
}

/* Does what the time between seen_us and now asks for; the site may be gone then, and the entry with it. */
static void heed(struct entry *entry, uint64_t now_us)
{
	uint64_t late_us = now_us > LATE_MAX_US ? now_us - LATE_MAX_US : 0;
	uint64_t from_us = entry->seen_us > late_us ? entry->seen_us : late_us;
	bool ahead = now_us > from_us, was_awake = entry->view.awake;
	bool wakes = ahead && timetable_wakes(&entry->table, from_us, now_us);
	bool hibernates = ahead && timetable_hibernates(&entry->table, from_us, now_us);
	struct site *site = entry->site;

	entry->seen_us = now_us;
	timetable_look(&entry->table, now_us, &entry->view);
	if (entry->view.awake != was_awake)
		site_times_changed(site);
	if (hibernates || wakes || entry->view.awake)
		site_hurry(site, hibernates && !entry->view.awake);
	if (wakes || (entry->view.awake && !was_awake))
		site_dispatch(site, EVENT_WAKE, "schedule");
}

/* clock_set: what lies between is no time that has passed. */
static void heed_all(struct schedule *schedule, bool clock_set)
{
	uint64_t now_us = clock_realtime_us();
	struct entry *entry, *next;

	HASH_ITER(hh, schedule->entries, entry, next)
	if (clock_set || entry->view.next_us <= now_us) {
		if (clock_set)
			entry->seen_us = now_us;
		heed(entry, now_us);
	}
	arm_next(schedule);
}

static void on_timer(uv_poll_t *poll, int status, int events)
{
	struct schedule *schedule = poll->data;
	uint64_t expirations;
	ssize_t n = read(schedule->fd, &expirations, sizeof expirations);

	(void)status;
	(void)events;
	if (n < 0 && errno != ECANCELED)
		return;
	if (n < 0)
		log_info("the clock was set: schedules are looked up anew");
	heed_all(schedule, n < 0);
}

int schedule_create(struct daemon *daemon, struct schedule **ret)
{
	struct schedule *schedule = calloc(1, sizeof *schedule);
	int r;

	if (!schedule)
		return -ENOMEM;
	schedule->daemon = daemon;
	schedule->armed_us = CALENDAR_NEVER;
	schedule->fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	r = schedule->fd < 0 ? -errno : uv_poll_init(&daemon->loop, &schedule->poll, schedule->fd);
	if (r < 0) {
		fd_close(schedule->fd);
		free(schedule);
		return r;
	}
	schedule->poll.data = schedule;
	*ret = schedule;
	return uv_poll_start(&schedule->poll, UV_READABLE, on_timer);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void entry_free(struct schedule *schedule, struct entry *entry)
{
	HASH_DEL(schedule->entries, entry);
	timetable_finish(&entry->table);
	free(entry);
}

void schedule_destroy(struct schedule *schedule)
{
	struct entry *entry, *next;

	if (!schedule)
		return;
	HASH_ITER(hh, schedule->entries, entry, next)
	entry_free(schedule, entry);
	uv_close((uv_handle_t *)&schedule->poll, on_closed);
	fd_close(schedule->fd);
}

void schedule_forget(const struct site *site)
{
	struct schedule *schedule = site->daemon->schedule;
	struct entry *entry = NULL;

	if (!schedule)
		return;
	HASH_FIND_PTR(schedule->entries, &site, entry);
	if (!entry)
		return;
	entry_free(schedule, entry);
	if (!schedule->entries) /* else the timer comes once too often, and not for each of many that go */
		arm(schedule, CALENDAR_NEVER);
}

static struct entry *add(struct schedule *schedule, struct site *site)
{
	struct entry *entry = calloc(1, sizeof *entry);

	if (!entry)
		return NULL;
	entry->site = site;
	HASH_ADD_PTR(schedule->entries, site, entry);
	if (entry->hh.tbl)
		return entry;
	free(entry);
	return NULL;
}

int schedule_update(struct site *site)
{
	struct schedule *schedule = site->daemon->schedule;
	const struct site_spec *spec = site->plan->spec;
	uint64_t now_us = clock_realtime_us();
	struct entry *entry;
	int r;

	if (!spec->wake_on && !spec->hibernate_on) {
		schedule_forget(site);
		return 0;
	}
	entry = find(site);
	if (!entry)
		entry = add(schedule, site);
	if (!entry)
		return -ENOMEM;
	timetable_finish(&entry->table);
	r = timetable_init(&entry->table, spec);
	if (r < 0) {
		entry_free(schedule, entry);
		return r;
	}
	entry->seen_us = now_us;
	timetable_look(&entry->table, now_us, &entry->view);
	if (entry->view.next_us < schedule->armed_us)
		arm(schedule, entry->view.next_us);
	return 0;
}

enum keep schedule_keep(const struct site *site)
{
	const struct entry *entry = find(site);

	return entry && entry->view.awake ? KEEP_AWAKE : site->plan->spec->keep;
}

const struct timetable_view *schedule_view(const struct site *site)
{
	const struct entry *entry = find(site);

	return entry ? &entry->view : NULL;
}

static void set_instant(json_t *object, const char *key, uint64_t at_us)
{
	if (at_us != CALENDAR_NEVER && at_us > 0)
		json_object_set_new(object, key, json_integer((json_int_t)at_us));
}

json_t *schedule_report(const struct site *site)
{
	const struct entry *entry = find(site);
	json_t *object = entry ? json_object() : NULL;

	if (!object)
		return NULL;
	set_instant(object, "awake_until_us", entry->view.awake_until_us);
	set_instant(object, "next_wake_us", entry->view.next_wake_us);
	set_instant(object, "next_hibernate_us", entry->view.next_hibernate_us);
	return object;
}
