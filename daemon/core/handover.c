/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "handover.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "daemon.h"
#include "failure.h"
#include "interceptor.h"
#include "log.h"
#include "str.h"

static struct run *run_of(struct daemon *daemon, uint64_t id)
{
	struct run *run = daemon->runs;

	while (run && run->job.id != id)
		run = run->next;
	return run;
}

static void on_report(uv_poll_t *poll, int status, int events)
{
	struct daemon *daemon = poll->data;
	struct intercept_report report;

	(void)status;
	(void)events;
	while (interceptor_next_report(daemon->interceptor, &report)) {
		struct run *run = run_of(daemon, report.id);

		if (!run)
			continue; /* it has ended meanwhile */
		run->taken |= UINT64_C(1) << report.listener;
		log_debug("site %s: its program has bound listener %u", run->site->name, report.listener);
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

/* How the program could have come to its listeners, for people. */
static const char *ways(enum handover handover)
{
	switch (handover) {
	case HANDOVER_LISTEN_FDS:
		return "it was offered by LISTEN_FDS=";
	case HANDOVER_BIND:
		return "the program did not bind it: see BindPort=";
	case HANDOVER_STDIN:
		return "it was offered as standard input";
	default:
		return "it was offered by LISTEN_FDS=, and the program did not bind it: see BindPort=";
	}
}

bool handover_judge(struct site *site)
{
	const struct run *run = site->run;
	const struct site_spec *spec = run->plan->spec;
	char address[ADDRESS_TEXT_BYTES], after[64];
	struct reaper_activity activity;

	if (!reaper_get_activity(site->daemon->reaper, site->id, &activity) || activity.scanned_ns == 0)
		return false;
	if (activity.waiting == 0 || activity.connections > 0)
		return true;
	str_format_span(spec->timeout_start_us, after, sizeof after);
	for (unsigned i = 0; i < spec->n_listeners; i++)
		if (!(run->taken & (UINT64_C(1) << i))) {
			failure_record(site, "handover", 0,
				       "its program never took its listener %s: nothing was accepted in %s "
				       "(TimeoutStartSec=), %u waiting; %s",
				       address_format(&spec->listeners[i].address, address), after,
				       activity.waiting, ways(spec->handover));
			return true;
		}
	failure_record(site, "handover", 0,
		       "its program has bound its listeners, but accepted nothing in %s (TimeoutStartSec=), %u "
		       "waiting",
		       after, activity.waiting);
	return true;
}
