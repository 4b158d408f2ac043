/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "spec.h"

struct daemon;
struct schedule;
struct site;
struct timetable_view;

/* The calendars of all sites that have some, and one timer, set to the next instant at which one of them says
 * anything. It counts the clock on the wall: when that is set, or the machine has slept, hours are looked up
 * anew, and times that were missed by more than a minute are not made up for. */

/* 0 and *ret, or -errno. */
int schedule_create(struct daemon *daemon, struct schedule **ret);

/* NULL is fine. */
void schedule_destroy(struct schedule *schedule);

/* Takes what the site's unit says now, in the place of what it said before. -errno: it has no calendars. */
int schedule_update(struct site *site);

/* The site is gone. */
void schedule_forget(const struct site *site);

/* What is spared to the site at this hour: Keep=, and within its hours KEEP_AWAKE. */
enum keep schedule_keep(const struct site *site);

/* What its calendars say now; NULL: the site has none. Valid until the loop goes on. */
const struct timetable_view *schedule_view(const struct site *site);

/* A Schedule of io.torpor; NULL: the site has no calendars. */
json_t *schedule_report(const struct site *site);
