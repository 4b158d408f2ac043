/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "verdict.h"

#define S_NS  UINT64_C(1000000000)
#define S_US  UINT64_C(1000000)
#define START (1000 * S_NS)

#define INTERVAL_US (2 * S_US)

/* Freeze after 10 s, stop after 60 s, 1 % of a CPU is none. */
static const struct idle_policy usual = {10 * S_US, 60 * S_US, 0.01};

/* A sample in which nothing happens. */
static struct idle_sample quiet(uint64_t now_ns)
{
	return (struct idle_sample){
		.now_ns = now_ns, .sockets_known = true, .cpu_known = true, .last_data_age_us = IDLE_NEVER};
}

static struct idle_state touched(uint64_t now_ns)
{
	struct idle_state state = {0};

	idle_state_touch(&state, now_ns);
	return state;
}

/* One sample after the state was touched at START and sampled at START + 2 s, nothing being used. The second is
 * at START + at. */
struct second_sample {
	const char *name;
	uint64_t at_ns;
	struct idle_sample sample; /* now_ns and the three below are filled in */
	bool has_data, sockets_unknown, cpu_unknown;
	struct idle_policy policy; /* usual where it is zero */
	enum idle_verdict verdict;
	enum busy_reason reason;
	uint64_t active_ns; /* after START */
};

#define DATA(us) .has_data = true, .sample.last_data_age_us = (us)

