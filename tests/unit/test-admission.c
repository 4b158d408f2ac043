/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "admission.h"
#include "site.h"

/* Sites that are told to start, in the order in which they were. */
#define SITES 300

static struct fake {
	struct site site;
	struct run run;
	struct launch_plan plan;
	struct site_spec spec;
} fakes[SITES];

static struct admission admission;
static unsigned started[SITES], n_started;
static unsigned ended[SITES], n_ended; /* of those that ended at once */
static int fail_starts;                /* so many starts end at once, as when there is no memory */
static int ask_again;                  /* so many of these ask for a place again at once */
static unsigned starting_now;          /* calls of wake_launch() that are under way */

void __wrap_wake_launch(struct site *site);

void __wrap_wake_launch(struct site *site)
{
	unsigned number = (unsigned)((struct fake *)site - fakes);

	assert_true(admission.starting <= admission.limit);
	assert_false(site->run->queued);
	assert_int_equal(starting_now, 0);
	starting_now++;
	started[n_started++ % SITES] = number;
	if (fail_starts > 0) {
		fail_starts--;
		admission_release(&admission, site->run);
		ended[n_ended++ % SITES] = number;
		if (ask_again-- > 0)
			assert_int_equal(admission_request(&admission, site->run), 0);
	}
	starting_now--;
}

static int setup(void **state)
{
	(void)state;
	memset(fakes, 0, sizeof fakes);
	for (unsigned i = 0; i < SITES; i++) {
		struct fake *fake = &fakes[i];

		fake->site.run = &fake->run;
		fake->run.site = &fake->site;
		fake->run.plan = &fake->plan;
		fake->plan.spec = &fake->spec;
	}
	admission = (struct admission){.limit = 2};
	n_started = n_ended = 0;
	fail_starts = ask_again = 0;
	starting_now = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	admission_finish(&admission);
	return admission.n_waiting == 0 && !admission.places && n_started <= SITES ? 0 : -1;
}

static void request(unsigned i, int priority)
{
	fakes[i].spec.priority = priority;
	assert_int_equal(admission_request(&admission, &fakes[i].run), 0);
}

static void release(unsigned i)
{
	admission_release(&admission, &fakes[i].run);
}

static void assert_started(unsigned n, const unsigned order[])
{
	assert_int_equal(n_started, n);
	assert_memory_equal(started, order, n * sizeof *order);
}

static void test_limit(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		request(i, 0);
	assert_started(2, (unsigned[]){0, 1});
	assert_false(fakes[1].run.queued);
	assert_true(fakes[2].run.queued);
	release(1);
	assert_started(3, (unsigned[]){0, 1, 2});
	release(0);
	assert_started(4, (unsigned[]){0, 1, 2, 3});
	release(2);
	release(3);
	assert_int_equal(admission.starting, 0);
	/* With nobody under way, the next one does not wait. */
	request(4, 0);
	assert_int_equal(n_started, 5);
	release(4);
}

/* One is alone, whoever went before; with whoever starts, opens or waits beside it, it is not. */
static void test_crowded(void **state)
{
	(void)state;
	request(0, 0);
	assert_false(admission_is_crowded(&admission));
	request(1, 0);
	assert_true(admission_is_crowded(&admission));
	release(0);
	assert_false(admission_is_crowded(&admission));
	admission.limit = 1;
	request(2, 0);
	assert_true(admission_is_crowded(&admission));
	release(1);
	assert_false(admission_is_crowded(&admission));
	admission.opening = 1;
	assert_true(admission_is_crowded(&admission));
	admission.opening = 0;
	release(2);
}

/* While memory is short one starts at a time; what is under way stays so. */
static void test_narrow(void **state)
{
	(void)state;
	admission.limit = 3;
	request(0, 0);
	request(1, 0);
	admission_narrow(&admission, true);
	request(2, 0);
	request(3, 0);
	release(0);
	assert_started(2, (unsigned[]){0, 1});
	release(1);
	assert_started(3, (unsigned[]){0, 1, 2});
	release(2);
	assert_started(4, (unsigned[]){0, 1, 2, 3});
	for (unsigned i = 4; i < 8; i++)
		request(i, 0);
	assert_int_equal(n_started, 4);
	admission_narrow(&admission, false);
	assert_started(6, (unsigned[]){0, 1, 2, 3, 4, 5});
	for (unsigned i = 3; i < 8; i++)
		release(i);
	assert_int_equal(admission.starting, 0);
}

static void test_order(void **state)
{
	static const int priorities[] = {0, 0, 0, 10, -5, 10, 0, 100, -100, 10};
	unsigned n = sizeof priorities / sizeof *priorities;

	(void)state;
	for (unsigned i = 0; i < n; i++)
		request(i, priorities[i]);
	for (unsigned i = 0; i < n; i++)
		release(started[i]);
	/* The first two found room; then by priority, and who came first among equals. */
	assert_started(n, (unsigned[]){0, 1, 7, 3, 5, 9, 2, 6, 4, 8});
	assert_int_equal(admission.starting, 0);
}

/* Giving a place in the queue up starts nobody, and frees no place of those under way. */
static void test_give_up(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++)
		request(i, 0);
	release(3);
	release(5);
	release(2);
	assert_int_equal(n_started, 2);
	assert_int_equal(admission.starting, 2);
	assert_int_equal(admission.n_waiting, 1);
	assert_false(fakes[3].run.queued);
	release(0);
	assert_started(3, (unsigned[]){0, 1, 4});
	release(1);
	release(4);
	assert_int_equal(admission.starting, 0);
	assert_int_equal(n_started, 3);
}

