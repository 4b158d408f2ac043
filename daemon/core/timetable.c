/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "timetable.h"

#include <errno.h>
#include <stdlib.h>

#define MERGED_MAX 64 /* hours that follow each other without a gap are looked through so far */

static unsigned count(const char *const *list)
{
	unsigned n = 0;

	while (list && list[n])
		n++;
	return n;
}

int timetable_init(struct timetable *table, const struct site_spec *spec)
{
	const char *message;
	unsigned n;

	*table = (struct timetable){.n_wake = count(spec->wake_on),
				    .n_hibernate = count(spec->hibernate_on),
				    .ahead_us = spec->wake_ahead_us,
				    .keep_us = spec->keep_awake_us};
	n = table->n_wake + table->n_hibernate;
	table->calendars = calloc(n, sizeof *table->calendars);
	if (n > 0 && !table->calendars)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		(void)calendar_parse(i < table->n_wake ? spec->wake_on[i]
						       : spec->hibernate_on[i - table->n_wake],
				     &table->calendars[i], &message);
	return 0;
}

void timetable_finish(struct timetable *table)
{
	free(table->calendars);
	*table = (struct timetable){0};
}

/* The first of several calendars. */
static uint64_t first_after(const struct calendar *calendars, unsigned n, uint64_t after_us)
{
	uint64_t first = CALENDAR_NEVER;

	for (unsigned i = 0; i < n; i++) {
		uint64_t at = calendar_next(&calendars[i], after_us);

		if (at < first)
			first = at;
	}
	return first;
}

static uint64_t next_wake(const struct timetable *table, uint64_t after_us)
{
	return first_after(table->calendars, table->n_wake, after_us);
}

static uint64_t next_hibernate(const struct timetable *table, uint64_t after_us)
{
	return first_after(table->calendars + table->n_wake, table->n_hibernate, after_us);
}

/* The end of the hours that a time to wake begins, and of those that begin before they are over. */
static uint64_t end_of_hours(const struct timetable *table, uint64_t wake_us)
{
	for (unsigned i = 0; i < MERGED_MAX; i++) {
		uint64_t following = next_wake(table, wake_us);

		if (following == CALENDAR_NEVER || following - table->ahead_us > wake_us + table->keep_us)
			break;
		wake_us = following;
	}
	return wake_us + table->keep_us;
}

void timetable_look(const struct timetable *table, uint64_t now_us, struct timetable_view *ret)
{
	/* Of the times whose hours are not over: the hours of t are from t - ahead_us up to, not at, t +
	 * keep_us. */
	uint64_t since_us = now_us > table->keep_us ? now_us - table->keep_us : 0;
	uint64_t wake = next_wake(table, since_us), following = next_wake(table, now_us + table->ahead_us);

	*ret = (struct timetable_view){.next_wake_us = CALENDAR_NEVER};
	if (wake != CALENDAR_NEVER && wake <= now_us + table->ahead_us) {
		ret->awake = true;
		ret->awake_until_us = end_of_hours(table, wake);
	}
	if (following != CALENDAR_NEVER)
		ret->next_wake_us = following - table->ahead_us;
	ret->next_hibernate_us = next_hibernate(table, now_us);
	ret->next_us = ret->next_wake_us < ret->next_hibernate_us ? ret->next_wake_us : ret->next_hibernate_us;
	if (ret->awake && ret->awake_until_us < ret->next_us)
		ret->next_us = ret->awake_until_us;
}

bool timetable_wakes(const struct timetable *table, uint64_t from_us, uint64_t to_us)
{
	uint64_t at = next_wake(table, from_us + table->ahead_us);

	return at != CALENDAR_NEVER && at <= to_us + table->ahead_us;
}

bool timetable_hibernates(const struct timetable *table, uint64_t from_us, uint64_t to_us)
{
	return next_hibernate(table, from_us) <= to_us;
}
