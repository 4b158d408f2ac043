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

void failure_record(struct site *site, const char *step, int error, const char *format, ...)
{
	unsigned restarts = site->failure ? site->failure->restarts : 0;
	va_list args;

	if (!site->failure)
		site->failure = calloc(1, sizeof *site->failure);
	if (!site->failure)
		return;
	*site->failure = (struct failure){.realtime_us = clock_realtime_us(), .step = step, .error = error};
	site->failure->restarts = restarts + 1;
	va_start(args, format);
	vsnprintf(site->failure->message, sizeof site->failure->message, format, args);
	va_end(args);
	log_warning("site %s: %s", site->name, site->failure->message);
}

uint64_t failure_backoff_us(const struct site *site)
{
	unsigned restarts = site->failure ? site->failure->restarts : 1;
	uint64_t us = restarts > 6 ? BACKOFF_MAX_US : BACKOFF_MIN_US << (restarts - 1);

	return us < BACKOFF_MAX_US ? us : BACKOFF_MAX_US;
}
