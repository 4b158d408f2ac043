/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "ledger.h"

#define S UINT64_C(1000000000)

static void counts_time_and_memory(void **state)
{
	struct ledger ledger = {.at_ns = 100 * S, .awake_kib = 1000, .paged_kib = 100};

	(void)state;
	ledger_account(&ledger, STATE_STARTING, 101 * S);
	ledger_account(&ledger, STATE_AWAKE, 110 * S);
	ledger_account(&ledger, STATE_FREEZING, 110 * S);
	ledger_account(&ledger, STATE_FROZEN, 130 * S);
	assert_int_equal(ledger.saved_kib_s, 0);
	ledger_account(&ledger, STATE_PAGED, 140 * S);
	assert_int_equal(ledger.saved_kib_s, 10 * 900);
	ledger_account(&ledger, STATE_COLD, 240 * S);
	ledger_account(&ledger, STATE_FAILED, 241 * S);
	assert_int_equal(ledger.saved_kib_s, 10 * 900 + 101 * 1000);
	assert_int_equal(ledger.spent_us[LEDGER_AWAKE], 10000000);
	assert_int_equal(ledger.spent_us[LEDGER_FROZEN], 20000000);
	assert_int_equal(ledger.spent_us[LEDGER_PAGED], 10000000);
	assert_int_equal(ledger.spent_us[LEDGER_COLD], 101000000);
	ledger_account(&ledger, STATE_COLD, 200 * S); /* a clock that goes back counts nothing */
	assert_int_equal(ledger.spent_us[LEDGER_COLD], 101000000);
	/* Years of much memory do not overflow. */
	ledger = (struct ledger){.awake_kib = UINT32_MAX};
	ledger_account(&ledger, STATE_COLD, S * 86400 * 365 * 10);
	assert_int_equal(ledger.saved_kib_s, UINT64_C(86400) * 365 * 10 * UINT32_MAX);
}

static void sketches(void **state)
{
	struct sketch sketch = {0};

	(void)state;
	assert_int_equal(sketch_quantile(&sketch, 50), 0);
	for (uint64_t us = 64; us < 45000000; us = us * 11 / 10) {
		struct sketch one = {0};
		uint64_t found;

		sketch_add(&one, us);
		found = sketch_quantile(&one, 50);
		assert_true(found >= us * 8 / 10 && found <= us * 12 / 10);
		assert_int_equal(sketch_quantile(&one, 99), found);
	}
	for (int i = 0; i < 90; i++)
		sketch_add(&sketch, 1000);
	for (int i = 0; i < 10; i++)
		sketch_add(&sketch, 1000000);
	assert_in_range(sketch_quantile(&sketch, 50), 800, 1200);
	assert_in_range(sketch_quantile(&sketch, 90), 800, 1200);
	assert_in_range(sketch_quantile(&sketch, 91), 800000, 1200000);
	/* What is old fades. */
	for (int i = 0; i < 5000; i++)
		sketch_add(&sketch, 5000);
	assert_in_range(sketch_quantile(&sketch, 99), 4000, 6000);
	sketch = (struct sketch){0};
	sketch_add(&sketch, 0);
	assert_int_equal(sketch_quantile(&sketch, 50), 64);
	sketch = (struct sketch){0};
	sketch_add(&sketch, UINT64_MAX);
	assert_true(sketch_quantile(&sketch, 50) > 30000000);
}

static void lines(void **state)
{
	static const char *const wrong[] = {"", "a", "a 1 2 3", "../a 1 2 3 4 5 6 7 8 9 10 11 0 0", "\xff 1"};
	struct ledger ledger = {.since_us = 1, .saved_kib_s = UINT64_MAX, .wakes = UINT32_MAX, .thaws = 3},
		      read;
	char line[LEDGER_LINE_BYTES], copy[LEDGER_LINE_BYTES], name[201];
	const char *found;

	(void)state;
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	for (unsigned i = 0; i < LEDGER_TIMES; i++)
		ledger.spent_us[i] = UINT64_MAX - i;
	for (unsigned i = 0; i < SKETCH_BUCKETS; i++)
		ledger.cold.counts[i] = (uint8_t)(i * 7);
	assert_int_equal(ledger_format(&ledger, name, line), 0);
	strcpy(copy, line);
	assert_int_equal(ledger_parse(copy, &found, &read), 0);
	assert_string_equal(found, name);
	assert_memory_equal(&read, &ledger, sizeof ledger);
	/* Cut anywhere, it is refused. */
	for (size_t length = 0; length < strlen(line) - 1; length++) {
		memcpy(copy, line, length);
		copy[length] = '\0';
		assert_int_equal(ledger_parse(copy, &found, &read), -EBADMSG);
	}
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		strcpy(copy, wrong[i]);
		assert_int_equal(ledger_parse(copy, &found, &read), -EBADMSG);
	}
	snprintf(copy, sizeof copy, "%.*s more\n", (int)strlen(line) - 1, line);
	assert_int_equal(ledger_parse(copy, &found, &read), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_time_and_memory),
		cmocka_unit_test(sketches),
		cmocka_unit_test(lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