/* Starts that fail before they have begun give their place to the next from within. */
static void test_failing_starts(void **state)
{
	(void)state;
	fail_starts = 1;
	request(0, 0);
	assert_int_equal(admission.starting, 0);
	for (unsigned i = 1; i < 10; i++)
		request(i, 0);
	assert_started(3, (unsigned[]){0, 1, 2});
	fail_starts = 5;
	release(1);
	assert_started(9, (unsigned[]){0, 1, 2, 3, 4, 5, 6, 7, 8});
	assert_int_equal(admission.starting, 2);
	release(2);
	assert_int_equal(n_started, 10);
	assert_int_equal(n_ended, 6);
	assert_memory_equal(ended, ((unsigned[]){0, 3, 4, 5, 6, 7}), n_ended * sizeof *ended);
	release(8);
	release(9);
	assert_int_equal(admission.starting, 0);
}

/* However many they are: each ends before the next one begins. One run stands for all of them. */
static void test_very_many_failing_starts(void **state)
{
	const int many = 50000;

	(void)state;
	request(0, 0);
	request(1, 0);
	for (int i = 0; i < many; i++)
		request(2, 0);
	fail_starts = many;
	release(0);
	assert_int_equal(n_started, 2 + many);
	assert_int_equal(n_ended, many);
	release(1);
	assert_int_equal(admission.starting, 0);
	assert_int_equal(admission.n_waiting, 0);
	n_started = 0;
}

/* Who asks again because his start has failed stands behind those who wait already. */
static void test_asks_again(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		request(i, 0);
	fail_starts = 1;
	ask_again = 1;
	release(0);
	assert_started(4, (unsigned[]){0, 1, 2, 3});
	assert_true(fakes[2].run.queued);
	release(1);
	assert_started(5, (unsigned[]){0, 1, 2, 3, 2});
	release(3);
	release(2);
	assert_int_equal(admission.starting, 0);
}

/* While torpord stops nobody starts, whatever place becomes free, and those who wait go as they came. */
static void test_closed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++)
		request(i, 0);
	admission_close(&admission);
	release(0);
	release(3);
	release(1);
	request(5, 0);
	assert_int_equal(n_started, 2);
	release(2);
	release(4);
	release(5);
	assert_int_equal(n_started, 2);
	assert_int_equal(admission.starting, 0);
	assert_int_equal(admission.n_waiting, 0);
}

static void request_of(unsigned i, const char *slice)
{
	fakes[i].spec.slice = slice;
	request(i, 0);
}

static void release_all(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		release(started[i]);
	assert_int_equal(n_started, n);
	assert_int_equal(admission.starting, 0);
}

/* One customer's many do not stand before another's few, nor before those of no slice, whenever they come. */
static void test_slices_in_turn(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++)
		request_of(i, "many");
	request_of(6, "one");
	request_of(7, NULL);
	request_of(8, "one");
	request_of(9, NULL);
	release(0);
	release(1);
	assert_started(4, (unsigned[]){0, 1, 2, 6});
	request_of(10, "late");
	release(2);
	release(6);
	assert_started(6, (unsigned[]){0, 1, 2, 6, 7, 10});
	release(7);
	release(10);
	assert_started(8, (unsigned[]){0, 1, 2, 6, 7, 10, 3, 8});
	release(3);
	release(8);
	release(9);
	release(4);
	release(5);
	assert_started(11, (unsigned[]){0, 1, 2, 6, 7, 10, 3, 8, 9, 4, 5});
	assert_int_equal(admission.starting, 0);
}

/* A customer who makes slices within his own gets no more turns by that; a name that only begins alike is
 * another's. */
static void test_slices_within(void **state)
{
	(void)state;
	request_of(0, "a");
	request_of(1, "a");
	request_of(2, "a-x");
	request_of(3, "a-y");
	request_of(4, "a");
	request_of(5, "a-x-z");
	request_of(6, "ab");
	request_of(7, "ab-x");
	release_all(8);
	assert_started(8, (unsigned[]){0, 1, 2, 6, 3, 7, 4, 5});
}

/* Turns are taken among those of one priority. */
static void test_slices_and_priority(void **state)
{
	static const struct {
		const char *slice;
		int priority;
	} requests[] = {{"a", 0}, {"a", 0}, {"a", 0}, {"a", 0}, {"b", 0},
			{"b", 5}, {"a", 5}, {"a", 5}, {"b", 5}};
	unsigned n = sizeof requests / sizeof *requests;

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		fakes[i].spec.slice = requests[i].slice;
		request(i, requests[i].priority);
	}
	release_all(n);
	assert_started(n, (unsigned[]){0, 1, 5, 6, 7, 8, 2, 4, 3});
}

static void test_many(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SITES; i++)
		request(i, (int)(i % 3));
	for (unsigned i = 0; i < SITES; i++)
		release(started[i]);
	assert_int_equal(n_started, SITES);
	for (unsigned i = 3; i < SITES; i++) {
		int before = fakes[started[i - 1]].spec.priority, now = fakes[started[i]].spec.priority;

		assert_true(before > now || (before == now && started[i - 1] < started[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crowded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_narrow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_give_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failing_starts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_very_many_failing_starts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_asks_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slices_in_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slices_within, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slices_and_priority, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
