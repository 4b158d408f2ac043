/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "command.h"
#include "field.h"
#include "moment.h"
#include "options.h"
#include "sheet.h"
#include "sites.h"
#include "state.h"
#include "status.h"
#include "str.h"

/* torporctl why: the fields of a Status that answer it, in sentences. */

static void say(struct ctl *ctl, const char *sentence)
{
	sheet_sentence(&ctl->terminal, stdout, sentence);
}

static bool state_is(const json_t *status, const char *state)
{
	const char *is = field_raw(status, "state");

	return is && str_equal(is, state);
}

static const char *span(struct ctl *ctl, const json_t *status, const char *key)
{
	uint64_t us;

	return field_u64(status, key, &us) ? moment_span(&ctl->arena, us) : NULL;
}

static void say_state(struct ctl *ctl, const json_t *status, const char *site)
{
	struct arena *arena = &ctl->arena;
	const char *state = state_format(arena, field_raw(status, "state"));
	const char *addresses = status_addresses(ctl, status);
	uint64_t since;

	if (!state)
		state = "in an unknown state";
	if (field_u64(status, "since_us", &since))
		say(ctl,
		    arena_printf(arena, "%s is %s since %s (%s).", site, state, moment_absolute(arena, since),
				 moment_relative(arena, since, moment_now())));
	else
		say(ctl, arena_printf(arena, "%s is %s.", site, state));
	if (field_is(status, "enabled", false))
		say(ctl, "It is disabled (Enabled=no): no connection wakes it.");
	else if (state_is(status, "cold") && addresses)
		say(ctl, arena_printf(arena, "Nothing of it runs; a connection to %s wakes it.", addresses));
	else if (state_is(status, "frozen"))
		say(ctl,
		    "It is in memory and does not run; a connection, or a byte on one that is open, thaws it.");
	else if (state_is(status, "paged"))
		say(ctl,
		    "Its memory is in the swap; a connection, or a byte on one that is open, lets it go on.");
}

static void say_wake(struct ctl *ctl, const json_t *status)
{
	struct arena *arena = &ctl->arena;
	const char *by = field_text(arena, status, "last_wake_by"), *took = status_took(ctl, status);
	const char *text;
	uint64_t at;

	if (!field_u64(status, "last_wake_us", &at)) {
		say(ctl, "It has not been woken since torpord knows it.");
		return;
	}
	text = arena_printf(arena, "Last woken %s (%s)%s%s.", moment_relative(arena, at, moment_now()),
			    moment_absolute(arena, at), by && *by ? " by " : "", by ? by : "");
	say(ctl, took ? arena_printf(arena, "%s That took %s.", text, took) : text);
}

static void say_busy(struct ctl *ctl, const json_t *status)
{
	struct arena *arena = &ctl->arena;
	const char *busy = field_text(arena, status, "busy"), *idle = span(ctl, status, "idle_us");
	uint64_t open = 0, waiting = 0;
	double cpu = 0;

	if (!state_is(status, "awake") && !state_is(status, "freezing"))
		return;
	if (busy && *busy)
		say(ctl, arena_printf(arena, "What holds it awake: %s.", busy));
	else if (idle)
		say(ctl, arena_printf(arena, "Nothing holds it awake: it has been idle for %s.", idle));
	if (!field_u64(status, "connections", &open))
		return;
	field_u64(status, "waiting", &waiting);
	say(ctl, arena_printf(arena, "It has %llu open connection%s, %llu waiting to be accepted%s.",
			      (unsigned long long)open, open == 1 ? "" : "s", (unsigned long long)waiting,
			      field_double(status, "cpu", &cpu)
				      ? arena_printf(arena, ", and uses %.1f%% of a CPU", cpu * 100)
				      : ""));
}

static void say_next(struct ctl *ctl, const json_t *status)
{
	struct arena *arena = &ctl->arena;
	const char *rungs = status_rungs(ctl, status, " and ");
	const char *keep = field_raw(status, "keep"), *busy = field_raw(status, "busy");

	if (rungs)
		say(ctl, arena_printf(arena, "If nothing happens it is %s.", rungs));
	else if (state_is(status, "awake") && busy && *busy)
		say(ctl, "It hibernates when that is over and the times of [Hibernate] have passed.");
	if (keep && str_equal(keep, "awake"))
		say(ctl, "Its unit keeps it awake (Keep=awake): it never hibernates by itself.");
	else if (keep && str_equal(keep, "warm"))
		say(ctl,
		    "Its unit keeps it warm (Keep=warm): by itself it is frozen, never paged out or stopped.");
}

static void say_trouble(struct ctl *ctl, const json_t *status)
{
	const json_t *errors = json_object_get(status, "file_errors");
	const char *failure = status_failure(ctl, status);

	if (failure)
		say(ctl, arena_printf(&ctl->arena, "Last failure: " MARK_RED "%s" MARK_PLAIN ".", failure));
	for (size_t i = 0; i < json_array_size(errors); i++)
		say(ctl, arena_printf(&ctl->arena, "Its file is not in force: " MARK_RED "%s" MARK_PLAIN,
				      field_file_error(&ctl->arena, json_array_get(errors, i))));
}

enum exit_code command_why(struct ctl *ctl)
{
	const char *site = sites_one(ctl);
	enum exit_code code = site ? ctl_connect(ctl, CTL_TIMEOUT_US) : EXIT_NO_SITE;
	const json_t *status;
	struct reply reply;

	if (code != EXIT_OK)
		return code;
	code = ctl_call(ctl, "GetStatus", json_pack("{s:s}", "site", site), site, &reply);
	status = json_object_get(reply.parameters, "status");
	if (code == EXIT_OK && !json_is_object(status))
		code = ctl_complain(ctl, -EBADMSG);
	if (code == EXIT_OK && ctl->options->json) {
		ctl_print_json(ctl, status);
	} else if (code == EXIT_OK) {
		say_state(ctl, status, site);
		say_wake(ctl, status);
		say_busy(ctl, status);
		say_next(ctl, status);
		say_trouble(ctl, status);
	}
	reply_finish(&reply);
	return code;
}
