/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "daemon.h"
#include "log.h"

#define BACKOFF_MIN_US  1000000
#define BACKOFF_MAX_US  60000000
#define SETTLED_US      10000000 /* a run this long was no failed start */
#define QUICK_EXIT_US   2000000  /* clean exits quicker than this, so many in a row, are a failure: */
#define QUICK_EXITS_MAX 20       /* systemd's TriggerLimitIntervalSec=2s, TriggerLimitBurst=20 */

void failure_clear(struct site *site)
{
	free(site->failure);
	site->failure = NULL;
}

__attribute__((format(printf, 5, 0))) static void record(struct site *site, const char *step, int error,
							 unsigned restarts, const char *format, va_list args)
{
	if (!site->failure)
		site->failure = calloc(1, sizeof *site->failure);
	if (!site->failure)
		return;
	*site->failure = (struct failure){
		.realtime_us = clock_realtime_us(), .step = step, .error = error, .restarts = restarts};
	vsnprintf(site->failure->message, sizeof site->failure->message, format, args);
	log_warning("site %s: %s", site->name, site->failure->message);
}

void failure_record(struct site *site, const char *step, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	record(site, step, error, (site->failure ? site->failure->restarts : 0) + 1, format, args);
	va_end(args);
}

void failure_complain(struct site *site, const char *step, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	record(site, step, 0, 0, format, args);
	va_end(args);
}

uint64_t failure_backoff_us(const struct site *site)
{
	unsigned restarts = site->failure && site->failure->restarts > 0 ? site->failure->restarts : 1;
	uint64_t us = restarts > 6 ? BACKOFF_MAX_US : BACKOFF_MIN_US << (restarts - 1);

	return us < BACKOFF_MAX_US ? us : BACKOFF_MAX_US;
}

static uint64_t run_age_us(const struct run *run)
{
	return run->ready_ns ? (clock_now_ns() - run->ready_ns) / 1000 : 0;
}

void failure_outlive(struct site *site)
{
	if (run_age_us(site->run) > SETTLED_US)
		failure_clear(site);
}

bool failure_judge(struct site *site, bool clean, const char *how)
{
	const struct run *run = site->run;
	uint64_t age_us = run_age_us(run);
	bool blame = false;

	if (run->failed_start) {
		blame = true;
	} else if (site->state == STATE_STARTING) {
		failure_record(site, "start", 0, "%s before it said READY=1", how);
		blame = true;
	} else if (site->state == STATE_AWAKE && !clean && !run->killed) {
		failure_outlive(site);
		failure_record(site, "run", 0, "%s after %llu ms%s", how, (unsigned long long)(age_us / 1000),
			       age_us < SETTLED_US ? ": see its output" : "");
		blame = age_us < SETTLED_US;
	} else if (site->state == STATE_AWAKE && age_us < QUICK_EXIT_US) {
		blame = ++site->quick_exits >= QUICK_EXITS_MAX;
		if (blame)
			failure_record(site, "run", 0, "%s at once, %u times in a row", how, site->quick_exits);
	}
	if (age_us >= QUICK_EXIT_US)
		site->quick_exits = 0;
	return blame;
}
