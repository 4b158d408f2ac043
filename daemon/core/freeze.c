/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "freeze.h"

#include <string.h>
#include <sys/socket.h>

#include "cause.h"
#include "clock.h"
#include "daemon.h"
#include "failure.h"
#include "log.h"
#include "notify.h"
#include "rest.h"
#include "run.h"
#include "stretch.h"
#include "transition.h"

void freeze_begin(struct site *site, const char *by)
{
	struct run *run = site->run;
	struct reaper_activity activity;
	int r;

	run->last_active_ns = clock_now_ns();
	if (run->tracked && reaper_get_activity(site->daemon->reaper, site->id, &activity) &&
	    activity.last_active_ns)
		run->last_active_ns = activity.last_active_ns;
	failure_outlive(site);
	run_untrack(run);
	opening_end(run);
	run->spoke = run->asked = false;
	site_set_state(site, STATE_FREEZING, by);
	STRETCH("freezing", site->name);
	r = container_freeze(&run->container);
	STRETCH("freeze-asked", site->name);
	if (r == 0)
		r = run_watch_freeze(run);
	if (r < 0) {
		log_error("site %s: cannot be frozen: %s", site->name, strerror(-r));
		site_dispatch(site, EVENT_WAKE, "freeze failed");
	}
}

static void on_held_data(uv_poll_t *poll, int status, int events)
{
	struct site *site = poll->data;
	struct cause cause = {0};
	uv_os_fd_t fd;

	(void)status;
	(void)events;
	if (uv_fileno((const uv_handle_t *)poll, &fd) == 0)
		(void)peer_of_socket(fd, &cause.peer);
	site->run->asked = (cause.peer.family == AF_INET || cause.peer.family == AF_INET6) &&
			   hold_is_visitor(fd, site->run->plan->spec);
	site_dispatch_from(site, EVENT_CONNECTION, "data on an open connection", &cause);
}

/* Whether the program may owe an answer: to one of those whose connections are held; or to a datagram, which
 * nobody holds once it is taken. */
static bool owes_answer(const struct site *site)
{
	const struct run *run = site->run;
	bool datagrams = false;

	for (unsigned i = 0; i < site->plan->spec->n_listeners; i++) {
		if (listener_taken_lately(site->listeners[i]))
			return true;
		datagrams |= site->listeners[i]->address->type == SOCK_DGRAM;
	}
	if (run->hold.n == 0 && !datagrams)
		return false;
	return run->hold.owed || hold_pending(&run->hold) || !container_at_rest(&run->container);
}

void freeze_complete(struct site *site, const char *by)
{
	struct run *run = site->run;
	int r;

	if (site_rule(site->state)->asleep) { /* it was not paged out */
		site_set_state(site, STATE_FROZEN, by);
		return;
	}
	run_unwatch_freeze(run);
	STRETCH("frozen", site->name);
	r = run_hold(run, on_held_data, site);
	if (r < 0) {
		log_warning("site %s: stays awake, its connections cannot be held while frozen: %s", site->name,
			    strerror(-r));
		site_dispatch(site, EVENT_WAKE, "connections cannot be held");
		return;
	}
	STRETCH("held", site->name);
	notify_receive(site->daemon->notify);
	if (site->state != STATE_FREEZING) /* it has brought more than messages: see daemon_take_launched() */
		return;
	if (run->spoke) {
		site_dispatch(site, EVENT_WAKE, busy_reason_text(BUSY_ANNOUNCED));
		return;
	}
	if (!site->plan->spec->freeze_connections && hold_accepted(&run->hold, run->plan->spec)) {
		site_dispatch(site, EVENT_CONNECTION, busy_reason_text(BUSY_CONNECTION));
		return;
	}
	if (owes_answer(site)) {
		run->asked = run->hold.owed;
		site_dispatch(site, EVENT_CONNECTION, "a request is being answered");
		return;
	}
	if (!run->stop_when_frozen && run->page_by) {
		site_dispatch(site, EVENT_PAGE_OUT, run->page_by);
		return;
	}
	if (!run->stop_when_frozen) {
		site_set_state(site, STATE_FROZEN, by);
		STRETCH("asleep", site->name);
		return;
	}
	if (run_pending(run))
		site_dispatch(site, EVENT_CONNECTION, "connection");
	else
		site_dispatch(site, EVENT_STOP, "idle");
}
