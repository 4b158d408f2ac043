/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "transition.h"

#include <stdio.h>

#include "cause.h"
#include "clock.h"
#include "control.h"
#include "daemon.h"
#include "failure.h"
#include "freeze.h"
#include "handover.h"
#include "history.h"
#include "ladder.h"
#include "ledgers.h"
#include "log.h"
#include "state-timer.h"
#include "stop.h"
#include "wake.h"

/* What exactly was behind a change of state; "": nothing more is known. */
static const char *detail_of(const struct site *site, char *buf, size_t size)
{
	const struct daemon *daemon = site->daemon;

	*buf = '\0';
	if (site->state == STATE_FAILED && site->failure)
		snprintf(buf, size, "%s", site->failure->message);
	else if (daemon->cause && daemon->caused_at == site)
		cause_format(daemon->cause, buf, size);
	return buf;
}

/* Remembers a change of state, and tells who wants to know. */
static void tell(struct site *site, enum site_state from, const char *by, uint64_t took_us)
{
	char detail[JOURNAL_DETAIL_BYTES];
	struct journal_entry entry = {
		.time_us = site->since_us,
		.took_us = took_us,
		.site_id = site->id,
		.site = site->name,
		.by = by,
		.from = (uint8_t)from,
		.to = site->state,
	};

	if (*detail_of(site, detail, sizeof detail))
		entry.detail = detail;
	log_debug("site %s: %s -> %s (%s%s%s)", site->name, site_rule(from)->name, site_rule(entry.to)->name,
		  by, *detail ? ": " : "", detail);
	site->daemon->cause = NULL; /* what follows from it has reasons of its own */
	journal_add(&site->daemon->journal, &entry);
	control_site_changed(site, &entry);
}

/* A start is over when the program was ready, whatever had to be done since. */
static uint64_t wake_took_us(const struct run *run, enum site_state before)
{
	return ((before == STATE_STARTING ? run->ready_ns : clock_now_ns()) - run->wake_ns) / 1000;
}

void site_set_state(struct site *site, enum site_state state, const char *by)
{
	const struct site_rule *from = site_rule(site->state), *to = site_rule(state);
	enum site_state before = site->state;
	uint64_t took_us = 0;

	if (site->state == state)
		return;
	if (state == STATE_AWAKE) {
		took_us = wake_took_us(site->run, before);
		history_awake(site, took_us);
	}
	site->state = (uint8_t)state;
	site->since_us = clock_realtime_us();
	if (from->watched != to->watched)
		site_watch(site, to->watched && !site->daemon->stopping);
	state_timer_set(site);
	shortage_site_changed(site, before);
	ledgers_site_changed(site, before, took_us);
	tell(site, before, by, took_us);
}

static void look_after(struct site *site)
{
	if (site->run->stuck)
		wake_go_on(site);
	handover_look(site);
	state_timer_set(site);
}

bool site_dispatch(struct site *site, enum site_event event, const char *by)
{
	enum site_state from = site->state, to = site_next(from, event);

	if (to == STATE_ILLEGAL || (to == STATE_STARTING && (site->daemon->stopping || site->leaving))) {
		log_debug("site %s: event %s in state %s", site->name, site_event_name(event),
			  site_rule(from)->name);
		return false;
	}
	if (from == STATE_STOPPING && event == EVENT_WAKE)
		site->wanted = true;
	if (to == from) {
		if (to == STATE_STOPPING)
			stop_go_on(site, event);
		else if (event == EVENT_TIMEOUT)
			look_after(site);
		return true;
	}
	switch (to) {
	case STATE_STARTING:
		wake_begin(site, by);
		break;
	case STATE_AWAKE:
		wake_complete(site, by);
		break;
	case STATE_FREEZING:
		freeze_begin(site, by);
		break;
	case STATE_FROZEN:
		freeze_complete(site, by);
		break;
	case STATE_PAGING:
		site_set_state(site, STATE_PAGING, by);
		ladder_page_out(site, by);
		break;
	case STATE_PAGED:
		site_set_state(site, STATE_PAGED, by);
		break;
	case STATE_STOPPING:
		stop_begin(site, event, by);
		break;
	default:
		stop_complete(site, to, by);
	}
	return true;
}

bool site_dispatch_from(struct site *site, enum site_event event, const char *by, const struct cause *cause)
{
	struct daemon *daemon = site->daemon;
	bool done;

	daemon->cause = cause;
	daemon->caused_at = site;
	done = site_dispatch(site, event, by);
	daemon->cause = NULL;
	return done;
}

void site_ended(struct site *site, bool clean, const char *how)
{
	struct cause cause = {.text = how};
	bool blame = failure_judge(site, clean, how);

	site_dispatch_from(site, blame ? EVENT_FAILED : EVENT_EXITED, clean ? "exited" : "died", &cause);
}
