/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "memory.h"

static const char text[] = "MemTotal:       24681876 kB\n"
			   "MemFree:        22108020 kB\n"
			   "MemAvailable:   23635428 kB\n"
			   "SwapCached:           12 kB\n"
			   "SwapTotal:       2097148 kB\n"
			   "SwapFree:        1048576 kB\n"
			   "HugePages_Total:       0";

static void test_parse(void **state)
{
	struct memory memory;

	(void)state;
	assert_int_equal(memory_parse(text, &memory), 0);
	assert_int_equal(memory.total_bytes, UINT64_C(24681876) * 1024);
	assert_int_equal(memory.available_bytes, UINT64_C(23635428) * 1024);
	assert_int_equal(memory.swap_total_bytes, UINT64_C(2097148) * 1024);
	assert_int_equal(memory.swap_free_bytes, UINT64_C(1) << 30);
}

/* A line that is missing or of another form is no zero. */
static void test_refused(void **state)
{
	struct memory memory = {.total_bytes = 7};

	(void)state;
	assert_int_equal(memory_parse("", &memory), -EBADMSG);
	assert_int_equal(memory_parse("MemTotal: 1 kB\nMemAvailable: 1 kB\nSwapTotal: 0 kB\n", &memory),
			 -EBADMSG);
	assert_int_equal(
		memory_parse("MemTotal: 1 kB\nMemAvailable: 1 MB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n", &memory),
		-EBADMSG);
	assert_int_equal(memory.total_bytes, 7);
}

static void test_read(void **state)
{
	struct memory memory;

	(void)state;
	assert_int_equal(memory_read(&memory), 0);
	assert_true(memory.total_bytes >= memory.available_bytes);
	assert_true(memory.available_bytes > 0);
	assert_true(memory.swap_total_bytes >= memory.swap_free_bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
