/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdint.h>

#include "command.h"
#include "dump.h"
#include "field.h"
#include "moment.h"
#include "options.h"
#include "sites.h"
#include "state.h"
#include "width.h"

/* torporctl events */

#define TRANSITION_COLUMNS 19 /* "freezing -> stopping" and a little less common ones overhang */
#define SITE_COLUMNS_LEAST 10
#define SITE_COLUMNS_MOST  32
#define NARROW_COLUMNS     70 /* below, the date is left out */
#define RECORDED_SHOWN     10 /* events that were, before those that come */
#define DATE_COLUMNS       7  /* "Nov 21 " */

/* text, and blanks up to columns. */
static const char *padded(struct arena *arena, const char *text, size_t columns)
{
	size_t used = width_of(text);

	return arena_printf(arena, "%s%*s", text, used < columns ? (int)(columns - used) : 0, "");
}

static size_t site_columns(const struct terminal *terminal)
{
	size_t columns = terminal->columns / 4;

	return columns < SITE_COLUMNS_LEAST  ? SITE_COLUMNS_LEAST
	       : columns > SITE_COLUMNS_MOST ? SITE_COLUMNS_MOST
					     : columns;
}

/* One event on one line; on a terminal at most as long as it is wide. */
static const char *format_event(const struct terminal *terminal, struct arena *arena, const json_t *event)
{
	const char *site = field_text(arena, event, "site"), *reason = field_text(arena, event, "reason"),
		   *detail = field_text(arena, event, "detail");
	const char *from = state_format(arena, field_raw(event, "from")),
		   *to = state_format(arena, field_raw(event, "to"));
	const char *stamp = "", *transition, *line;
	uint64_t at, took;

	if (field_u64(event, "time_us", &at) && (stamp = moment_stamp(arena, at)) &&
	    terminal->columns < NARROW_COLUMNS && width_of(stamp) > DATE_COLUMNS)
		stamp += DATE_COLUMNS;
	site = site ? site : "?";
	if (terminal->is_terminal)
		site = width_fit(arena, site, site_columns(terminal), WIDTH_CUT_MIDDLE,
				 terminal_ellipsis(terminal));
	transition =
		arena_printf(arena, "%s %s %s", from ? from : "?", terminal_arrow(terminal), to ? to : "?");
	line = arena_printf(arena, "%s  %s  %s", stamp, padded(arena, site, site_columns(terminal)),
			    padded(arena, transition, TRANSITION_COLUMNS));
	if (field_u64(event, "took_us", &took))
		line = arena_printf(arena, "%s  %s", line, moment_span(arena, took));
	if (reason && *reason)
		line = arena_printf(arena, "%s  %s%s%s", line, reason, detail && *detail ? ": " : "",
				    detail ? detail : "");
	return width_fit(arena, line, terminal->columns, WIDTH_CUT_END, terminal_ellipsis(terminal));
}

static void print_event(const struct ctl *ctl, const json_t *event)
{
	struct terminal terminal = ctl->terminal;
	struct arena arena;

	if (ctl->options->json) {
		dump_print(event, false, stdout);
		return;
	}
	/* An arena an event: this command runs for ever. The window may have another size than the last time.
	 */
	arena_init(&arena);
	terminal_measure(&terminal);
	terminal_print(&terminal, stdout, format_event(&terminal, &arena, event));
	putchar('\n');
	arena_finish(&arena);
}

/* Prints what was, and what comes until the daemon or the reader of our output goes away. */
static enum exit_code follow(struct ctl *ctl, const char *site, const char *pattern)
{
	struct reply reply;
	bool more = true;
	int r = 0;

	while (more && (r = client_wait(&ctl->client, &reply)) >= 0) {
		const json_t *event = json_object_get(reply.parameters, "event");
		const char *name = field_raw(event, "site");
		enum exit_code code;

		if (reply.error) {
			code = ctl_complain_reply(ctl, &reply, site);
			reply_finish(&reply);
			return code;
		}
		/* The subscription stands: from now on silence is not a failure. */
		client_set_timeout(&ctl->client, CLIENT_NEVER);
		if (json_is_object(event) && (!pattern || (name && fnmatch(pattern, name, 0) == 0)))
			print_event(ctl, event);
		more = reply.continues;
		reply_finish(&reply);
		if (fflush(stdout) != 0 || ferror(stdout))
			return EXIT_FAILED;
	}
	if (r >= 0 && !(ctl->options->flags & OPTION_FOLLOW))
		return EXIT_OK;
	return ctl_complain(ctl, r < 0 ? r : -ECONNRESET);
}

enum exit_code command_events(struct ctl *ctl)
{
	const char *argument = ctl->options->n_arguments > 0 ? ctl->options->arguments[0] : NULL;
	bool pattern = argument && sites_is_pattern(argument);
	const char *site = argument && !pattern ? sites_one(ctl) : NULL;
	bool follows = ctl->options->flags & OPTION_FOLLOW;
	json_t *parameters;
	enum exit_code code;
	int r;

	if (argument && !pattern && !site)
		return EXIT_NO_SITE;
	code = ctl_connect(ctl, CTL_TIMEOUT_US);
	if (code != EXIT_OK)
		return code;
	parameters = json_pack("{s:i, s:b}", "recorded", follows && !pattern ? RECORDED_SHOWN : INT_MAX,
			       "follow", follows);
	if (site)
		json_object_set_new(parameters, "site", json_string(site));
	r = client_send(&ctl->client, "Monitor", parameters, PROTOCOL_MORE);
	return r < 0 ? ctl_complain(ctl, r) : follow(ctl, site, pattern ? argument : NULL);
}
