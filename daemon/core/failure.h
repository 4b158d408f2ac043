/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct site;

/* The last thing that went wrong; kept until the next stop by command or a run that lasts. */
struct failure {
	uint64_t realtime_us;
	const char *step;  /* static: a launch step's name, "run", "start", "handover" */
	int error;         /* errno, or 0 */
	unsigned restarts; /* in a row; 0: nothing has ended */
	unsigned listener; /* of handover_look() */
	uint64_t retry_ns; /* CLOCK_MONOTONIC of the end of the back-off; 0: none */
	char message[768];
};

/* Remembers a failure of a site and logs it; one more in a row where one is remembered already. */
void failure_record(struct site *site, const char *step, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The same of something that goes on: nothing has ended. */
void failure_complain(struct site *site, const char *step, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

void failure_clear(struct site *site);

/* How long the site is left alone: 1 s after the first failure in a row, twice as long after each, 60 s at
 * most. */
uint64_t failure_backoff_us(const struct site *site);

/* Forgets it when the container has run for so long that it was no failed start. */
void failure_outlive(struct site *site);

/* Its container has ended, cleanly (status 0) or not: whether it is to blame for that, which is remembered
 * then. */
bool failure_judge(struct site *site, bool clean, const char *how);
