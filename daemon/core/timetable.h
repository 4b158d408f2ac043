/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "calendar.h"
#include "spec.h"

/* What the calendars of a site say of an instant: pure functions of CLOCK_REALTIME in microseconds, and of the
 * time zone. */
struct timetable {
	struct calendar
		*calendars; /* [n_wake] of WakeOnCalendar=, then [n_hibernate] of HibernateOnCalendar=; owned */
	unsigned n_wake, n_hibernate;
	uint64_t ahead_us, keep_us; /* WakeAheadSec=, KeepAwakeSec= */
};

struct timetable_view {
	bool awake;              /* the site is to be awake now: its hours */
	uint64_t awake_until_us; /* when they end; 0: it is not */
	uint64_t next_wake_us;   /* after now, CALENDAR_NEVER: none */
	uint64_t next_hibernate_us;
	uint64_t next_us; /* the next instant at which any of this is different */
};

/* Reads the calendars of a spec, which has checked them. 0; -ENOMEM. */
int timetable_init(struct timetable *table, const struct site_spec *spec);

void timetable_finish(struct timetable *table);

void timetable_look(const struct timetable *table, uint64_t now_us, struct timetable_view *ret);

/* Whether a time to wake, or to hibernate, lies after from_us and not after to_us. */
bool timetable_wakes(const struct timetable *table, uint64_t from_us, uint64_t to_us);
bool timetable_hibernates(const struct timetable *table, uint64_t from_us, uint64_t to_us);
