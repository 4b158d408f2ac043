/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* By hand; check-calendar.py compares with systemd. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "calendar.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void set_zone(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
}

/* CLOCK_REALTIME of "2024-03-31 02:30:00 UTC". */
static uint64_t instant(const char *text)
{
	struct tm tm = {0};

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S UTC", &tm));
	return (uint64_t)timegm(&tm) * 1000000;
}

static void assert_next(const char *calendar, const char *after, const char *expected)
{
	struct calendar parsed;
	const char *message = "";
	uint64_t at;

	if (calendar_parse(calendar, &parsed, &message) < 0)
		fail_msg("%s: %s", calendar, message);
	at = calendar_next(&parsed, instant(after));
	if (at != (expected ? instant(expected) : CALENDAR_NEVER))
		fail_msg("%s after %s: %llu", calendar, after, (unsigned long long)(at / 1000000));
}

static void test_next(void **state)
{
	(void)state;
	set_zone("Europe/Berlin");
	assert_next("Mon..Fri 08:00", "2024-01-05 07:00:00 UTC", "2024-01-08 07:00:00 UTC");
	assert_next("08:00 UTC", "2024-01-05 07:59:59 UTC", "2024-01-05 08:00:00 UTC");
	assert_next("08:00 UTC", "2024-01-05 08:00:00 UTC", "2024-01-06 08:00:00 UTC");
	assert_next("*-02-29", "2024-03-01 00:00:00 UTC", "2028-02-28 23:00:00 UTC");
	assert_next("*-*~01 12:00", "2024-02-01 00:00:00 UTC", "2024-02-29 11:00:00 UTC");
	assert_next("2024-01-01", "2024-01-01 00:00:00 UTC", NULL);
	assert_next("*-02-30", "2024-01-01 00:00:00 UTC", NULL);
}

/* On 31 March 2024 the clock went from 02:00 to 03:00, on 27 October from 03:00 to 02:00. */
static void test_changes_of_the_clock(void **state)
{
	(void)state;
	set_zone("Europe/Berlin");
	assert_next("08:00", "2024-03-30 12:00:00 UTC", "2024-03-31 06:00:00 UTC");
	assert_next("02:30", "2024-03-30 12:00:00 UTC", "2024-04-01 00:30:00 UTC");
	assert_next("*:30", "2024-03-31 00:30:00 UTC", "2024-03-31 01:30:00 UTC");
	assert_next("02:30", "2024-10-26 12:00:00 UTC", "2024-10-27 00:30:00 UTC");
	assert_next("02:30", "2024-10-27 00:30:00 UTC", "2024-10-28 01:30:00 UTC");
	assert_next("08:00", "2024-10-26 12:00:00 UTC", "2024-10-27 07:00:00 UTC");
}

static void test_messages(void **state)
{
	static const char *const bad[][2] = {
		{"", "a point in time"},
		{"noon", "days of the week"},
		{"Mon Tue", "a date"},
		{"08:00 Mon", "a point in time"},
		{"2024-13-01", "a date"},
		{"24:00", "a time of day"},
		{"08:00:00.5", "whole seconds"},
		{"@1700000000", "whole seconds"},
		{"08:00 Europe/Berlin", "UTC, or nothing"},
		{"Mon *-*-* 08:00 UTC extra", "a point in time"},
	};
	struct calendar calendar;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		const char *message = "";

		if (calendar_parse(bad[i][0], &calendar, &message) != -EINVAL)
			fail_msg("'%s' is taken", bad[i][0]);
		if (!strstr(message, bad[i][1]))
			fail_msg("'%s': '%s' does not say '%s'", bad[i][0], message, bad[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_changes_of_the_clock),
		cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
