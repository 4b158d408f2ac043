/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shortage.h"

#include <string.h>

#include "clock.h"
#include "daemon.h"
#include "ladder.h"
#include "log.h"
#include "resources.h"
#include "run.h"
#include "schedule.h"
#include "transition.h"

#define LOOK_NS UINT64_C(10000000)   /* memory is not read again before */
#define IDLE_NS UINT64_C(5000000000) /* awake sites that were used since are spared while memory is short */
#define HOST_SHARE                                                                                             \
	4 /* with more than this part of its memory available, the host's stalls are not ours to end */
#define THRESHOLD_S 2 /* MemoryPressureThresholdSec= is of so many seconds */

/* A site that may go down a rung, and the order in which they do. */
struct candidate {
	struct site *site;
	enum site_event event;
	bool asleep;
	int priority;
	uint64_t active_ns;
};

static bool goes_before(const struct candidate *a, const struct candidate *b)
{
	if (!b->site)
		return true;
	if (a->asleep != b->asleep)
		return a->asleep;
	if (a->priority != b->priority)
		return a->priority < b->priority;
	return a->active_ns < b->active_ns;
}

/* When an awake site was last used; false: it is in use, or nobody has looked yet. */
static bool idle_since(const struct site *site, uint64_t *ret_ns)
{
	struct reaper_activity activity;

	if (!reaper_get_activity(site->daemon->reaper, site->id, &activity) || activity.scanned_ns == 0 ||
	    activity.reason != BUSY_NOT || activity.waiting > 0)
		return false;
	*ret_ns = activity.last_active_ns;
	return true;
}

/* What would free memory of a site, if anything would. */
static bool can_free(const struct site *site, struct candidate *candidate)
{
	const struct site_spec *spec = site->plan->spec;
	const struct run *run = site->run;
	bool swap_full = site->daemon->swap_full, may_stop = spec->swap_full_action == SWAP_FULL_STOP;

	candidate->asleep = site_rule(site->state)->asleep;
	candidate->active_ns = run->last_active_ns;
	if (schedule_keep(site) != KEEP_NONE)
		return false;
	switch (site->state) {
	case STATE_AWAKE:
		candidate->event = EVENT_FREEZE;
		return idle_since(site, &candidate->active_ns) &&
		       clock_now_ns() - candidate->active_ns >= IDLE_NS;
	case STATE_FROZEN:
		candidate->event = EVENT_PAGE_OUT;
		return run->page_error == 0 || (run->page_error == ENOSPC && !swap_full);
	case STATE_PAGED:
		candidate->event = EVENT_STOP;
		return swap_full && may_stop;
	default:
		return false;
	}
}

static bool can_freeze(const struct site *site, struct candidate *candidate)
{
	candidate->event = EVENT_FREEZE;
	return site->state == STATE_AWAKE && schedule_keep(site) != KEEP_AWAKE &&
	       idle_since(site, &candidate->active_ns);
}

static struct candidate choose(const struct daemon *daemon,
			       bool (*may)(const struct site *site, struct candidate *candidate))
{
	struct candidate best = {0};

	for (struct run *run = daemon->runs; run; run = run->next) {
		struct candidate candidate = {.site = run->site, .priority = run->site->plan->spec->priority};

		if (may(run->site, &candidate) && goes_before(&candidate, &best))
			best = candidate;
	}
	return best;
}

static void send_down(struct candidate candidate, const char *by)
{
	struct site *site = candidate.site;

	if (candidate.event == EVENT_STOP)
		ladder_give_up(site, by);
	else
		site_dispatch(site, candidate.event, by);
}

/* One site at a time: what comes of it is seen before the next one goes. */
static void free_memory(struct daemon *daemon)
{
	struct shortage *shortage = &daemon->shortage;
	struct site *site = shortage->under_way ? daemon_site_by_id(daemon, shortage->under_way) : NULL;
	struct candidate candidate;

	if (site && !site_rule(site->state)->settled)
		return;
	shortage->under_way = 0;
	candidate = choose(daemon, can_free);
	if (!candidate.site)
		return;
	shortage->under_way = candidate.site->id;
	shortage->n_downs++;
	if (candidate.event == EVENT_FREEZE)
		candidate.site->run->page_by = "memory is short";
	send_down(candidate, "memory is short");
}

static void keep_few_awake(struct daemon *daemon)
{
	unsigned most = daemon->config.max_awake;

	while (most > 0 && daemon->shortage.n_awake > most) {
		struct candidate candidate = choose(daemon, can_freeze);

		if (!candidate.site)
			return;
		send_down(candidate, "too many are awake");
	}
}

