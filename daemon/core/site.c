/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "site.h"

#include <stdlib.h>
#include <string.h>

#include "cause.h"
#include "clock.h"
#include "control.h"
#include "daemon.h"
#include "failure.h"
#include "id-ranges.h"
#include "ledgers.h"
#include "log.h"
#include "probe.h"
#include "run.h"
#include "schedule.h"
#include "state-timer.h"
#include "transition.h"

void site_visited(struct site *site, const struct listener *listener)
{
	struct cause cause = {.listener = listener};

	site_dispatch_from(site, EVENT_CONNECTION, "connection", &cause);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = (struct listener *)poll; /* its first member */
	struct site *site = poll->data;

	(void)status;
	(void)events;
	if (probes_admit(site, listener))
		site_visited(site, listener);
}

void site_watch_listener(struct site *site, struct listener *listener)
{
	int r = listener_watch(listener, on_connection);

	if (r < 0)
		log_error("site %s: a listener cannot be watched: %s", site->name, strerror(-r));
}

/* A port never closes, whatever a container does to the socket that it shares. */
static void revive(struct site *site, unsigned i)
{
	const struct site_spec *spec = site->plan->spec;
	char text[1100];
	struct diag diag = {0};

	log_warning("site %s: its program has shut a listener down: it listens again", site->name);
	if (listener_revive(site->listeners[i], spec, &spec->listeners[i], &diag) < 0)
		log_error("site %s: %s", site->name, diag_format(&diag, text, sizeof text));
}

void site_watch(struct site *site, bool watch)
{
	for (unsigned i = 0; i < site->plan->spec->n_listeners; i++) {
		probes_release(site, site->listeners[i]);
		if (watch && listener_is_shut(site->listeners[i]))
			revive(site, i);
		if (watch)
			site_watch_listener(site, site->listeners[i]);
		else
			listener_unwatch(site->listeners[i]);
	}
}

void site_times_changed(struct site *site)
{
	if (site->run && site->run->tracked) {
		run_untrack(site->run);
		if (run_track(site->run) < 0)
			state_timer_set(site);
	}
	if (site_rule(site->state)->asleep)
		state_timer_set(site);
}

void site_hurry(struct site *site, bool hurried)
{
	if (!site->run || site->run->hurried == hurried)
		return;
	site->run->hurried = hurried;
	site_times_changed(site);
}

static const char *keep_reason(const struct site *site)
{
	return site->plan->spec->keep == KEEP_NONE ? "schedule" : "keep";
}

bool site_wants_to_run(const struct site *site)
{
	return site->wanted || (schedule_keep(site) != KEEP_NONE && !site->stopped);
}

static void follow_schedule(struct site *site)
{
	int r = schedule_update(site);

	if (r < 0)
		log_error("site %s: its calendars are not in force: %s", site->name, strerror(-r));
}

static void adopt_listeners(struct site *site, struct listener **listeners)
{
	site->listeners = listeners;
	for (unsigned i = 0; i < site->plan->spec->n_listeners; i++) {
		listeners[i]->poll.data = site;
		listeners[i]->address = &site->plan->spec->listeners[i].address;
	}
}

struct site *site_create(struct daemon *daemon, struct launch_plan *plan, struct listener **listeners)
{
	struct site *site = calloc(1, sizeof *site);

	if (!site)
		return NULL;
	site->name = strdup(plan->spec->name);
	if (site->name)
		HASH_ADD_KEYPTR(hh, daemon->sites, site->name, strlen(site->name), site);
	if (!site->hh.tbl) {
		free(site->name);
		free(site);
		return NULL;
	}
	site->daemon = daemon;
	site->plan = plan;
	site->id = ++daemon->next_id;
	site->state = STATE_COLD;
	site->since_us = clock_realtime_us();
	ledgers_take(site);
	adopt_listeners(site, listeners);
	site_watch(site, true);
	follow_schedule(site);
	if (site_wants_to_run(site))
		site_dispatch(site, EVENT_WAKE, keep_reason(site));
	return site;
}

static bool kept(struct listener *listener, struct listener **listeners, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (listeners[i] == listener)
			return true;
	return false;
}

static void close_listeners(struct site *site, struct listener **keep, unsigned n_keep)
{
	for (unsigned i = 0; i < site->plan->spec->n_listeners; i++)
		if (!kept(site->listeners[i], keep, n_keep)) {
			probes_release(site, site->listeners[i]);
			listener_close(site->listeners[i], !site->daemon->listeners_left);
			site->daemon->n_listeners--;
		}
	free(site->listeners);
	site->listeners = NULL;
}

static bool same_listeners(const struct site_spec *a, const struct site_spec *b)
{
	if (a->n_listeners != b->n_listeners)
		return false;
	for (unsigned i = 0; i < a->n_listeners; i++)
		if (!address_equal(&a->listeners[i].address, &b->listeners[i].address))
			return false;
	return true;
}

void site_replace(struct site *site, struct launch_plan *plan, struct listener **listeners)
{
	struct launch_plan *old = site->plan;
	enum keep keep_before = schedule_keep(site), keep;
	bool listeners_changed;

	close_listeners(site, listeners, plan->spec->n_listeners);
	site->plan = plan;
	adopt_listeners(site, listeners);
	plan_unref(old);
	if (site_rule(site->state)->watched)
		site_watch(site, true);
	if (site->run && site_rule(site->state)->container) {
		site->restart_needed = !spec_same(site->run->plan->spec, plan->spec, true);
		run_enforce(site->run);
	}
	follow_schedule(site);
	keep = schedule_keep(site);
	if (site->leaving || keep != keep_before)
		site->stopped = false;
	site->leaving = false;
	listeners_changed = site->run && !same_listeners(site->run->plan->spec, plan->spec);
	site_times_changed(site); /* and addresses */
	/* The container has not got the new ones, and still has the old ones: only another one is right. */
	if (listeners_changed && site_rule(site->state)->container) {
		site->wanted |= site->state == STATE_AWAKE || site->state == STATE_STARTING;
		if (site->state != STATE_STOPPING)
			site_dispatch(site, EVENT_STOP, "listeners changed");
		return;
	}
	if ((site->state == STATE_COLD && site_wants_to_run(site)) ||
	    (keep == KEEP_AWAKE && site_rule(site->state)->asleep))
		site_dispatch(site, EVENT_WAKE, keep_reason(site));
}

void site_remove(struct site *site)
{
	struct daemon *daemon = site->daemon;

	site->leaving = true;
	if (site->state == STATE_COLD) {
		site_destroy(site);
		daemon_site_settled(daemon);
	} else if (site->state != STATE_STOPPING) {
		site_dispatch(site, EVENT_STOP, "removed");
	}
}

void site_destroy(struct site *site)
{
	control_site_gone(site);
	schedule_forget(site);
	probes_forget(site);
	close_listeners(site, NULL, 0);
	run_destroy(site->run);
	HASH_DEL(site->daemon->sites, site);
	site->daemon->n_changed -= site->changed;
	id_ranges_release(site->daemon->ranges, site->name);
	plan_unref(site->plan);
	failure_clear(site);
	ledgers_leave(site);
	free(site->history);
	free(site->name);
	free(site);
}
