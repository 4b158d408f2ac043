/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon.h"
#include "probe.h"
#include "report.h"
#include "run.h"
#include "schedule.h"
#include "str.h"
#include "timetable.h"

/* What holds a site in its state. */

static bool say(struct view *view, const char *text)
{
	snprintf(view->text, sizeof view->text, "%s", text);
	return true;
}

static bool kept_awake(struct view *view)
{
	return view->spec->keep == KEEP_AWAKE && say(view, "its unit keeps it awake (Keep=awake)");
}

/* "Fri 2025-11-21 20:14:11 UTC". */
static const char *format_instant(uint64_t at_us, char *buf, size_t size)
{
	time_t seconds = (time_t)(at_us / 1000000);
	struct tm parts;

	if (!localtime_r(&seconds, &parts) || strftime(buf, size, "%a %Y-%m-%d %H:%M:%S %Z", &parts) == 0)
		snprintf(buf, size, "an unknown time");
	return buf;
}

static bool scheduled(struct view *view)
{
	const struct timetable_view *times = schedule_view(view->site);
	char until[64];

	if (!times || !times->awake)
		return false;
	snprintf(view->text, sizeof view->text, "its calendar keeps it awake until %s (WakeOnCalendar=)",
		 format_instant(times->awake_until_us, until, sizeof until));
	return true;
}

static bool kept_warm(struct view *view)
{
	return view->spec->keep == KEEP_WARM && say(view, "its unit keeps it in memory (Keep=warm)");
}

static bool without_times(struct view *view)
{
	return view->keep == KEEP_NONE && view->spec->freeze_after_us == SPEC_INFINITY &&
	       view->spec->page_out_after_us == SPEC_INFINITY && view->spec->stop_after_us == SPEC_INFINITY &&
	       say(view,
		   "its unit sets no time: FreezeAfterSec=, PageOutAfterSec= and StopAfterSec= are infinity");
}

static bool not_looked_at(struct view *view)
{
	return !view->watched && say(view, "it has just woken, and has not been looked at yet");
}

static bool waited_for(struct view *view)
{
	unsigned n = view->watched ? view->activity.waiting : 0;

	if (n == 0)
		return false;
	snprintf(view->text, sizeof view->text, "%u connection%s (or datagrams) wait%s to be accepted", n,
		 n == 1 ? "" : "s", n == 1 ? "s" : "");
	return true;
}

static bool uses_cpu(struct view *view)
{
	if (!view->watched || view->activity.cpu <= view->spec->idle_cpu)
		return false;
	snprintf(view->text, sizeof view->text, "it uses %.1f%% of a CPU (IdleCPU= is %.1f%%)",
		 view->activity.cpu * 100, view->spec->idle_cpu * 100);
	return true;
}

static bool says_busy(struct view *view)
{
	const char *status = view->site->run->status_text;

	if (!view->watched || view->activity.reason != BUSY_ANNOUNCED)
		return false;
	snprintf(view->text, sizeof view->text, "%s%s%s%s", busy_reason_text(BUSY_ANNOUNCED),
		 status ? ": \"" : "", status ? status : "", status ? "\"" : "");
	return true;
}

static bool moves_bytes(struct view *view)
{
	enum busy_reason reason = view->watched ? view->activity.reason : BUSY_NOT;
	char span[64];

	if (reason == BUSY_QUEUED || reason == BUSY_REQUEST || reason == BUSY_UNDATED ||
	    reason == BUSY_CONNECTION)
		return say(view, busy_reason_text(reason));
	if (reason != BUSY_DATA)
		return false;
	snprintf(view->text, sizeof view->text, "%s, %s ago", busy_reason_text(reason),
		 str_format_span(view_idle_us(view), span, sizeof span));
	return true;
}

static bool cannot_be_judged(struct view *view)
{
	enum busy_reason reason = view->watched ? view->activity.reason : BUSY_NOT;

	return (reason == BUSY_UNKNOWN || reason == BUSY_CLOCK) && say(view, busy_reason_text(reason));
}

static bool used_lately(struct view *view)
{
	char span[64];

	if (!view->watched || view->activity.reason != BUSY_NOT)
		return false;
	snprintf(view->text, sizeof view->text, "it was used %s ago",
		 str_format_span(view_idle_us(view), span, sizeof span));
	return true;
}