static const struct second_sample second_samples[] = {
	{"nothing, soon", .at_ns = 4 * S_NS, .verdict = IDLE_WAIT},
	{"nothing, a nanosecond before the time", .at_ns = 10 * S_NS - 1, .verdict = IDLE_WAIT},
	{"nothing, at the time", .at_ns = 10 * S_NS, .verdict = IDLE_FREEZE},
	{"open connections that move nothing", .at_ns = 10 * S_NS, .sample.connections = 7, DATA(3600 * S_US),
	 .verdict = IDLE_FREEZE},
	{"a connection waits", .at_ns = 10 * S_NS, .sample.waiting = 1, .verdict = IDLE_BUSY,
	 .reason = BUSY_WAITING, .active_ns = 10 * S_NS},
	{"bytes are queued", .at_ns = 10 * S_NS, .sample.queued = 1, .verdict = IDLE_BUSY,
	 .reason = BUSY_QUEUED, .active_ns = 10 * S_NS},
	{"a request is under way", .at_ns = 10 * S_NS, .sample.requests = 1, .verdict = IDLE_BUSY,
	 .reason = BUSY_REQUEST, .active_ns = 10 * S_NS},
	{"a request may be under way", .at_ns = 10 * S_NS, .sample.undated = 1, .verdict = IDLE_BUSY,
	 .reason = BUSY_UNDATED, .active_ns = 10 * S_NS},
	{"announced", .at_ns = 10 * S_NS, .sample.announced_busy = true, .verdict = IDLE_BUSY,
	 .reason = BUSY_ANNOUNCED, .active_ns = 10 * S_NS},
	{"sockets unknown", .at_ns = 10 * S_NS, .sockets_unknown = true, .verdict = IDLE_BUSY,
	 .reason = BUSY_UNKNOWN, .active_ns = 10 * S_NS},
	{"sockets unknown, and what they say is ignored", .at_ns = 10 * S_NS, .sockets_unknown = true,
	 .sample.waiting = 1, .verdict = IDLE_BUSY, .reason = BUSY_UNKNOWN, .active_ns = 10 * S_NS},
	{"CPU unknown", .at_ns = 10 * S_NS, .cpu_unknown = true, .verdict = IDLE_BUSY, .reason = BUSY_UNKNOWN,
	 .active_ns = 10 * S_NS},
	/* 8 s since the sample before: 1 % is 80 ms. */
	{"CPU at the floor", .at_ns = 10 * S_NS, .sample.cpu_usage_us = 80000, .verdict = IDLE_FREEZE},
	{"CPU above the floor", .at_ns = 10 * S_NS, .sample.cpu_usage_us = 80001, .verdict = IDLE_BUSY,
	 .reason = BUSY_CPU, .active_ns = 10 * S_NS},
	{"CPU floor of 0, none used", .at_ns = 10 * S_NS, .policy = {10 * S_US, IDLE_NEVER, 0},
	 .verdict = IDLE_FREEZE},
	{"CPU floor of 0, a microsecond used", .at_ns = 10 * S_NS, .policy = {10 * S_US, IDLE_NEVER, 0},
	 .sample.cpu_usage_us = 1, .verdict = IDLE_BUSY, .reason = BUSY_CPU, .active_ns = 10 * S_NS},
	{"CPU floor that is no number", .at_ns = 10 * S_NS, .policy = {10 * S_US, IDLE_NEVER, (double)NAN},
	 .verdict = IDLE_BUSY, .reason = BUSY_CPU, .active_ns = 10 * S_NS},
	/* Data dates the use exactly. */
	{"data since the sample before", .at_ns = 10 * S_NS, DATA(3 * S_US), .verdict = IDLE_BUSY,
	 .reason = BUSY_DATA, .active_ns = 7 * S_NS},
	{"data just now", .at_ns = 10 * S_NS, DATA(0), .verdict = IDLE_BUSY, .reason = BUSY_DATA,
	 .active_ns = 10 * S_NS},
	{"data at the sample before", .at_ns = 10 * S_NS, DATA(8 * S_US), .verdict = IDLE_WAIT,
	 .active_ns = 2 * S_NS},
	{"data between touch and the sample before", .at_ns = 10 * S_NS, DATA(9 * S_US), .verdict = IDLE_WAIT,
	 .active_ns = 1 * S_NS},
	{"data before the touch", .at_ns = 10 * S_NS, DATA(11 * S_US), .verdict = IDLE_FREEZE},
	{"data before the clock began", .at_ns = 10 * S_NS, DATA(5000 * S_US), .verdict = IDLE_FREEZE},
	{"data an absurd time ago", .at_ns = 10 * S_NS, DATA(IDLE_NEVER - 1), .verdict = IDLE_FREEZE},
	{"data since the sample before, yet long enough ago", .at_ns = 17 * S_NS, DATA(12 * S_US),
	 .verdict = IDLE_FREEZE, .active_ns = 5 * S_NS},
	{"data long ago does not undo what is in use now", .at_ns = 10 * S_NS, DATA(3 * S_US),
	 .sample.cpu_usage_us = S_US, .verdict = IDLE_BUSY, .reason = BUSY_CPU, .active_ns = 10 * S_NS},
	/* The ladder. */
	{"both times passed", .at_ns = 16 * S_NS, .policy = {10 * S_US, 15 * S_US, 0.01}, .verdict = IDLE_STOP},
	{"both the same", .at_ns = 10 * S_NS, .policy = {10 * S_US, 10 * S_US, 0.01}, .verdict = IDLE_STOP},
	{"stop comes before freeze", .at_ns = 10 * S_NS, .policy = {20 * S_US, 10 * S_US, 0.01},
	 .verdict = IDLE_STOP},
	{"freeze passed, stop a nanosecond before", .at_ns = 15 * S_NS - 1,
	 .policy = {10 * S_US, 15 * S_US, 0.01}, .verdict = IDLE_FREEZE},
	{"never frozen", .at_ns = 16 * S_NS, .policy = {IDLE_NEVER, 20 * S_US, 0.01}, .verdict = IDLE_WAIT},
	{"never frozen, stopped", .at_ns = 20 * S_NS, .policy = {IDLE_NEVER, 20 * S_US, 0.01},
	 .verdict = IDLE_STOP},
	{"never stopped", .at_ns = 20 * S_NS, .policy = {10 * S_US, IDLE_NEVER, 0.01}, .verdict = IDLE_FREEZE},
	{"never anything", .at_ns = 20 * S_NS, .policy = {IDLE_NEVER, IDLE_NEVER, 0.01}, .verdict = IDLE_WAIT},
	{"a time just below never", .at_ns = 20 * S_NS, .policy = {IDLE_NEVER - 1, IDLE_NEVER, 0.01},
	 .verdict = IDLE_WAIT},
	{"at once", .at_ns = 2 * S_NS + 1, .policy = {1, IDLE_NEVER, 0.01}, .verdict = IDLE_FREEZE},
	/* Ten intervals of 2 s after the sample before, which was at 2 s. */
	{"as late as can be", .at_ns = 22 * S_NS, .verdict = IDLE_FREEZE},
	{"paused", .at_ns = 22 * S_NS + 1, .verdict = IDLE_BUSY, .reason = BUSY_CLOCK,
	 .active_ns = 22 * S_NS + 1},
	{"paused for a day", .at_ns = 86400 * S_NS, .verdict = IDLE_BUSY, .reason = BUSY_CLOCK,
	 .active_ns = 86400 * S_NS},
	{"paused, data unknown", .at_ns = 86400 * S_NS, .sockets_unknown = true, .verdict = IDLE_BUSY,
	 .reason = BUSY_UNKNOWN, .active_ns = 86400 * S_NS},
};

