/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "request.h"

#define S_US UINT64_C(1000000)
#define S_NS UINT64_C(1000000000)

/* One that waits in every scan gets older, however new its last bytes are, and also while nobody looks. */
static void test_grows_older(void **state)
{
	struct requests requests = {0};

	(void)state;
	for (unsigned scan = 0; scan < 5; scan++) {
		requests_begin(&requests, (100 + scan) * S_NS);
		assert_int_equal(requests_age_us(&requests, 7, S_US / 2), scan * S_US + S_US / 2);
		assert_int_equal(requests_age_us(&requests, 7, 0),
				 scan * S_US + S_US / 2); /* a dump made again */
		assert_int_equal(requests_age_us(&requests, 100 + scan, 3 * S_US), 3 * S_US);
	}
	requests_begin(&requests, 110 * S_NS);
	requests_begin(&requests, 120 * S_NS);
	assert_int_equal(requests_age_us(&requests, 7, 0), 20 * S_US + S_US / 2);
	requests_finish(&requests);
	assert_null(requests.seen);
}

/* One that was answered begins anew; those that are gone leave nothing behind for ever. */
static void test_forgets(void **state)
{
	struct requests requests = {0};

	(void)state;
	requests_begin(&requests, 100 * S_NS);
	assert_int_equal(requests_age_us(&requests, 7, 0), 0);
	requests_begin(&requests, 101 * S_NS);
	requests_answered(&requests, 7);
	requests_answered(&requests, 8);
	assert_null(requests.seen);
	requests_begin(&requests, 102 * S_NS);
	assert_int_equal(requests_age_us(&requests, 7, 0), 0);
	requests_begin(&requests, 102 * S_NS + REQUEST_UNSEEN_NS);
	assert_non_null(requests.seen);
	requests_begin(&requests, 103 * S_NS + REQUEST_UNSEEN_NS);
	assert_null(requests.seen);
}

static void test_many(void **state)
{
	struct requests requests = {0};

	(void)state;
	requests_begin(&requests, 100 * S_NS);
	for (uint64_t cookie = 0; cookie <= REQUESTS_MAX; cookie++)
		(void)requests_age_us(&requests, cookie, 0);
	requests_begin(&requests, 101 * S_NS);
	assert_int_equal(requests_age_us(&requests, 0, 0), S_US);
	assert_int_equal(requests_age_us(&requests, REQUESTS_MAX, 0), 0);
	requests_finish(&requests);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_older),
		cmocka_unit_test(test_forgets),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