static bool is_low(struct daemon *daemon)
{
	struct shortage *shortage = &daemon->shortage;
	uint64_t now_ns = clock_now_ns();

	if (shortage->looked_ns == 0 || now_ns - shortage->looked_ns >= LOOK_NS) {
		if (memory_read(&shortage->memory) < 0)
			return false;
		shortage->looked_ns = now_ns;
	}
	return shortage->memory.available_bytes < shortage->keep_free_bytes ||
	       pressure_lasts(&shortage->pressure, PRESSURE_OWN) ||
	       (shortage->memory.available_bytes < shortage->memory.total_bytes / HOST_SHARE &&
		pressure_lasts(&shortage->pressure, PRESSURE_HOST));
}

static void say(const struct shortage *shortage)
{
	if (shortage->low)
		log_notice(
			"memory is short (%llu of %llu MiB available): the coldest sites go down a rung, one "
			"after another",
			(unsigned long long)shortage->memory.available_bytes >> 20,
			(unsigned long long)shortage->memory.total_bytes >> 20);
	else
		log_notice("memory is no longer short: %u times a site has gone down a rung",
			   shortage->n_downs);
}

static void look(struct daemon *daemon)
{
	struct shortage *shortage = &daemon->shortage;
	bool low = is_low(daemon);

	if (daemon->stopping)
		return;
	if (low != shortage->low) {
		shortage->low = low;
		say(shortage);
		shortage->n_downs = 0;
		admission_narrow(&daemon->admission, low);
	}
	if (low)
		free_memory(daemon);
	keep_few_awake(daemon);
}

/* Whether nothing can become short, or be done about it, before a start looks again. */
static bool may_rest(const struct daemon *daemon)
{
	return daemon->shortage.n_awake == 0 && daemon->admission.n_waiting == 0 &&
	       (!daemon->shortage.low || !daemon->runs);
}

static void on_timer(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;

	pressure_heed(&daemon->shortage.pressure, daemon->runs != NULL);
	look(daemon);
	if (may_rest(daemon))
		uv_timer_stop(timer);
}

static void look_soon(struct daemon *daemon)
{
	uint64_t interval_ms = daemon->config.scan_interval_us / 1000;

	uv_timer_start(&daemon->shortage.timer, on_timer, 0, interval_ms);
}

static void on_pressure(void *userdata)
{
	look_soon(userdata);
}

static uint64_t keep_free_bytes(const struct daemon *daemon)
{
	uint64_t wanted = daemon->config.memory_keep_free;

	return wanted & SPEC_SHARE && wanted != SPEC_INFINITY
		       ? resource_share_of(wanted, daemon->host.memory_bytes)
		       : wanted;
}

int shortage_start(struct daemon *daemon)
{
	struct shortage *shortage = &daemon->shortage;
	int r = uv_timer_init(&daemon->loop, &shortage->timer);

	if (r < 0)
		return r;
	shortage->timer.data = daemon;
	shortage->keep_free_bytes = keep_free_bytes(daemon);
	if (daemon->config.memory_pressure_watch &&
	    pressure_watch(&shortage->pressure, &daemon->loop, daemon->delegation.fd,
			   daemon->config.memory_pressure_us / THRESHOLD_S, on_pressure, daemon) == 0)
		log_notice("this kernel does not tell of memory pressure (PSI): only MemoryKeepFree= is looked "
			   "at");
	return 0;
}

void shortage_stop(struct daemon *daemon)
{
	pressure_close(&daemon->shortage.pressure);
	if (daemon->shortage.timer.data)
		uv_close((uv_handle_t *)&daemon->shortage.timer, NULL);
}

void shortage_site_changed(struct site *site, enum site_state from)
{
	struct daemon *daemon = site->daemon;
	struct shortage *shortage = &daemon->shortage;

	shortage->n_awake += site->state == STATE_AWAKE;
	shortage->n_awake -= from == STATE_AWAKE;
	if (daemon->stopping || !shortage->timer.data)
		return;
	if (site->state == STATE_AWAKE || site->state == STATE_STARTING ||
	    (shortage->under_way == site->id && site_rule(site->state)->settled))
		look_soon(daemon);
	else if (may_rest(daemon))
		uv_timer_stop(&shortage->timer);
	if (!daemon->runs) /* nothing is left that could go down a rung */
		pressure_heed(&shortage->pressure, false);
}