static void test_second_sample(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof second_samples / sizeof second_samples[0]; i++) {
		const struct second_sample *row = &second_samples[i];
		bool has_policy = row->policy.freeze_after_us != 0;
		struct idle_state state = touched(START);
		struct idle_sample sample = quiet(START + 2 * S_NS);
		enum busy_reason reason;
		enum idle_verdict verdict;

		assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_WAIT);
		sample = row->sample;
		sample.now_ns = START + row->at_ns;
		sample.sockets_known = !row->sockets_unknown;
		sample.cpu_known = !row->cpu_unknown;
		if (!row->has_data)
			sample.last_data_age_us = IDLE_NEVER;
		verdict =
			idle_decide(&state, &sample, has_policy ? &row->policy : &usual, INTERVAL_US, &reason);
		if (verdict != row->verdict || reason != row->reason ||
		    state.last_active_ns != START + row->active_ns)
			fail_msg("%s: verdict %d, reason %d, active %llu ns after the start", row->name,
				 verdict, reason, (unsigned long long)(state.last_active_ns - START));
		assert_int_equal(state.last_sample_ns, sample.now_ns);
	}
}

/* Without a sample before there is no CPU share, however much was used at the start: a site that computes must
 * not be taken for idle because the first scan came late. */
static void test_first_sample(void **unused)
{
	struct idle_state state = touched(START);
	struct idle_sample sample = quiet(START + 2 * S_NS);
	enum busy_reason reason;

	(void)unused;
	sample.cpu_usage_us = 5 * S_US;
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_WAIT);
	assert_int_equal(reason, BUSY_NOT);
	assert_true(state.last_active_ns == START);
	assert_true(state.cpu <= 0 && state.cpu >= 0);

	state = touched(START);
	sample.now_ns = START + 10 * S_NS;
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_WAIT);
	sample.now_ns++;
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_FREEZE);

	/* It is held to the time of the touch as later ones to the sample before. */
	state = touched(START);
	sample.now_ns = START + 21 * S_NS;
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_BUSY);
	assert_int_equal(reason, BUSY_CLOCK);

	state = touched(START);
	sample.now_ns = START + 2 * S_NS;
	sample.last_data_age_us = S_US;
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_BUSY);
	assert_int_equal(reason, BUSY_DATA);
	assert_true(state.last_active_ns == START + S_NS);
}

static void test_cpu_share(void **unused)
{
	struct idle_state state = touched(START);
	struct idle_sample sample = quiet(START + 2 * S_NS);
	enum busy_reason reason;

	(void)unused;
	sample.cpu_usage_us = 100;
	idle_decide(&state, &sample, &usual, INTERVAL_US, &reason);
	sample.now_ns += 2 * S_NS;
	sample.cpu_usage_us += S_US;
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_BUSY);
	assert_int_equal(reason, BUSY_CPU);
	assert_true(fabs(state.cpu - 0.5) < 1e-9);

	/* No time between: the share stands. */
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_BUSY);
	assert_int_equal(reason, BUSY_CPU);
	assert_true(fabs(state.cpu - 0.5) < 1e-9);

	/* The share is over the interval, not since the start. */
	sample.now_ns += 2 * S_NS;
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_WAIT);
	assert_true(state.cpu < 1e-9);

	/* Several CPUs. */
	sample.now_ns += 2 * S_NS;
	sample.cpu_usage_us += 8 * S_US;
	idle_decide(&state, &sample, &usual, INTERVAL_US, &reason);
	assert_true(fabs(state.cpu - 4) < 1e-9);
}

/* What was used while the figure was missing counts over the whole time it was. */
static void test_cpu_unknown_between(void **unused)
{
	struct idle_state state = touched(START);
	struct idle_sample sample = quiet(START + 2 * S_NS);
	enum busy_reason reason;

	(void)unused;
	idle_decide(&state, &sample, &usual, INTERVAL_US, &reason);
	sample.now_ns += 2 * S_NS;
	sample.cpu_known = false;
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_BUSY);
	sample.now_ns += 2 * S_NS;
	sample.cpu_known = true;
	sample.cpu_usage_us = S_US;
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_BUSY);
	assert_int_equal(reason, BUSY_CPU);
	assert_true(fabs(state.cpu - 0.25) < 1e-9);
}

static void test_cpu_backwards(void **unused)
{
	struct idle_state state = touched(START);
	struct idle_sample sample = quiet(START + 2 * S_NS);
	enum busy_reason reason;

	(void)unused;
	sample.cpu_usage_us = 1000;
	idle_decide(&state, &sample, &usual, INTERVAL_US, &reason);
	sample.now_ns += 2 * S_NS;
	sample.cpu_usage_us = 999;
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_BUSY);
	assert_int_equal(reason, BUSY_UNKNOWN);
	sample.now_ns += 2 * S_NS;
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_WAIT);
}

