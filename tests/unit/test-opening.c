/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon.h"
#include "opening.h"

/* Sites that have been told to start and those that wait, with what the kernel would say of each. */
#define SITES 8

static struct fake {
	struct site site;
	struct run run;
	struct launch_plan plan;
	struct site_spec spec;
	struct listener listener, *listeners[1];
	bool waits; /* somebody does, in its queue */
	char state; /* of its first process */
} fakes[SITES];

static struct daemon box;
static uint64_t now_ns;
static uv_timer_cb on_timer;
static unsigned n_started;

void __wrap_wake_launch(struct site *site);
bool __wrap_listener_pending(const struct listener *listener);
ssize_t __wrap_fd_read_attribute(int dir_fd, const char *name, char *buf, size_t size);
uint64_t __wrap_clock_now_ns(void);
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb callback, uint64_t after_ms, uint64_t repeat_ms);
int __wrap_uv_timer_stop(uv_timer_t *timer);
int __wrap_uv_is_active(const uv_handle_t *handle);

void __wrap_wake_launch(struct site *site)
{
	assert_ptr_equal(site, &fakes[n_started].site);
	n_started++;
}

bool __wrap_listener_pending(const struct listener *listener)
{
	for (unsigned i = 0; i < SITES; i++)
		if (listener == &fakes[i].listener)
			return fakes[i].waits;
	fail();
	return false;
}

/* Its name is as bad as can be. */
ssize_t __wrap_fd_read_attribute(int dir_fd, const char *name, char *buf, size_t size)
{
	int pid = 0;

	(void)dir_fd;
	assert_int_equal(sscanf(name, "/proc/%d/stat", &pid), 1);
	assert_in_range(pid, 1, SITES);
	return snprintf(buf, size, "%d (a) S 1) %c 1 2 3", pid, fakes[pid - 1].state);
}

uint64_t __wrap_clock_now_ns(void)
{
	return now_ns;
}

int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb callback, uint64_t after_ms, uint64_t repeat_ms)
{
	assert_ptr_equal(timer, &box.openings.timer);
	assert_in_range(after_ms, 1, 8);
	assert_int_equal(repeat_ms, 0);
	on_timer = callback;
	return 0;
}

int __wrap_uv_timer_stop(uv_timer_t *timer)
{
	(void)timer;
	on_timer = NULL;
	return 0;
}

int __wrap_uv_is_active(const uv_handle_t *handle)
{
	(void)handle;
	return on_timer != NULL;
}

static int setup(void **state)
{
	(void)state;
	memset(fakes, 0, sizeof fakes);
	memset(&box, 0, sizeof box);
	for (unsigned i = 0; i < SITES; i++) {
		struct fake *fake = &fakes[i];

		fake->site.run = &fake->run;
		fake->site.daemon = &box;
		fake->site.plan = fake->run.plan = &fake->plan;
		fake->site.listeners = fake->listeners;
		fake->listeners[0] = &fake->listener;
		fake->run.site = &fake->site;
		fake->run.container.pid = (pid_t)i + 1;
		fake->plan.spec = &fake->spec;
		fake->spec.n_listeners = 1;
		fake->spec.type = TYPE_SIMPLE;
		fake->waits = true;
		fake->state = 'R';
	}
	box.admission.limit = 2;
	box.openings.timer.data = &box;
	box.openings.pause_ms = 1;
	now_ns = 1000000000;
	n_started = 0;
	on_timer = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	admission_finish(&box.admission);
	return box.openings.first || box.admission.opening ? -1 : 0;
}

/* As wake.c does it. */
static void request(unsigned i)
{
	opening_ask(&fakes[i].run);
	assert_int_equal(admission_request(&box.admission, &fakes[i].run), 0);
	if (fakes[i].run.queued)
		opening_expect(&box);
}

static void executed(unsigned i)
{
	fakes[i].run.ready_ns = now_ns;
	opening_begin(&fakes[i].run);
	admission_release(&box.admission, &fakes[i].run);
}

/* With Type=notify: it runs, and is ready. */
static void launched(unsigned i)
{
	fakes[i].run.job.done_ns = now_ns;
	opening_begin(&fakes[i].run);
}

static void ready(unsigned i)
{
	opening_end(&fakes[i].run);
	admission_release(&box.admission, &fakes[i].run);
}

/* The timer's time has come. */
static void pass(void)
{
	uv_timer_cb callback = on_timer;

	assert_non_null(callback);
	now_ns += box.openings.pause_ms * 1000000;
	on_timer = NULL;
	callback(&box.openings.timer);
}

static void end_all(void)
{
	box.admission.limit = SITES;
	for (unsigned i = 0; i < SITES; i++)
		opening_end(&fakes[i].run);
	assert_null(on_timer);
}

/* Two open, which is as many as may start: the third comes when one lets its visitor in. */
static void test_visitor_let_in(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		request(i);
	assert_int_equal(n_started, 2);
	executed(0);
	assert_int_equal(n_started, 3); /* one opens, two start */
	executed(1);
	assert_int_equal(n_started, 3);
	for (unsigned i = 0; i < 20; i++)
		pass();
	assert_int_equal(n_started, 3);
	fakes[1].waits = false;
	pass();
	assert_int_equal(n_started, 4);
	assert_null(on_timer); /* nobody waits any more */
	end_all();
}

/* A program may be quicker than torpord's note that it was executed: it has opened all the same. */
static void test_let_in_before_it_is_noted(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		request(i);
		fakes[i].waits = false;
		executed(i);
	}
	request(2);
	assert_int_equal(n_started, 3);
	assert_int_equal(box.admission.opening, 0);
	assert_null(on_timer);
	admission_release(&box.admission, &fakes[2].run);
	end_all();
}

