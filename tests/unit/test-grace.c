/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "daemon.h"

#define S         UINT64_C(1000000)
#define CENTURY_S (UINT64_C(36525) * 86400)

/* Sites that stop, and what each may still take. */
#define SITES 3

static struct fake {
	struct site site;
	struct run run;
	uint64_t left_us;
} fakes[SITES];

static struct daemon box;
static uint64_t now_ns, told_us;
static unsigned n_told;

uint64_t __wrap_clock_now_ns(void);
uint64_t __wrap_stop_left_us(const struct site *site);
int __wrap_sd_notifyf(int unset_environment, const char *format, ...) __attribute__((format(printf, 2, 3)));

uint64_t __wrap_clock_now_ns(void)
{
	return now_ns;
}

uint64_t __wrap_stop_left_us(const struct site *site)
{
	for (unsigned i = 0; i < SITES; i++)
		if (site == &fakes[i].site)
			return fakes[i].left_us;
	fail();
	return 0;
}

int __wrap_sd_notifyf(int unset_environment, const char *format, ...)
{
	static const char name[] = "EXTEND_TIMEOUT_USEC=";
	char text[64];
	va_list args;

	assert_int_equal(unset_environment, 0);
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	assert_memory_equal(text, name, strlen(name));
	told_us = strtoull(text + strlen(name), NULL, 10);
	n_told++;
	return 1;
}

/* A minute after the boot, n sites stop; what they may take is the caller's to say. */
static void set_up(unsigned n)
{
	memset(&box, 0, sizeof box);
	memset(fakes, 0, sizeof fakes);
	now_ns = 60 * S * 1000;
	told_us = n_told = 0;
	for (unsigned i = 0; i < n; i++) {
		fakes[i].site = (struct site){.daemon = &box, .run = &fakes[i].run, .state = STATE_STOPPING};
		fakes[i].run = (struct run){.site = &fakes[i].site, .next = box.runs};
		box.runs = &fakes[i].run;
	}
}

static void pass(uint64_t us)
{
	now_ns += us * 1000;
}

static void assert_told(unsigned times, uint64_t least_us)
{
	assert_int_equal(n_told, times);
	assert_in_range(told_us, least_us, least_us + 60 * S);
}

static void test_longest(void **state)
{
	(void)state;
	set_up(3);
	fakes[0].left_us = 30 * S;
	fakes[1].left_us = 130 * S;
	fakes[2].left_us = 90 * S;
	grace_begin(&box);
	assert_told(1, 130 * S);
}

static void test_none_stops(void **state)
{
	(void)state;
	set_up(0);
	grace_begin(&box);
	set_up(1);
	fakes[0].left_us = 90 * S;
	fakes[0].site.state = STATE_FAILED; /* it waits for its next start */
	grace_begin(&box);
	assert_int_equal(n_told, 0);
}

static void test_infinity(void **state)
{
	(void)state;
	set_up(2);
	fakes[0].left_us = 90 * S;
	fakes[1].left_us = SPEC_INFINITY;
	grace_begin(&box);
	assert_told(1, CENTURY_S * S);
	grace_extend(&fakes[1].site);
	assert_int_equal(n_told, 1);
}

static void test_extend(void **state)
{
	(void)state;
	set_up(2);
	fakes[0].left_us = fakes[1].left_us = 90 * S;
	grace_extend(&fakes[0].site);
	assert_int_equal(n_told, 0); /* torpord does not stop */
	grace_begin(&box);
	assert_told(1, 90 * S);
	/* What was told holds for what is less. */
	pass(10 * S);
	fakes[0].left_us = 70 * S;
	grace_extend(&fakes[0].site);
	assert_int_equal(n_told, 1);
	fakes[0].left_us = 300 * S;
	grace_extend(&fakes[0].site);
	assert_told(2, 300 * S);
}

/* A program asks for ten seconds more, every tenth of a second: the manager hears of it now and then, and
 * always in time. */
static void test_many_times(void **state)
{
	uint64_t until_ns;

	(void)state;
	set_up(1);
	fakes[0].left_us = 10 * S;
	grace_begin(&box);
	until_ns = now_ns + told_us * 1000;
	for (unsigned i = 0; i < 1000; i++) {
		unsigned before = n_told;

		pass(S / 10);
		grace_extend(&fakes[0].site);
		if (n_told > before)
			until_ns = now_ns + told_us * 1000;
		assert_true(until_ns >= now_ns + 10 * S * 1000);
	}
	assert_in_range(n_told, 2, 12);
}

static void test_allowed(void **state)
{
	struct grace grace = {0};

	(void)state;
	assert_int_equal(grace_allowed_us(&grace, 5 * S * 1000, 600 * S), 600 * S);
	grace.from_ns = 100 * S * 1000;
	assert_int_equal(grace_allowed_us(&grace, grace.from_ns, 600 * S), 600 * S);
	assert_int_equal(grace_allowed_us(&grace, 200 * S * 1000, 600 * S), 500 * S);
	assert_int_equal(grace_allowed_us(&grace, 200 * S * 1000, 20 * S), 20 * S);
	assert_int_equal(grace_allowed_us(&grace, 700 * S * 1000, 600 * S), 0);
	assert_int_equal(grace_allowed_us(&grace, 9000 * S * 1000, 600 * S), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_longest),    cmocka_unit_test(test_none_stops),
		cmocka_unit_test(test_infinity),   cmocka_unit_test(test_extend),
		cmocka_unit_test(test_many_times), cmocka_unit_test(test_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
