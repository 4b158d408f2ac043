/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view.h"

#include "calendar.h"
#include "clock.h"
#include "daemon.h"
#include "ladder.h"
#include "run.h"
#include "state-timer.h"
#include "schedule.h"
#include "timetable.h"

/* What comes next. A row says in how many microseconds, SPEC_INFINITY: that is not known yet; false: it does
 * not come. */

static bool at_timer(struct view *view, uint64_t *in_us)
{
	*in_us = state_timer_left_us(view->site);
	return *in_us != UINT64_MAX;
}

static bool after_idle(const struct view *view, uint64_t limit_us, uint64_t *in_us)
{
	if (limit_us == SPEC_INFINITY)
		return false;
	*in_us = SPEC_INFINITY;
	if (view->watched && (view->activity.reason == BUSY_NOT || view->activity.reason == BUSY_DATA))
		*in_us = limit_us > view_idle_us(view) ? limit_us - view_idle_us(view) : 0;
	return true;
}

static bool freezes(struct view *view, uint64_t *in_us)
{
	const struct site_spec *spec = view->spec;
	bool overtaken = view->keep == KEEP_NONE && spec->stop_after_us <= spec->freeze_after_us;

	return view->keep != KEEP_AWAKE && !overtaken && after_idle(view, spec->freeze_after_us, in_us);
}

static bool pages_out(struct view *view, uint64_t *in_us)
{
	const struct site_spec *spec = view->spec;
	bool overtaken = spec->stop_after_us <= spec->page_out_after_us;

	return view->keep == KEEP_NONE && !overtaken && after_idle(view, spec->page_out_after_us, in_us);
}

static bool stops(struct view *view, uint64_t *in_us)
{
	return view->keep == KEEP_NONE && after_idle(view, view->spec->stop_after_us, in_us);
}

static bool pages_out_asleep(struct view *view, uint64_t *in_us)
{
	*in_us = ladder_page_out_left_us(view->site);
	return *in_us != SPEC_INFINITY;
}

static bool stops_asleep(struct view *view, uint64_t *in_us)
{
	*in_us = ladder_stop_left_us(view->site);
	return *in_us != SPEC_INFINITY;
}

static bool at_instant(uint64_t at_us, uint64_t *in_us)
{
	uint64_t now_us = clock_realtime_us();

	*in_us = at_us > now_us ? at_us - now_us : 0;
	return at_us != CALENDAR_NEVER && at_us > 0;
}

static bool wakes_by_calendar(struct view *view, uint64_t *in_us)
{
	const struct timetable_view *times = schedule_view(view->site);

	return times && at_instant(times->next_wake_us, in_us);
}

static bool hibernates_by_calendar(struct view *view, uint64_t *in_us)
{
	const struct timetable_view *times = schedule_view(view->site);

	return times && at_instant(times->next_hibernate_us, in_us);
}

static bool with_start_timer(struct view *view, uint64_t *in_us)
{
	return !view->site->run->queued && at_timer(view, in_us);
}

static bool wakes(struct view *view, uint64_t *in_us)
{
	*in_us = SPEC_INFINITY;
	return view->spec->enabled;
}

// clang-format off
static const struct {
	enum site_state state;
	const char *to;
	bool (*comes)(struct view *view, uint64_t *in_us);
	const char *when;
} rows[] = {
	{STATE_COLD, "starting", wakes, "when somebody connects"},
	{STATE_COLD, "starting", wakes_by_calendar, "by its calendar (WakeOnCalendar=)"},
	{STATE_STARTING, "stopping", with_start_timer, "unless it is ready before (TimeoutStartSec=)"},
	{STATE_AWAKE, "freezing", freezes, "if nothing happens (FreezeAfterSec=)"},
	{STATE_AWAKE, "paging", pages_out, "if nothing happens (PageOutAfterSec=)"},
	{STATE_AWAKE, "stopping", stops, "if nothing happens (StopAfterSec=)"},
	{STATE_AWAKE, "freezing", hibernates_by_calendar, "as soon as nobody uses it (HibernateOnCalendar=)"},
	{STATE_FREEZING, "awake", at_timer, "unless it is frozen before, or when somebody connects"},
	{STATE_FROZEN, "awake", wakes, "when somebody connects, or sends something"},
	{STATE_FROZEN, "awake", wakes_by_calendar, "by its calendar (WakeOnCalendar=)"},
	{STATE_FROZEN, "paging", pages_out_asleep, "if nothing happens (PageOutAfterSec=)"},
	{STATE_FROZEN, "stopping", stops_asleep, "if nothing happens (StopAfterSec=)"},
	{STATE_PAGING, "awake", wakes, "when somebody connects, or sends something"},
	{STATE_PAGING, "stopping", stops_asleep, "if nothing happens (StopAfterSec=)"},
	{STATE_PAGED, "awake", wakes, "when somebody connects, or sends something"},
	{STATE_PAGED, "awake", wakes_by_calendar, "by its calendar (WakeOnCalendar=)"},
	{STATE_PAGED, "stopping", stops_asleep, "if nothing happens (StopAfterSec=)"},
	{STATE_STOPPING, "cold", at_timer, "by force, unless it ends before (TimeoutStopSec=, DrainSec=)"},
	{STATE_FAILED, "cold", at_timer, "when the back-off is over: the next connection starts it again"},
};
// clang-format on

json_t *view_nexts(struct view *view)
{
	json_t *array = json_array();
	uint64_t in_us;

	for (size_t i = 0; array && i < sizeof rows / sizeof rows[0]; i++) {
		json_t *object;

		if (rows[i].state != view->site->state || !rows[i].comes(view, &in_us))
			continue;
		object = json_pack("{s:s, s:s}", "to", rows[i].to, "when", rows[i].when);
		if (object && in_us != SPEC_INFINITY)
			json_object_set_new(object, "in_us", json_integer((json_int_t)in_us));
		json_array_append_new(array, object);
	}
	return array;
}
