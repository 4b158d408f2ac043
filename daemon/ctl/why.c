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
#include "table.h"

/* torporctl why: a Why, in sentences. */

#define STEPS_SHOWN 16 /* there are not that many */

static const struct table_column connection_columns[] = {
	{"PEER", .least = 20, .cut = WIDTH_CUT_END},
	{"ON", .least = 12, .cut = WIDTH_CUT_MIDDLE, .gives_way = 3},
	{"STATE"},
	{"UNREAD", .right = true, .gives_way = 2},
	{"UNSENT", .right = true, .gives_way = 2},
	{"LAST DATA", .right = true, .optional = true, .gives_way = 1},
};

#define N_COLUMNS (sizeof connection_columns / sizeof connection_columns[0])

static void say(struct ctl *ctl, const char *sentence)
{
	sheet_sentence(&ctl->terminal, stdout, sentence);
}

static bool state_of(const json_t *object, const char *key, const char *state)
{
	const char *is = field_raw(object, key);

	return is && str_equal(is, state);
}

static bool state_is(const json_t *status, const char *state)
{
	return state_of(status, "state", state);
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

/* "from 10.0.0.1:54321, or one of 3 others", "from somebody unknown (...)"; "" where nobody was. */
static const char *who(struct ctl *ctl, const json_t *wake)
{
	struct arena *arena = &ctl->arena;
	const char *peer = field_text(arena, json_object_get(wake, "peer"), "text"),
		   *unknown = field_text(arena, wake, "peer_unknown"), *text = "";
	uint64_t others;

	if (peer)
		text = arena_printf(arena, " from %s", peer);
	else if (unknown)
		text = arena_printf(arena, " from somebody unknown (%s)", unknown);
	if (text && *text && field_u64(wake, "others", &others) && others > 0)
		text = arena_printf(arena, "%s, or one of %llu other%s that came at once", text,
				    (unsigned long long)others, others == 1 ? "" : "s");
	return text;
}

/* "queued 20us, cloned 310us, executed 1.1ms". */
static const char *steps(struct ctl *ctl, const json_t *wake)
{
	const json_t *array = json_object_get(wake, "steps");
	const char *text = NULL;

	for (size_t i = 0; i < json_array_size(array) && i < STEPS_SHOWN; i++) {
		const json_t *step = json_array_get(array, i);
		const char *name = field_text(&ctl->arena, step, "name"), *took = span(ctl, step, "took_us");

		if (name && took)
			text = arena_printf(&ctl->arena, "%s%s%s %s", text ? text : "", text ? ", " : "", name,
					    took);
	}
	return text;
}

/* From where nothing had to be started. */
static bool thawed(const json_t *wake)
{
	return state_of(wake, "from", "frozen") || state_of(wake, "from", "paging") ||
	       state_of(wake, "from", "paged");
}

static void say_wake(struct ctl *ctl, const json_t *wake)
{
	struct arena *arena = &ctl->arena;
	const char *reason = field_text(arena, wake, "reason"), *listener = field_text(arena, wake, "listener"),
		   *took = span(ctl, wake, "took_us"), *each = steps(ctl, wake);
	uint64_t at;

	if (!field_u64(wake, "time_us", &at)) {
		say(ctl, "It has not been woken since torpord knows it.");
		return;
	}
	say(ctl, arena_printf(arena, "Last %s %s (%s): %s%s%s%s.", thawed(wake) ? "thawed" : "woken",
			      moment_relative(arena, at, moment_now()), moment_absolute(arena, at),
			      reason && *reason ? reason : "for a reason that is not known",
			      listener ? " on " : "", listener ? listener : "", who(ctl, wake)));
	if (took)
		say(ctl, arena_printf(arena, "That took %s%s%s.", took, each ? ": " : "", each ? each : ""));
}

static void say_holds(struct ctl *ctl, const json_t *why, const json_t *status)
{
	const json_t *holds = json_object_get(why, "holds");

	if (json_array_size(holds) > 0)
		say(ctl, state_is(status, "awake")                                 ? "What holds it awake:"
			 : state_is(status, "frozen") || state_is(status, "paged") ? "What holds it in memory:"
										   : "What it waits for:");
	else if (state_is(status, "awake"))
		say(ctl, "Nothing holds it awake.");
	for (size_t i = 0; i < json_array_size(holds); i++) {
		const char *text = field_text(&ctl->arena, json_array_get(holds, i), "text");

		say(ctl,
		    arena_printf(&ctl->arena, "%s %s", terminal_bullet(&ctl->terminal), text ? text : "?"));
	}
}

static void print_connections(struct ctl *ctl, const json_t *connections)
{
	struct arena *arena = &ctl->arena;
	struct table table;

	table_init(&table, connection_columns, N_COLUMNS);
	for (size_t i = 0; i < json_array_size(connections); i++) {
		const json_t *connection = json_array_get(connections, i);
		const char *cells[N_COLUMNS] = {
			field_text(arena, json_object_get(connection, "peer"), "text"),
			field_text(arena, connection, "listener"),
			field_text(arena, connection, "state"),
			field_bytes(arena, connection, "unread_bytes"),
			field_bytes(arena, connection, "unsent_bytes"),
			span(ctl, connection, "idle_us"),
		};

		if (table_add(&table, cells) < 0)
			break;
	}
	table_print(&table, &ctl->terminal, SIZE_MAX, stdout);
	table_finish(&table);
}

static void say_connections(struct ctl *ctl, const json_t *why, const json_t *status)
{
	const json_t *connections = json_object_get(why, "connections");
	uint64_t open = 0, waiting = 0, all;

	if (!json_is_array(connections)) {
		say(ctl, "Its connections could not be looked at.");
		return;
	}
	field_u64(why, "open", &open);
	field_u64(why, "waiting", &waiting);
	if (state_is(status, "cold") && open + waiting == 0)
		return;
	all = open + waiting;
	say(ctl, arena_printf(&ctl->arena, "It has %llu open connection%s, and %llu wait%s to be accepted%s",
			      (unsigned long long)open, open == 1 ? "" : "s", (unsigned long long)waiting,
			      waiting == 1 ? "s" : "",
			      all == 0                             ? "."
			      : all > json_array_size(connections) ? "; those used last:"
								   : ":"));
	if (json_array_size(connections) > 0)
		print_connections(ctl, connections);
}

static void say_next(struct ctl *ctl, const json_t *why)
{
	const json_t *nexts = json_object_get(why, "next");

	for (size_t i = 0; i < json_array_size(nexts); i++) {
		const json_t *next = json_array_get(nexts, i);
		const char *to = state_format(&ctl->arena, field_raw(next, "to")),
			   *in = span(ctl, next, "in_us"), *when = field_text(&ctl->arena, next, "when");

		say(ctl, arena_printf(&ctl->arena, "Next: %s%s%s%s%s.", to ? to : "?", in ? " in " : "",
				      in ? in : "", when && *when ? ", " : "", when ? when : ""));
	}
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

/* " (half within 3.1ms, 99 of 100 within 9.0ms)" */
static const char *quantiles(struct ctl *ctl, const json_t *ledger, const char *key)
{
	const json_t *object = json_object_get(ledger, key);
	const char *half = span(ctl, object, "p50_us"), *most = span(ctl, object, "p99_us");

	return half && most ? arena_printf(&ctl->arena, " (half within %s, 99 of 100 within %s)", half, most)
			    : "";
}

/* ", frozen 3h 2min"; "" where it never was. */
static const char *spent(struct ctl *ctl, const json_t *ledger, const char *key, const char *what)
{
	uint64_t us;

	return field_u64(ledger, key, &us) && us > 0
		       ? arena_printf(&ctl->arena, ", %s %s", what, moment_span(&ctl->arena, us))
		       : "";
}

static void say_ledger(struct ctl *ctl, const json_t *ledger)
{
	struct arena *arena = &ctl->arena;
	const char *wakes = field_count(arena, ledger, "wakes"), *thaws = field_count(arena, ledger, "thaws"),
		   *failures = field_count(arena, ledger, "failures"),
		   *saved = field_bytes(arena, ledger, "saved_byte_hours"),
		   *awake = span(ctl, ledger, "awake_us");
	uint64_t since;

	if (!field_u64(ledger, "since_us", &since))
		return;
	say(ctl,
	    arena_printf(
		    arena,
		    "Since %s: %s wakes%s, %s thaws%s, %s failures; awake %s%s%s%s; %s-hours of memory saved.",
		    moment_absolute(arena, since), wakes ? wakes : "?", quantiles(ctl, ledger, "wake"),
		    thaws ? thaws : "?", quantiles(ctl, ledger, "thaw"), failures ? failures : "?",
		    awake ? awake : "?", spent(ctl, ledger, "frozen_us", "frozen"),
		    spent(ctl, ledger, "paged_us", "paged out"), spent(ctl, ledger, "cold_us", "cold"),
		    saved ? saved : "?"));
}

static void explain(struct ctl *ctl, const json_t *why, const json_t *status, const char *site)
{
	say_state(ctl, status, site);
	say_wake(ctl, json_object_get(why, "wake"));
	say_holds(ctl, why, status);
	say_connections(ctl, why, status);
	say_next(ctl, why);
	say_ledger(ctl, json_object_get(why, "ledger"));
	say_trouble(ctl, status);
}

enum exit_code command_why(struct ctl *ctl)
{
	const char *site = sites_one(ctl);
	enum exit_code code = site ? ctl_connect(ctl, CTL_TIMEOUT_US) : EXIT_NO_SITE;
	const json_t *why, *status;
	struct reply reply;

	if (code != EXIT_OK)
		return code;
	code = ctl_call(ctl, "Explain", json_pack("{s:s}", "site", site), site, &reply);
	why = json_object_get(reply.parameters, "why");
	status = json_object_get(why, "status");
	if (code == EXIT_OK && !json_is_object(status))
		code = ctl_complain(ctl, -EBADMSG);
	if (code == EXIT_OK && ctl->options->json)
		ctl_print_json(ctl, why);
	else if (code == EXIT_OK)
		explain(ctl, why, status, site);
	reply_finish(&reply);
	return code;
}
