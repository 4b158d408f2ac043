/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Points in time as OnCalendar= of systemd.timer(5) names them. systemd's own reader is in no library, so this
 * is a second one, of systemd.time(7) less three things: fractions of seconds, time zones other than UTC and
 * the local one, and "@SECONDS". It is tested against `systemd-analyze calendar`. */

#define CALENDAR_YEAR_MIN 1970
#define CALENDAR_YEAR_MAX 2199 /* as systemd */
#define CALENDAR_NEVER    UINT64_MAX

/* Every list, range and repetition written out: bit n is the number n. */
struct calendar {
	uint64_t years[(CALENDAR_YEAR_MAX - CALENDAR_YEAR_MIN) / 64 + 1]; /* from CALENDAR_YEAR_MIN on */
	uint64_t minutes, seconds;
	uint32_t days; /* 1 to 31; with from_end the n-th last day of a month */
	uint32_t hours;
	uint16_t months;  /* 1 to 12 */
	uint8_t weekdays; /* 0 is Monday */
	bool from_end;
	bool utc; /* else the local time zone */
};

/* 0; or -EINVAL with *message saying what was expected. */
int calendar_parse(const char *text, struct calendar *ret, const char **message);

/* The first such instant after after_us, both microseconds of CLOCK_REALTIME; CALENDAR_NEVER when none is left.
 * In local time as systemd has it: what a change to summer time leaves out does not come on that day, what a
 * change back repeats comes once. */
uint64_t calendar_next(const struct calendar *calendar, uint64_t after_us);
