/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "handover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "clock.h"
#include "daemon.h"
#include "failure.h"
#include "interceptor.h"
#include "log.h"
#include "str.h"

static const char step[] = "handover";

static struct run *run_of(struct daemon *daemon, uint64_t id)
{
	struct run *run = daemon->runs;

	while (run && run->job.id != id)
		run = run->next;
	return run;
}

/* The complaint about a site's listener; NULL: there is none. */
static const struct failure *find_complaint(const struct site *site)
{
	return site->failure && site->failure->step == step ? site->failure : NULL;
}

static void withdraw(struct site *site)
{
	log_notice("site %s: its program sees to its listeners now", site->name);
	failure_clear(site);
}

static void on_taken(struct run *run, unsigned listener, uint64_t *taken)
{
	const struct failure *complaint = find_complaint(run->site);

	*taken |= UINT64_C(1) << listener;
	run->taken_ns = clock_now_ns();
	log_debug("site %s: its program has taken listener %u", run->site->name, listener);
	if (complaint && complaint->listener == listener)
		withdraw(run->site);
}

static void on_report(uv_poll_t *poll, int status, int events)
{
	struct daemon *daemon = poll->data;
	struct intercept_report report;
	int r;

	(void)status;
	(void)events;
	while ((r = interceptor_next_report(daemon->interceptor, &report)) > 0) {
		struct run *run = run_of(daemon, report.id);

		if (!run)
			continue; /* it has ended meanwhile */
		if (report.event == INTERCEPT_BOUND)
			on_taken(run, report.listener, &run->bound);
		else if (report.event == INTERCEPT_LISTENED)
			on_taken(run, report.listener, &run->listened);
		else if (!run->other && (run->other = malloc(sizeof *run->other)))
			*run->other = report.other;
	}
	if (r < 0) {
		log_error("the process that answers bind(2) has died: torpord stops, as its sites cannot do "
			  "without");
		uv_poll_stop(poll);
		daemon->failed = true;
		daemon_stop(daemon);
	}
}

int handover_start(struct daemon *daemon)
{
	int r = interceptor_create(&daemon->interceptor);

	if (r == 0)
		r = uv_poll_init(&daemon->loop, &daemon->reported, interceptor_report_fd(daemon->interceptor));
	if (r == 0) {
		daemon->reported.data = daemon;
		r = uv_poll_start(&daemon->reported, UV_READABLE, on_report);
	}
	if (r < 0)
		log_error("the interceptor of bind(2) cannot be started: %s", strerror(-r));
	return r;
}

void handover_close(struct daemon *daemon)
{
	if (daemon->reported.data)
		uv_close((uv_handle_t *)&daemon->reported, NULL);
}

void handover_destroy(struct daemon *daemon)
{
	interceptor_destroy(daemon->interceptor);
	daemon->interceptor = NULL;
}

int handover_make_gate(struct run *run)
{
	if (!run->plan->spec->accept_when_ready)
		return 0;
	run->gate_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return run->gate_fd < 0 ? -errno : 0;
}

void handover_open_gate(struct run *run)
{
	if (run->gate_fd >= 0)
		(void)eventfd_write(run->gate_fd, 1);
}

void handover_shut_gate(struct run *run)
{
	eventfd_t count;

	if (run->gate_fd >= 0)
		(void)eventfd_read(run->gate_fd, &count);
}

/* What to do, for people: text, or another. */
static const char *advise(const struct run *run, unsigned listener, char *text, size_t size)
{
	const struct site_spec *spec = run->plan->spec;
	const struct address *other = run->other, *address = &spec->listeners[listener].address;
	char where[ADDRESS_TEXT_BYTES], which[ADDRESS_TEXT_BYTES], port[16];
	bool several = spec->n_listeners > 1, path;

	switch (spec->handover) {
	case HANDOVER_LISTEN_FDS:
		return "it was offered by LISTEN_FDS= alone; a program that binds by itself needs "
		       "Handover=auto";
	case HANDOVER_STDIN:
		return "it was offered as standard input; a program that binds by itself needs Handover=auto";
	default:
		break;
	}
	if (!other)
		return spec->handover == HANDOVER_BIND
			       ? "the program has not bound it: if it binds another port, say which by "
				 "BindPort="
			       : "it was offered by LISTEN_FDS=, and the program has not bound it: if it binds "
				 "another port, say which by BindPort=";
	path = address_family(other) == AF_UNIX;
	snprintf(port, sizeof port, "%u", address_port(other));
	snprintf(text, size, "the program listens on %s instead: say %s=%s%s%s", address_format(other, where),
		 path ? "BindAddress" : "BindPort", several ? address_format(address, which) : "",
		 several ? " " : "", path ? where : port);
	return text;
}

static void complain(struct site *site, const struct reaper_activity *activity)
{
	const struct run *run = site->run;
	const struct site_spec *spec = run->plan->spec;
	uint64_t taken = run->bound | run->listened, never = activity->neglected & ~taken;
	unsigned listener = (unsigned)__builtin_ctzll(never ? never : activity->neglected);
	char address[ADDRESS_TEXT_BYTES], after[64], advice[3 * ADDRESS_TEXT_BYTES];

	address_format(&spec->listeners[listener].address, address);
	str_format_span(spec->timeout_start_us, after, sizeof after);
	if (never)
		failure_complain(site, step,
				 "its program never took its listener %s: nobody was let in for %s "
				 "(TimeoutStartSec=), %u waiting; %s",
				 address, after, activity->waiting,
				 advise(run, listener, advice, sizeof advice));
	else
		failure_complain(site, step,
				 "its program has taken its listener %s, but let nobody in for %s "
				 "(TimeoutStartSec=), %u waiting",
				 address, after, activity->waiting);
	if (site->failure)
		site->failure->listener = listener;
}

/* The queue of a listener is empty only when the program has let everybody in, those who have left included. */
static bool is_over(const struct site *site, const struct reaper_activity *activity)
{
	unsigned listener = site->failure->listener;

	return listener >= site->plan->spec->n_listeners || activity->attended & (UINT64_C(1) << listener) ||
	       !listener_pending(site->listeners[listener]);
}

/* For how long, as far as it is the program's fault: who has just taken a listener has time to let people in.
 */
static uint64_t neglected_us(const struct run *run, const struct reaper_activity *activity)
{
	uint64_t from_ns = run->taken_ns > activity->neglected_ns ? run->taken_ns : activity->neglected_ns;

	return activity->neglected ? (clock_now_ns() - from_ns) / 1000 : 0;
}

void handover_look(struct site *site)
{
	struct reaper_activity activity;
	uint64_t timeout_us = site->run->plan->spec->timeout_start_us;

	if (!reaper_get_activity(site->daemon->reaper, site->id, &activity))
		return;
	if (find_complaint(site)) {
		if (is_over(site, &activity))
			withdraw(site);
	} else if (activity.neglected && neglected_us(site->run, &activity) >= timeout_us) {
		complain(site, &activity);
	}
}

uint64_t handover_look_us(const struct site *site)
{
	struct reaper_activity activity;
	uint64_t timeout_us = site->run->plan->spec->timeout_start_us, neglected = 0;

	if (find_complaint(site))
		return site->daemon->config.scan_interval_us;
	if (timeout_us != SPEC_INFINITY && reaper_get_activity(site->daemon->reaper, site->id, &activity))
		neglected = neglected_us(site->run, &activity);
	return neglected < timeout_us ? timeout_us - neglected : timeout_us;
}
