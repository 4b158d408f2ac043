/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state.h"

#include "str.h"

static const unsigned char next_state[SITE_STATES][SITE_EVENTS] = {
	[STATE_COLD] =
		{
			[EVENT_CONNECTION] = STATE_STARTING,
			[EVENT_WAKE] = STATE_STARTING,
			[EVENT_STOP] = STATE_COLD,
		},
	[STATE_STARTING] =
		{
			[EVENT_WAKE] = STATE_STARTING,
			[EVENT_READY] = STATE_AWAKE,
			[EVENT_FAILED] = STATE_FAILED,
			[EVENT_EXITED] = STATE_COLD,
			[EVENT_STOP] = STATE_STOPPING,
			[EVENT_TIMEOUT] = STATE_STOPPING,
		},
	[STATE_AWAKE] =
		{
			[EVENT_WAKE] = STATE_AWAKE,
			[EVENT_READY] = STATE_AWAKE,
			[EVENT_FAILED] = STATE_FAILED,
			[EVENT_EXITED] = STATE_COLD,
			[EVENT_FREEZE] = STATE_FREEZING,
			[EVENT_STOP] = STATE_STOPPING,
			[EVENT_TIMEOUT] = STATE_AWAKE,
		},
	[STATE_FREEZING] =
		{
			[EVENT_CONNECTION] = STATE_AWAKE,
			[EVENT_WAKE] = STATE_AWAKE,
			[EVENT_READY] = STATE_FREEZING,
			[EVENT_EXITED] = STATE_COLD,
			[EVENT_FREEZE] = STATE_FREEZING,
			[EVENT_FROZEN] = STATE_FROZEN,
			[EVENT_PAGE_OUT] = STATE_PAGING,
			[EVENT_STOP] = STATE_STOPPING,
			[EVENT_TIMEOUT] = STATE_AWAKE,
		},
	[STATE_FROZEN] =
		{
			[EVENT_CONNECTION] = STATE_AWAKE,
			[EVENT_WAKE] = STATE_AWAKE,
			[EVENT_READY] = STATE_FROZEN,
			[EVENT_EXITED] = STATE_COLD,
			[EVENT_FREEZE] = STATE_FROZEN,
			[EVENT_PAGE_OUT] = STATE_PAGING,
			[EVENT_STOP] = STATE_STOPPING,
			[EVENT_TIMEOUT] = STATE_STOPPING,
		},
	[STATE_PAGING] =
		{
			[EVENT_CONNECTION] = STATE_AWAKE,
			[EVENT_WAKE] = STATE_AWAKE,
			[EVENT_READY] = STATE_PAGING,
			[EVENT_EXITED] = STATE_COLD,
			[EVENT_FROZEN] = STATE_FROZEN,
			[EVENT_PAGE_OUT] = STATE_PAGING,
			[EVENT_PAGED] = STATE_PAGED,
			[EVENT_STOP] = STATE_STOPPING,
			[EVENT_TIMEOUT] = STATE_STOPPING,
		},
	[STATE_PAGED] =
		{
			[EVENT_CONNECTION] = STATE_AWAKE,
			[EVENT_WAKE] = STATE_AWAKE,
			[EVENT_READY] = STATE_PAGED,
			[EVENT_EXITED] = STATE_COLD,
			[EVENT_PAGE_OUT] = STATE_PAGED,
			[EVENT_STOP] = STATE_STOPPING,
			[EVENT_TIMEOUT] = STATE_STOPPING,
		},
	[STATE_STOPPING] =
		{
			[EVENT_WAKE] = STATE_STOPPING,
			[EVENT_READY] = STATE_STOPPING,
			[EVENT_FAILED] = STATE_FAILED,
			[EVENT_EXITED] = STATE_COLD,
			[EVENT_FROZEN] = STATE_STOPPING,
			[EVENT_STOP] = STATE_STOPPING,
			[EVENT_TIMEOUT] = STATE_STOPPING,
		},
	[STATE_FAILED] =
		{
			[EVENT_WAKE] = STATE_STARTING,
			[EVENT_STOP] = STATE_COLD,
			[EVENT_TIMEOUT] = STATE_COLD,
		},
};

static const struct site_rule rules[SITE_STATES] = {
	[STATE_ILLEGAL] = {.name = "illegal"},
	[STATE_COLD] = {.name = "cold", .watched = true, .settled = true},
	[STATE_STARTING] = {.name = "starting", .container = true, .timer = TIMER_START},
	[STATE_AWAKE] = {.name = "awake", .container = true, .settled = true, .timer = TIMER_ACCEPT},
	[STATE_FREEZING] = {.name = "freezing", .watched = true, .container = true, .timer = TIMER_FREEZE},
	[STATE_FROZEN] = {.name = "frozen",
			  .watched = true,
			  .container = true,
			  .asleep = true,
			  .settled = true,
			  .timer = TIMER_FROZEN},
	[STATE_PAGING] =
		{.name = "paging", .watched = true, .container = true, .asleep = true, .timer = TIMER_FROZEN},
	[STATE_PAGED] = {.name = "paged",
			 .watched = true,
			 .container = true,
			 .asleep = true,
			 .settled = true,
			 .timer = TIMER_FROZEN},
	[STATE_STOPPING] = {.name = "stopping", .container = true, .timer = TIMER_STOP},
	[STATE_FAILED] = {.name = "failed", .settled = true, .timer = TIMER_BACKOFF},
};

static const char *const event_names[SITE_EVENTS] = {
	[EVENT_CONNECTION] = "connection", [EVENT_WAKE] = "wake",
	[EVENT_READY] = "ready",           [EVENT_FAILED] = "failed",
	[EVENT_EXITED] = "exited",         [EVENT_FREEZE] = "freeze",
	[EVENT_FROZEN] = "frozen",         [EVENT_PAGE_OUT] = "page out",
	[EVENT_PAGED] = "paged",           [EVENT_STOP] = "stop",
	[EVENT_TIMEOUT] = "timeout",
};

enum site_state site_next(enum site_state state, enum site_event event)
{
	return next_state[state][event];
}

const struct site_rule *site_rule(enum site_state state)
{
	return &rules[state];
}

const char *site_event_name(enum site_event event)
{
	return event_names[event];
}

enum site_state site_state_from_name(const char *name)
{
	for (enum site_state state = STATE_ILLEGAL + 1; state < SITE_STATES; state++)
		if (str_equal(rules[state].name, name))
			return state;
	return STATE_ILLEGAL;
}

void site_states_print(FILE *out)
{
	fputs("| state |", out);
	for (enum site_event event = 0; event < SITE_EVENTS; event++)
		fprintf(out, " %s |", event_names[event]);
	fputs("\n|---|", out);
	for (enum site_event event = 0; event < SITE_EVENTS; event++)
		fputs("---|", out);
	fputc('\n', out);
	for (enum site_state state = STATE_ILLEGAL + 1; state < SITE_STATES; state++) {
		fprintf(out, "| **%s** |", rules[state].name);
		for (enum site_event event = 0; event < SITE_EVENTS; event++) {
			enum site_state to = site_next(state, event);

			fprintf(out, " %s |",
				to == STATE_ILLEGAL ? ""
				: to == state       ? "(stays)"
						    : rules[to].name);
		}
		fputc('\n', out);
	}
}
