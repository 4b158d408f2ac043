/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "wake-limit.h"

#define INTERVAL UINT64_C(1000)

static struct wake_source source(const char *text)
{
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	struct in6_addr address;

	assert_int_equal(inet_pton(family, text, &address), 1);
	return wake_source_of(family, &address);
}

static bool same(const char *a, const char *b)
{
	struct wake_source one = source(a), other = source(b);

	return memcmp(&one, &other, sizeof one) == 0;
}

static void test_sources(void **state)
{
	(void)state;
	assert_true(same("192.0.2.1", "::ffff:192.0.2.1"));
	assert_false(same("192.0.2.1", "192.0.2.2"));
	assert_true(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::7"));
	assert_false(same("2001:db8:1:2::1", "2001:db8:1:3::1"));
	assert_false(same("192.0.2.1", "c000:201::"));
}

static void test_interval(void **state)
{
	struct wake_source one = source("192.0.2.1"), other = source("192.0.2.2");
	struct wake_limit limit = {0};

	(void)state;
	assert_int_equal(wake_limit_until(&limit, &one, 100, INTERVAL, 2), 0);
	wake_limit_count(&limit, &one, 100, INTERVAL);
	assert_int_equal(wake_limit_until(&limit, &one, 200, INTERVAL, 2), 0);
	wake_limit_count(&limit, &one, 200, INTERVAL);
	assert_int_equal(wake_limit_until(&limit, &one, 200, INTERVAL, 2), 100 + INTERVAL);
	assert_int_equal(wake_limit_until(&limit, &one, 99 + INTERVAL, INTERVAL, 2), 100 + INTERVAL);
	assert_int_equal(wake_limit_until(&limit, &other, 200, INTERVAL, 2), 0);
	/* A new interval, with all that goes into one. */
	assert_int_equal(wake_limit_until(&limit, &one, 100 + INTERVAL, INTERVAL, 2), 0);
	wake_limit_count(&limit, &one, 100 + INTERVAL, INTERVAL);
	wake_limit_count(&limit, &one, 101 + INTERVAL, INTERVAL);
	assert_int_equal(wake_limit_until(&limit, &one, 102 + INTERVAL, INTERVAL, 2), 100 + 2 * INTERVAL);
	wake_limit_finish(&limit);
}

/* Those who came first make room, and memory is bounded. */
static void test_many_sources(void **state)
{
	struct wake_limit limit = {0};

	(void)state;
	for (uint32_t i = 0; i <= WAKE_SOURCES_MAX; i++) {
		struct wake_source one = wake_source_of(AF_INET, &i);

		wake_limit_count(&limit, &one, 100, INTERVAL);
	}
	for (uint32_t i = 0; i <= WAKE_SOURCES_MAX; i++) {
		struct wake_source one = wake_source_of(AF_INET, &i);

		assert_int_equal(wake_limit_until(&limit, &one, 100, INTERVAL, 1), i == 0 ? 0 : 100 + INTERVAL);
	}
	wake_limit_finish(&limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_interval),
		cmocka_unit_test(test_many_sources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
