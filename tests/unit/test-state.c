/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "state.h"

#define FOR_EACH_STATE(state) for (enum site_state state = STATE_ILLEGAL + 1; state < SITE_STATES; state++)
#define FOR_EACH_EVENT(event) for (enum site_event event = 0; event < SITE_EVENTS; event++)

/* cmocka says neither state nor event: say both. */
#define assert_cell(condition, state, event)                                                                   \
	do {                                                                                                   \
		if (!(condition))                                                                              \
			fail_msg("%s, event %s: not %s", site_rule(state)->name, site_event_name(event),       \
				 #condition);                                                                  \
	} while (0)

static bool legal(enum site_state state, enum site_event event)
{
	return site_next(state, event) != STATE_ILLEGAL;
}

static void test_names(void **state)
{
	(void)state;
	FOR_EACH_STATE(s)
	{
		assert_non_null(site_rule(s)->name);
		assert_int_equal(site_state_from_name(site_rule(s)->name), s);
	}
	FOR_EACH_EVENT(event)
	{
		assert_non_null(site_event_name(event));
		for (enum site_event other = 0; other < event; other++)
			assert_string_not_equal(site_event_name(other), site_event_name(event));
	}
	assert_int_equal(site_state_from_name("illegal"), STATE_ILLEGAL);
	assert_int_equal(site_state_from_name(""), STATE_ILLEGAL);
	assert_int_equal(site_state_from_name("Cold"), STATE_ILLEGAL);
	assert_int_equal(site_state_from_name("cold "), STATE_ILLEGAL);
}

static void test_cells(void **state)
{
	(void)state;
	FOR_EACH_STATE(s)
	FOR_EACH_EVENT(event)
	assert_cell(site_next(s, event) < SITE_STATES, s, event);
	/* Nothing leads out of a state that does not exist. */
	FOR_EACH_EVENT(event)
	assert_int_equal(site_next(STATE_ILLEGAL, event), STATE_ILLEGAL);
}

/* The states that can be reached from one, itself included: bit n is state n. */
static unsigned reachable(enum site_state from)
{
	unsigned seen = 1U << from, before = 0;

	while (seen != before) {
		before = seen;
		FOR_EACH_STATE(s)
		FOR_EACH_EVENT(event)
		if (seen & 1U << s && legal(s, event))
			seen |= 1U << site_next(s, event);
	}
	return seen;
}

static void test_paths(void **state)
{
	(void)state;
	FOR_EACH_STATE(s)
	{
		if (!(reachable(s) & 1U << STATE_COLD))
			fail_msg("no way from %s to cold", site_rule(s)->name);
		if (!(reachable(STATE_COLD) & 1U << s))
			fail_msg("no way from cold to %s", site_rule(s)->name);
	}
	FOR_EACH_STATE(s)
	if (!(reachable(s) & 1U << STATE_AWAKE))
		fail_msg("no way from %s to awake", site_rule(s)->name);
}

/* While a container accepts, a watched listener would be a busy loop; a cold or sleeping site wakes by them. */
static void test_watched(void **state)
{
	(void)state;
	FOR_EACH_STATE(s)
	{
		bool expected = s == STATE_COLD || s == STATE_FREEZING || site_rule(s)->asleep;

		assert_int_equal(site_rule(s)->watched, expected);
		/* A connection is an event exactly where somebody looks for it, and it wakes. */
		assert_cell(legal(s, EVENT_CONNECTION) == expected, s, EVENT_CONNECTION);
		if (expected)
			assert_cell(site_next(s, EVENT_CONNECTION) ==
					    (s == STATE_COLD ? STATE_STARTING : STATE_AWAKE),
				    s, EVENT_CONNECTION);
	}
}

static void test_containers(void **state)
{
	(void)state;
	FOR_EACH_STATE(s)
	{
		bool container = site_rule(s)->container;

		assert_int_equal(container, s != STATE_COLD && s != STATE_FAILED);
		/* What is there can end at any time, and what is not cannot. */
		assert_cell(legal(s, EVENT_EXITED) == container, s, EVENT_EXITED);
		if (container)
			assert_cell(site_next(s, EVENT_EXITED) == STATE_COLD, s, EVENT_EXITED);
		/* Every state can be stopped: a removed site must go. */
		assert_cell(legal(s, EVENT_STOP), s, EVENT_STOP);
		assert_cell(site_next(s, EVENT_STOP) == (container ? STATE_STOPPING : STATE_COLD), s,
			    EVENT_STOP);
		/* A container is never forgotten: no event but its end leads to a state without one. */
		FOR_EACH_EVENT(event)
		if (container && legal(s, event) && !site_rule(site_next(s, event))->container)
			assert_cell(event == EVENT_EXITED || event == EVENT_FAILED, s, event);
		/* And none appears but by a start. */
		FOR_EACH_EVENT(event)
		if (!container && legal(s, event) && site_rule(site_next(s, event))->container)
			assert_cell(site_next(s, event) == STATE_STARTING, s, event);
	}
	/* A stop that has begun is not called off: the next start comes after it. */
	FOR_EACH_EVENT(event)
	if (legal(STATE_STOPPING, event))
		assert_cell(site_next(STATE_STOPPING, event) != STATE_AWAKE &&
				    site_next(STATE_STOPPING, event) != STATE_STARTING,
			    STATE_STOPPING, event);
}

/* Every site can be woken by command in every state. */
static void test_wake(void **state)
{
	static const enum site_state to[SITE_STATES] = {
		[STATE_COLD] = STATE_STARTING,   [STATE_STARTING] = STATE_STARTING,
		[STATE_AWAKE] = STATE_AWAKE,     [STATE_FREEZING] = STATE_AWAKE,
		[STATE_FROZEN] = STATE_AWAKE,    [STATE_STOPPING] = STATE_STOPPING,
		[STATE_PAGING] = STATE_AWAKE,    [STATE_PAGED] = STATE_AWAKE,
		[STATE_FAILED] = STATE_STARTING,
	};

	(void)state;
	FOR_EACH_STATE(s)
	assert_cell(site_next(s, EVENT_WAKE) == to[s], s, EVENT_WAKE);
}

static void test_timers(void **state)
{
	static const enum site_timer timers[SITE_STATES] = {
		[STATE_STARTING] = TIMER_START, [STATE_FREEZING] = TIMER_FREEZE, [STATE_FROZEN] = TIMER_FROZEN,
		[STATE_PAGING] = TIMER_FROZEN,  [STATE_PAGED] = TIMER_FROZEN,    [STATE_STOPPING] = TIMER_STOP,
		[STATE_AWAKE] = TIMER_ACCEPT,   [STATE_FAILED] = TIMER_BACKOFF,
	};

	(void)state;
	FOR_EACH_STATE(s)
	{
		assert_int_equal(site_rule(s)->timer, timers[s]);
		/* A timer that runs is heard, and none fires that nobody set. */
		assert_cell(legal(s, EVENT_TIMEOUT) == (timers[s] != TIMER_NONE), s, EVENT_TIMEOUT);
	}
	/* With everything cold, no timer of a site runs. */
	assert_int_equal(site_rule(STATE_COLD)->timer, TIMER_NONE);
}

/* States that are left by themselves alone are those in which a command has its answer. */
static void test_settled(void **state)
{
	(void)state;
	FOR_EACH_STATE(s)
	assert_int_equal(site_rule(s)->settled, s == STATE_COLD || s == STATE_AWAKE || s == STATE_FROZEN ||
							s == STATE_PAGED || s == STATE_FAILED);
}

/* A start can be over, and READY=1 come, whenever there is a container: only a starting site becomes awake by
 * it. */
static void test_ready(void **state)
{
	(void)state;
	FOR_EACH_STATE(s)
	{
		enum site_state to = s == STATE_STARTING       ? STATE_AWAKE
				     : site_rule(s)->container ? s
							       : STATE_ILLEGAL;

		assert_cell(site_next(s, EVENT_READY) == to, s, EVENT_READY);
	}
}

/* Who starts, runs or is stopped in the middle of a start can be to blame; who sleeps cannot. */
static void test_failed(void **state)
{
	(void)state;
	FOR_EACH_STATE(s)
	{
		bool can = s == STATE_STARTING || s == STATE_AWAKE || s == STATE_STOPPING;

		assert_cell(site_next(s, EVENT_FAILED) == (can ? STATE_FAILED : STATE_ILLEGAL), s,
			    EVENT_FAILED);
	}
	/* It heals by itself: the back-off ends in a cold site that is watched again. */
	assert_int_equal(site_next(STATE_FAILED, EVENT_TIMEOUT), STATE_COLD);
}

static void test_freezing(void **state)
{
	(void)state;
	assert_int_equal(site_next(STATE_AWAKE, EVENT_FREEZE), STATE_FREEZING);
	assert_int_equal(site_next(STATE_FREEZING, EVENT_FROZEN), STATE_FROZEN);
	assert_int_equal(site_next(STATE_FREEZING, EVENT_TIMEOUT), STATE_AWAKE);
	FOR_EACH_STATE(s)
	{
		/* A site that starts or stops is not frozen over it. */
		assert_cell(legal(s, EVENT_FREEZE) ==
				    (s == STATE_AWAKE || s == STATE_FREEZING || s == STATE_FROZEN),
			    s, EVENT_FREEZE);
		assert_cell(legal(s, EVENT_FROZEN) ==
				    (s == STATE_FREEZING || s == STATE_PAGING || s == STATE_STOPPING),
			    s, EVENT_FROZEN);
	}
}

/* Only what is frozen is paged out; from there the ways are those of a frozen site. */
static void test_paging(void **state)
{
	(void)state;
	assert_int_equal(site_next(STATE_FROZEN, EVENT_PAGE_OUT), STATE_PAGING);
	assert_int_equal(site_next(STATE_FREEZING, EVENT_PAGE_OUT), STATE_PAGING);
	assert_int_equal(site_next(STATE_PAGING, EVENT_PAGED), STATE_PAGED);
	assert_int_equal(site_next(STATE_PAGING, EVENT_FROZEN), STATE_FROZEN);
	FOR_EACH_STATE(s)
	{
		bool asleep = s == STATE_FROZEN || s == STATE_PAGING || s == STATE_PAGED;

		assert_int_equal(site_rule(s)->asleep, asleep);
		assert_cell(legal(s, EVENT_PAGE_OUT) == (asleep || s == STATE_FREEZING), s, EVENT_PAGE_OUT);
		assert_cell(legal(s, EVENT_PAGED) == (s == STATE_PAGING), s, EVENT_PAGED);
		FOR_EACH_EVENT(event)
		if (asleep && event != EVENT_READY && event != EVENT_FREEZE && event != EVENT_FROZEN &&
		    event != EVENT_PAGE_OUT && event != EVENT_PAGED)
			assert_cell(site_next(s, event) == site_next(STATE_FROZEN, event), s, event);
	}
}

/* The printed table says what site_next() says, cell by cell. */
static void test_print(void **state)
{
	char *text = NULL, *line, *rest;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	site_states_print(out);
	fclose(out);
	rest = text;
	line = strsep(&rest, "\n");
	assert_memory_equal(line, "| state |", 9);
	line = strsep(&rest, "\n");
	assert_memory_equal(line, "|---|", 5);
	FOR_EACH_STATE(s)
	{
		char cell[32], *cells = strsep(&rest, "\n");

		strsep(&cells, "|");
		snprintf(cell, sizeof cell, " **%s** ", site_rule(s)->name);
		assert_string_equal(strsep(&cells, "|"), cell);
		FOR_EACH_EVENT(event)
		{
			enum site_state to = site_next(s, event);

			snprintf(cell, sizeof cell, " %s ",
				 to == STATE_ILLEGAL ? ""
				 : to == s           ? "(stays)"
						     : site_rule(to)->name);
			assert_string_equal(strsep(&cells, "|"), cell);
		}
		assert_string_equal(cells, "");
	}
	assert_string_equal(rest, "");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),      cmocka_unit_test(test_cells),
		cmocka_unit_test(test_paths),      cmocka_unit_test(test_watched),
		cmocka_unit_test(test_containers), cmocka_unit_test(test_wake),
		cmocka_unit_test(test_timers),     cmocka_unit_test(test_settled),
		cmocka_unit_test(test_ready),      cmocka_unit_test(test_failed),
		cmocka_unit_test(test_freezing),   cmocka_unit_test(test_paging),
		cmocka_unit_test(test_print),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
