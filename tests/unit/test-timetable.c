/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#include "timetable.h"

#define MINUTE UINT64_C(60000000)
#define HOUR   (60 * MINUTE)
#define MONDAY (UINT64_C(1704672000) * 1000000) /* 8 January 2024, 00:00 UTC */

static void make(struct timetable *table, uint64_t ahead_us, uint64_t keep_us)
{
	static const char *const wake[] = {"Mon..Fri 08:00", "Mon 12:00", NULL};
	static const char *const hibernate[] = {"22:00", NULL};
	struct site_spec spec = {.wake_on = wake,
				 .hibernate_on = hibernate,
				 .wake_ahead_us = ahead_us,
				 .keep_awake_us = keep_us};

	setenv("TZ", "UTC", 1);
	tzset();
	assert_int_equal(timetable_init(table, &spec), 0);
}

static void assert_look(const struct timetable *table, uint64_t now_us, uint64_t until_us, uint64_t wake_us,
			uint64_t next_us)
{
	struct timetable_view view;

	timetable_look(table, now_us, &view);
	assert_int_equal(view.awake, until_us > 0);
	assert_int_equal(view.awake_until_us, until_us);
	assert_int_equal(view.next_wake_us, wake_us);
	assert_int_equal(view.next_us, next_us);
}

static void test_hours(void **state)
{
	struct timetable table;

	(void)state;
	make(&table, 5 * MINUTE, 2 * HOUR);
	assert_look(&table, MONDAY + 7 * HOUR, 0, MONDAY + 7 * HOUR + 55 * MINUTE,
		    MONDAY + 7 * HOUR + 55 * MINUTE);
	assert_look(&table, MONDAY + 7 * HOUR + 55 * MINUTE, MONDAY + 10 * HOUR,
		    MONDAY + 12 * HOUR - 5 * MINUTE, MONDAY + 10 * HOUR);
	assert_look(&table, MONDAY + 10 * HOUR - 1, MONDAY + 10 * HOUR, MONDAY + 12 * HOUR - 5 * MINUTE,
		    MONDAY + 10 * HOUR);
	assert_look(&table, MONDAY + 10 * HOUR, 0, MONDAY + 12 * HOUR - 5 * MINUTE,
		    MONDAY + 12 * HOUR - 5 * MINUTE);
	assert_look(&table, MONDAY + 21 * HOUR, 0, MONDAY + 32 * HOUR - 5 * MINUTE, MONDAY + 22 * HOUR);
	timetable_finish(&table);
}

/* 08:00 with four hours, and 12:00: there is no gap. */
static void test_hours_that_meet(void **state)
{
	struct timetable table;

	(void)state;
	make(&table, 0, 4 * HOUR);
	assert_look(&table, MONDAY + 9 * HOUR, MONDAY + 16 * HOUR, MONDAY + 12 * HOUR, MONDAY + 12 * HOUR);
	timetable_finish(&table);
}

static void test_without_hours(void **state)
{
	struct timetable table;

	(void)state;
	make(&table, 0, 0);
	assert_look(&table, MONDAY + 8 * HOUR, 0, MONDAY + 12 * HOUR, MONDAY + 12 * HOUR);
	timetable_finish(&table);
}

static void test_what_has_passed(void **state)
{
	struct timetable table;

	(void)state;
	make(&table, 5 * MINUTE, 0);
	assert_false(timetable_wakes(&table, MONDAY, MONDAY + 8 * HOUR - 5 * MINUTE - 1));
	assert_true(timetable_wakes(&table, MONDAY, MONDAY + 8 * HOUR - 5 * MINUTE));
	assert_false(timetable_wakes(&table, MONDAY + 8 * HOUR - 5 * MINUTE, MONDAY + 9 * HOUR));
	assert_true(timetable_hibernates(&table, MONDAY + 21 * HOUR, MONDAY + 22 * HOUR));
	assert_false(timetable_hibernates(&table, MONDAY + 22 * HOUR, MONDAY + 23 * HOUR));
	timetable_finish(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hours),
		cmocka_unit_test(test_hours_that_meet),
		cmocka_unit_test(test_without_hours),
		cmocka_unit_test(test_what_has_passed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
