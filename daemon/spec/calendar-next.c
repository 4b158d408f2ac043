/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "calendar.h"

#include <time.h>

#define US_PER_S  UINT64_C(1000000)
#define TRIES_MAX 64 /* changes of the clock that one search may meet */

/* The first set bit from n on, up to max; -1: none. */
static int next_bit(uint64_t bits, int n, int max)
{
	for (; n <= max; n++)
		if (bits & UINT64_C(1) << n)
			return n;
	return -1;
}

static bool has_year(const struct calendar *calendar, int year)
{
	unsigned n = (unsigned)(year - CALENDAR_YEAR_MIN);

	return calendar->years[n / 64] & UINT64_C(1) << n % 64;
}

static int month_length(int year, int month)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return lengths[month - 1] + (month == 2 && leap);
}

/* 0 is Monday: Zeller's rule, with March as the first month. */
static int weekday(int year, int month, int day)
{
	static const int shift[] = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4};

	year -= month < 3;
	return (year + year / 4 - year / 100 + year / 400 + shift[month - 1] + day + 6) % 7;
}

static int next_day(const struct calendar *calendar, int year, int month, int day)
{
	int length = month_length(year, month);

	for (; day <= length; day++) {
		int counted = calendar->from_end ? length + 1 - day : day;

		if (calendar->days & UINT32_C(1) << counted &&
		    calendar->weekdays & 1 << weekday(year, month, day))
			return day;
	}
	return -1;
}

/* Sets the fields behind the one that has moved to their first values. */
static void from_month(struct tm *tm)
{
	tm->tm_mon = tm->tm_hour = tm->tm_min = tm->tm_sec = 0;
	tm->tm_mday = 1;
}

static void from_day(struct tm *tm)
{
	tm->tm_hour = tm->tm_min = tm->tm_sec = 0;
	tm->tm_mday = 1;
}

/* Moves to the next day that fits. *moved: it is not the one in tm. False: there is none. */
static bool find_day(const struct calendar *calendar, struct tm *tm, bool *moved)
{
	*moved = false;
	while (tm->tm_year + 1900 <= CALENDAR_YEAR_MAX) {
		int year = tm->tm_year + 1900, day;

		if (!has_year(calendar, year) || tm->tm_mon > 11) {
			tm->tm_year++;
			from_month(tm);
			*moved = true;
			continue;
		}
		day = calendar->months & 1 << (tm->tm_mon + 1)
			      ? next_day(calendar, year, tm->tm_mon + 1, tm->tm_mday)
			      : -1;
		if (day > 0) {
			*moved |= day != tm->tm_mday;
			tm->tm_mday = day;
			return true;
		}
		tm->tm_mon++;
		from_day(tm);
		*moved = true;
	}
	return false;
}

/* Moves to the next time of the day that fits. False: there is none on this day. */
static bool find_time(const struct calendar *calendar, struct tm *tm)
{
	int hour = next_bit(calendar->hours, tm->tm_hour, 23), minute, second;

	while (hour >= 0) {
		if (hour != tm->tm_hour)
			tm->tm_min = tm->tm_sec = 0;
		tm->tm_hour = hour;
		minute = next_bit(calendar->minutes, tm->tm_min, 59);
		while (minute >= 0) {
			if (minute != tm->tm_min)
				tm->tm_sec = 0;
			tm->tm_min = minute;
			second = next_bit(calendar->seconds, tm->tm_sec, 59);
			if (second >= 0) {
				tm->tm_sec = second;
				return true;
			}
			minute = next_bit(calendar->minutes, minute + 1, 59);
		}
		hour = next_bit(calendar->hours, hour + 1, 23);
	}
	return false;
}

/* The first fields from those in tm on that fit, whether a clock ever shows them or not. */
static bool find_fields(const struct calendar *calendar, struct tm *tm)
{
	bool moved;

	while (find_day(calendar, tm, &moved)) {
		if (moved)
			tm->tm_hour = tm->tm_min = tm->tm_sec = 0;
		if (find_time(calendar, tm))
			return true;
		tm->tm_mday++;
		tm->tm_hour = tm->tm_min = tm->tm_sec = 0;
	}
	return false;
}

static bool same_fields(const struct tm *a, const struct tm *b)
{
	return a->tm_year == b->tm_year && a->tm_mon == b->tm_mon && a->tm_mday == b->tm_mday &&
	       a->tm_hour == b->tm_hour && a->tm_min == b->tm_min && a->tm_sec == b->tm_sec;
}

/* The instant at which the local clock shows the fields; of two, the first. False: it never does. */
static bool local_instant(const struct tm *fields, time_t *ret)
{
	for (int dst = 1; dst >= 0; dst--) {
		struct tm tm = *fields, shown;
		time_t t;

		tm.tm_isdst = dst;
		t = mktime(&tm);
		if (t != (time_t)-1 && localtime_r(&t, &shown) && same_fields(&shown, fields)) {
			*ret = t;
			return true;
		}
	}
	return false;
}

uint64_t calendar_next(const struct calendar *calendar, uint64_t after_us)
{
	time_t from = (time_t)(after_us / US_PER_S) + 1, t;
	struct tm tm;

	if (!(calendar->utc ? gmtime_r(&from, &tm) : localtime_r(&from, &tm)) || tm.tm_year < 70)
		return CALENDAR_NEVER;
	for (unsigned i = 0; i < TRIES_MAX; i++) {
		if (!find_fields(calendar, &tm))
			return CALENDAR_NEVER;
		if (calendar->utc)
			return (uint64_t)timegm(&tm) * US_PER_S;
		if (local_instant(&tm, &t) && t >= from)
			return (uint64_t)t * US_PER_S;
		/* Left out by a change of the clock, or the first of two that has passed: on to the next
		 * minute. */
		tm.tm_sec = 0;
		if (++tm.tm_min == 60) {
			tm.tm_min = 0;
			if (++tm.tm_hour == 24) {
				tm.tm_hour = 0;
				tm.tm_mday++;
			}
		}
	}
	return CALENDAR_NEVER;
}