static bool waits_to_start(struct view *view)
{
	const struct admission *admission = &view->site->daemon->admission;

	if (!view->site->run->queued)
		return false;
	for (unsigned i = 0; i < admission->n_waiting; i++)
		if (admission->waiting[i].run == view->site->run)
			snprintf(view->text, sizeof view->text,
				 "it waits for its turn to start: %u of %u in the queue, %u are starting",
				 i + 1, admission->n_waiting, admission->starting + admission->opening);
	return true;
}

static bool starts(struct view *view)
{
	const struct run *run = view->site->run;

	if (run->queued)
		return false;
	return say(view, run->launched_ns == 0 ? "it is being attached to its network"
			 : run->job_in_flight  ? "its container is being made"
					       : "its program has not said yet that it is ready (Type=notify)");
}

static bool not_paged_out(struct view *view)
{
	int error = view->site->run->page_error;

	if (error == 0)
		return false;
	snprintf(view->text, sizeof view->text, "its memory could not be paged out: %s",
		 error == ENOSPC   ? "there is no room in the swap"
		 : error == EDQUOT ? "MemorySwapMax= does not let it into the swap"
				   : strerror(error));
	return true;
}

static bool is_paged_out(struct view *view)
{
	return say(view, "its memory is on its way to the swap");
}

static bool is_stopped(struct view *view)
{
	const struct run *run = view->site->run;

	return say(view, run->killed      ? "it has been killed, and is not gone yet"
			 : run->signalled ? "it has been told to stop, and ends"
			 : run->drain.on  ? "it answers those who are being served (DrainSec=)"
					  : "it is being looked at before it is told to stop");
}

static bool backs_off(struct view *view)
{
	const struct failure *failure = view->site->failure;

	if (!failure)
		return false;
	snprintf(view->text, sizeof view->text, "it is left alone after %u failure%s in a row: %s",
		 failure->restarts, failure->restarts == 1 ? "" : "s", failure->message);
	return true;
}

static bool put_off(struct view *view)
{
	json_t *probes = probes_report(view->site), *waits = json_object_get(probes, "waits_us");
	bool holds = json_is_integer(waits);
	char span[64];

	if (holds)
		snprintf(view->text, sizeof view->text,
			 "only those wait who have woken it too often (WakeLimitBurst=): for %s",
			 str_format_span((uint64_t)json_integer_value(waits), span, sizeof span));
	json_decref(probes);
	return holds;
}

/* Asked from top to bottom; a row that has something to say puts it into view->text. */
// clang-format off
static const struct {
	enum site_state state;
	const char *kind;
	bool (*holds)(struct view *view);
} rows[] = {
	{STATE_COLD, "probes", put_off},
	{STATE_STARTING, "queue", waits_to_start},
	{STATE_STARTING, "start", starts},
	{STATE_AWAKE, "keep", kept_awake},
	{STATE_AWAKE, "schedule", scheduled},
	{STATE_AWAKE, "times", without_times},
	{STATE_AWAKE, "wake", not_looked_at},
	{STATE_AWAKE, "waiting", waited_for},
	{STATE_AWAKE, "data", moves_bytes},
	{STATE_AWAKE, "cpu", uses_cpu},
	{STATE_AWAKE, "notify", says_busy},
	{STATE_AWAKE, "unknown", cannot_be_judged},
	{STATE_AWAKE, "use", used_lately},
	{STATE_FROZEN, "keep", kept_warm},
	{STATE_FROZEN, "keep", kept_awake},
	{STATE_FROZEN, "probes", put_off},
	{STATE_FROZEN, "swap", not_paged_out},
	{STATE_PAGING, "paging", is_paged_out},
	{STATE_PAGED, "keep", kept_warm},
	{STATE_PAGED, "probes", put_off},
	{STATE_STOPPING, "stop", is_stopped},
	{STATE_FAILED, "failure", backs_off},
};
// clang-format on

json_t *view_holds(struct view *view)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].state == view->site->state && rows[i].holds(view))
			json_array_append_new(array, json_pack("{s:s, s:o*}", "kind", rows[i].kind, "text",
							       report_string(view->text)));
	return array;
}
