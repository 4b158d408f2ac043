/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "daemon.h"
#include "log.h"

#define BACKOFF_MIN_US 1000000
#define BACKOFF_MAX_US 60000000

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