/* Nobody looks while nobody waits, and who comes next finds the place. */
static void test_nobody_waits(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		request(i);
		executed(i);
		assert_null(on_timer);
	}
	fakes[0].waits = fakes[1].waits = false;
	request(2);
	assert_int_equal(n_started, 3);
	assert_int_equal(box.admission.opening, 0);
	admission_release(&box.admission, &fakes[2].run);
	end_all();
}

/* Who was started with long turns is looked at until it has opened, though nobody waits; and each way to have
 * opened is one to lose them. */
static void test_long_turns(void **state)
{
	(void)state;
	box.admission.limit = SITES;
	for (unsigned i = 0; i < 4; i++) {
		request(i);
		fakes[i].run.long_turns = true;
		fakes[i].run.container.cgroup_fd = -EBADF;
		executed(i);
	}
	for (unsigned i = 0; i < 20; i++)
		pass();
	fakes[1].waits = false;
	pass();
	assert_false(fakes[1].run.long_turns);
	opening_end(&fakes[2].run);
	assert_false(fakes[2].run.long_turns);
	now_ns += 1100000000;
	assert_true(fakes[0].run.long_turns && fakes[3].run.long_turns);
	pass();
	assert_false(fakes[0].run.long_turns || fakes[3].run.long_turns);
	assert_null(on_timer);
	assert_int_equal(box.openings.n_long, 0);
	fakes[4].spec.type = TYPE_NOTIFY; /* ready before it is known that it runs */
	fakes[4].run.long_turns = true;
	fakes[4].run.container.cgroup_fd = -EBADF;
	request(4);
	ready(4);
	assert_false(fakes[4].run.long_turns);
	end_all();
}

/* One that sleeps waits for something else than a processor: another site perhaps, that is next. */
static void test_sleeps(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		request(i);
		executed(i);
	}
	request(2);
	assert_int_equal(n_started, 2);
	for (unsigned i = 0; i < 13; i++) { /* now and then */
		fakes[0].state = i % 2 ? 'S' : 'R';
		pass();
		assert_int_equal(n_started, 2);
	}
	fakes[0].state = 'S';
	for (unsigned i = 0; i < 2; i++)
		pass();
	assert_int_equal(n_started, 3);
	admission_release(&box.admission, &fakes[2].run);
	end_all();
}

/* None holds the others up for longer than a second, whatever it does. */
static void test_too_long(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		request(i);
		executed(i);
	}
	request(2);
	now_ns += 900000000;
	pass();
	assert_int_equal(n_started, 2);
	now_ns += 200000000;
	pass();
	assert_int_equal(n_started, 3);
	admission_release(&box.admission, &fakes[2].run);
	end_all();
}

/* Woken by a command, its queue is empty all the time. */
static void test_without_visitor(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		fakes[i].waits = false;
		request(i);
		executed(i);
	}
	request(2);
	pass();
	assert_int_equal(n_started, 2);
	fakes[1].state = 'S';
	for (unsigned i = 0; i < 2; i++)
		pass();
	assert_int_equal(n_started, 3);
	admission_release(&box.admission, &fakes[2].run);
	end_all();
}

/* What ends, or is frozen, opens no more. Type=notify has its own way to say so. */
static void test_end(void **state)
{
	(void)state;
	fakes[0].spec.type = TYPE_NOTIFY;
	for (unsigned i = 0; i < 3; i++)
		request(i);
	launched(0);
	assert_int_equal(box.admission.opening, 0);
	ready(0);
	executed(1);
	executed(2);
	request(3);
	request(4);
	assert_int_equal(n_started, 3);
	opening_end(&fakes[2].run);
	opening_end(&fakes[2].run);
	assert_int_equal(n_started, 5);
	admission_release(&box.admission, &fakes[3].run);
	admission_release(&box.admission, &fakes[4].run);
	end_all();
}

/* With Type=notify it has its place until it is ready, whether it sleeps or not, and for ten seconds at most.
 */
static void test_announces(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		fakes[i].spec.type = TYPE_NOTIFY;
		fakes[i].state = 'S';
		fakes[i].waits = false;
		request(i);
		launched(i);
	}
	for (unsigned i = 2; i < 5; i++)
		request(i);
	for (unsigned i = 0; i < 20; i++)
		pass();
	assert_int_equal(n_started, 2);
	ready(1);
	assert_int_equal(n_started, 3);
	now_ns += 9500000000;
	pass();
	assert_int_equal(n_started, 3);
	assert_int_equal(box.admission.starting, 2);
	now_ns += 1000000000;
	pass();
	assert_int_equal(n_started, 4);
	ready(0); /* late: it has no place any more */
	assert_int_equal(n_started, 4);
	assert_int_equal(box.admission.starting, 2);
	for (unsigned i = 2; i < 5; i++)
		admission_release(&box.admission, &fakes[i].run);
	assert_int_equal(n_started, 5);
	assert_int_equal(box.admission.starting, 0);
	end_all();
}

/* While memory is short one starts or opens at a time. */
static void test_narrow(void **state)
{
	(void)state;
	admission_narrow(&box.admission, true);
	for (unsigned i = 0; i < 2; i++)
		request(i);
	executed(0);
	assert_int_equal(n_started, 1);
	fakes[0].waits = false;
	pass();
	assert_int_equal(n_started, 2);
	admission_release(&box.admission, &fakes[1].run);
	end_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_visitor_let_in, setup, teardown),
		cmocka_unit_test_setup_teardown(test_let_in_before_it_is_noted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sleeps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_visitor, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_announces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_narrow, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