/* After a pause the whole time has to pass anew, for however many sites. */
static void test_pause_restarts(void **unused)
{
	struct idle_state state = touched(START);
	struct idle_sample sample = quiet(START + 2 * S_NS);
	enum busy_reason reason;

	(void)unused;
	idle_decide(&state, &sample, &usual, INTERVAL_US, &reason);
	sample.now_ns += 3600 * S_NS;
	sample.last_data_age_us = 3601 * S_US;
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_BUSY);
	assert_int_equal(reason, BUSY_CLOCK);
	for (unsigned i = 0; i < 4; i++) {
		sample.now_ns += 2 * S_NS;
		sample.last_data_age_us += 2 * S_US;
		assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_WAIT);
	}
	sample.now_ns += 2 * S_NS;
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_FREEZE);
}

/* Short intervals: 5 s at least; absurd ones do not overflow. */
static void test_pause_limits(void **unused)
{
	static const struct {
		uint64_t interval_us, gap_ns;
		bool paused;
	} rows[] = {
		{1, 5 * S_NS, false},
		{1, 5 * S_NS + 1, true},
		{500000, 5 * S_NS, false},
		{500000, 5 * S_NS + 1, true},
		{500001, 5 * S_NS + 1, false},
		{500001, 5 * S_NS + 10001, true},
		{60 * S_US, 600 * S_NS, false},
		{60 * S_US, 600 * S_NS + 1, true},
		{UINT64_MAX, 86400 * S_NS, false},
		{UINT64_MAX / 1000, 86400 * S_NS, false},
	};
	const struct idle_policy never = {IDLE_NEVER, IDLE_NEVER, 0};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct idle_state state = touched(START);
		struct idle_sample sample = quiet(START + 1);
		enum busy_reason reason;

		idle_decide(&state, &sample, &never, rows[i].interval_us, &reason);
		sample.now_ns += rows[i].gap_ns;
		idle_decide(&state, &sample, &never, rows[i].interval_us, &reason);
		if ((reason == BUSY_CLOCK) != rows[i].paused)
			fail_msg("row %zu: reason %d", i, reason);
	}
}

static void test_touch(void **unused)
{
	struct idle_state state = touched(START);
	struct idle_sample sample = quiet(START + 8 * S_NS);
	enum busy_reason reason;

	(void)unused;
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_WAIT);
	sample.now_ns += 2 * S_NS;
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_FREEZE);
	/* Handed out: the time runs anew, the CPU share goes on. */
	idle_state_touch(&state, START + 10 * S_NS);
	sample.now_ns += 2 * S_NS;
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_WAIT);
	sample.now_ns += 8 * S_NS;
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_FREEZE);

	/* Never backwards, and a touch later than the sample is no negative time. */
	idle_state_touch(&state, START);
	assert_true(state.last_active_ns == START + 10 * S_NS);
	idle_state_touch(&state, sample.now_ns + S_NS);
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_WAIT);
}

/* Announced busy holds until it is taken back, then the whole time has to pass. */
static void test_announced(void **unused)
{
	struct idle_state state = touched(START);
	struct idle_sample sample = quiet(START);
	enum busy_reason reason;

	(void)unused;
	sample.announced_busy = true;
	for (unsigned i = 0; i < 100; i++) {
		sample.now_ns += 2 * S_NS;
		assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_BUSY);
		assert_int_equal(reason, BUSY_ANNOUNCED);
	}
	sample.announced_busy = false;
	for (unsigned i = 0; i < 4; i++) {
		sample.now_ns += 2 * S_NS;
		assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_WAIT);
	}
	sample.now_ns += 2 * S_NS;
	assert_int_equal(idle_decide(&state, &sample, &usual, INTERVAL_US, &reason), IDLE_FREEZE);
}

static void test_reason_text(void **unused)
{
	(void)unused;
	for (int i = BUSY_NOT; i <= BUSY_CLOCK; i++) {
		assert_non_null(busy_reason_text((enum busy_reason)i));
		for (int k = BUSY_NOT; k < i; k++)
			assert_string_not_equal(busy_reason_text((enum busy_reason)i),
						busy_reason_text((enum busy_reason)k));
	}
	assert_string_equal(busy_reason_text((enum busy_reason)(BUSY_CLOCK + 1)), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_second_sample), cmocka_unit_test(test_first_sample),
		cmocka_unit_test(test_cpu_share),     cmocka_unit_test(test_cpu_unknown_between),
		cmocka_unit_test(test_cpu_backwards), cmocka_unit_test(test_pause_restarts),
		cmocka_unit_test(test_pause_limits),  cmocka_unit_test(test_touch),
		cmocka_unit_test(test_announced),     cmocka_unit_test(test_reason_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
