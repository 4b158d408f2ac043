/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/audit.h>
#include <stdbool.h>
#include <stdlib.h>

#include "bpf.h"
#include "filter.h"

#if defined(__x86_64__)
#define NATIVE  AUDIT_ARCH_X86_64
#define FOREIGN AUDIT_ARCH_I386
#else
#define NATIVE  AUDIT_ARCH_AARCH64
#define FOREIGN AUDIT_ARCH_ARM
#endif
#define X32_BIT  0x40000000
#define FALLBACK (SECCOMP_RET_ERRNO | ENOSYS)

static const uint32_t actions[] = {SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ERRNO | ENOSYS,
				   SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_USER_NOTIF};

#define N_ACTIONS (sizeof actions / sizeof *actions)

/* What the rules say, without a program. */
static uint32_t expected(const struct filter_rules *rules, const struct seccomp_data *data)
{
	const struct filter_check *check;

	if (data->arch != NATIVE || (uint32_t)data->nr >= FILTER_CALLS_MAX)
		return rules->fallback;
	check = rules->check[data->nr];
	if (!check)
		return rules->action[data->nr];
	for (unsigned i = 0; i < check->n_tests; i++) {
		const struct filter_test *test = &check->tests[i];
		uint32_t value = (uint32_t)data->args[test->argument];
		bool matches = test->match == FILTER_EQUALS    ? value == test->value
			       : test->match == FILTER_DIFFERS ? value != test->value
			       : test->match == FILTER_ANY_BIT ? (value & test->value) != 0
							       : (value & test->value) == 0;

		if (matches)
			return test->action;
	}
	return check->otherwise;
}

static void assert_same(const struct filter_rules *rules, const struct sock_filter *code, size_t n,
			const struct seccomp_data *data)
{
	uint32_t want = expected(rules, data), got = bpf_run(code, n, data, NULL);

	if (data->arch == NATIVE) {
		uint32_t arguments[FILTER_ARGUMENTS];

		for (unsigned i = 0; i < FILTER_ARGUMENTS; i++)
			arguments[i] = (uint32_t)data->args[i];
		assert_int_equal(filter_answer(rules, (unsigned)data->nr, arguments), want);
	}
	if (got != want)
		fail_msg("arch %#x, call %d, arguments %#llx %#llx %#llx: %#x instead of %#x", data->arch,
			 data->nr, (unsigned long long)data->args[0], (unsigned long long)data->args[1],
			 (unsigned long long)data->args[2], got, want);
}

/* Arguments near the values that are tested, with and without bits in the upper half. */
static void set_arguments(struct seccomp_data *data, const struct filter_check *check)
{
	for (int i = 0; i < 6; i++)
		data->args[i] = (uint64_t)rand() << 32 | (rand() % 2 ? (uint32_t)rand() : (uint32_t)rand() % 8);
	if (check && check->n_tests && rand() % 2) {
		const struct filter_test *test = &check->tests[(unsigned)rand() % check->n_tests];

		data->args[test->argument] = (uint64_t)(rand() % 2) << 32 | test->value;
	}
}

static void check_rules(const struct filter_rules *rules)
{
	struct sock_filter *code;
	size_t n;

	assert_int_equal(filter_compile(rules, &code, &n), 0);
	assert_true(n <= BPF_MAXINSNS);
	for (int number = -1; number < FILTER_CALLS_MAX + 2; number++)
		for (int i = 0; i < 12; i++) {
			struct seccomp_data data = {.nr = number, .arch = NATIVE};

			set_arguments(&data,
				      number >= 0 && number < FILTER_CALLS_MAX ? rules->check[number] : NULL);
			assert_same(rules, code, n, &data);
			data.arch = FOREIGN;
			assert_same(rules, code, n, &data);
			data.arch = NATIVE;
			data.nr |= X32_BIT;
			assert_same(rules, code, n, &data);
		}
	free(code);
}

static void make_tests(struct filter_test *tests, struct filter_check *check)
{
	check->tests = tests;
	check->n_tests = (unsigned)rand() % 8;
	check->otherwise = actions[(unsigned)rand() % N_ACTIONS];
	for (unsigned i = 0; i < check->n_tests; i++) {
		tests[i].argument = i > 0 && rand() % 2 ? tests[i - 1].argument : (uint8_t)(rand() % 6);
		tests[i].match = (unsigned)rand() % 4;
		tests[i].value = (uint32_t)rand() % 2 ? (uint32_t)rand() % 8 : (uint32_t)rand();
		tests[i].action =
			i > 0 && rand() % 2 ? tests[i - 1].action : actions[(unsigned)rand() % N_ACTIONS];
	}
}

/* From one answer for all calls to one that changes with every call. */
static void test_random_rules(void **state)
{
	static struct filter_rules rules;
	static struct filter_test tests[16][8];
	static struct filter_check checks[16];

	(void)state;
	srand(1);
	for (int round = 0; round < 60; round++) {
		int change = 1 + round % 20, share = 2 + round % 40;

		rules = (struct filter_rules){.fallback = FALLBACK};
		for (int i = 0; i < 16; i++)
			make_tests(tests[i], &checks[i]);
		for (int number = 0; number < FILTER_CALLS_MAX; number++) {
			rules.action[number] = number > 0 && rand() % change
						       ? rules.action[number - 1]
						       : actions[(unsigned)rand() % N_ACTIONS];
			if (rand() % share == 0)
				rules.check[number] = &checks[rand() % 16];
		}
		check_rules(&rules);
	}
}

/* Every call has another answer than its neighbours: jumps over more than 255 instructions. */
static void test_long_jumps(void **state)
{
	static struct filter_rules rules;

	(void)state;
	rules.fallback = FALLBACK;
	for (uint32_t number = 0; number < FILTER_CALLS_MAX; number++)
		rules.action[number] = SECCOMP_RET_ERRNO | number;
	check_rules(&rules);
}

/* A test of its own for every value that a check can have. */
static void test_many_tests(void **state)
{
	static struct filter_rules rules;
	static struct filter_test tests[255];
	static struct filter_check check = {tests, 255, SECCOMP_RET_ALLOW};

	(void)state;
	rules = (struct filter_rules){.fallback = FALLBACK, .check[41] = &check};
	for (uint32_t i = 0; i < 255; i++)
		tests[i] = (struct filter_test){0, FILTER_EQUALS, i * 3, SECCOMP_RET_ERRNO | EPERM};
	check_rules(&rules);
	for (uint32_t i = 0; i < 255; i++)
		tests[i].action |= i;
	check_rules(&rules);
}

static void test_one_answer(void **state)
{
	static struct filter_rules rules;
	struct sock_filter *code;
	size_t n;

	(void)state;
	rules.fallback = FALLBACK;
	for (int number = 0; number < FILTER_CALLS_MAX; number++)
		rules.action[number] = FALLBACK;
	assert_int_equal(filter_compile(&rules, &code, &n), 0);
	/* arch, its jump, its return, the number, one bisection. */
	assert_true(n <= 7);
	free(code);
	check_rules(&rules);
}

/* What no program can hold is refused. */
static void test_too_long(void **state)
{
	static struct filter_rules rules;
	static struct filter_test tests[60];
	static struct filter_check check = {tests, 60, SECCOMP_RET_ALLOW};
	struct sock_filter *code;
	size_t n;

	(void)state;
	for (uint32_t i = 0; i < 60; i++)
		tests[i] = (struct filter_test){(uint8_t)(i % 2), FILTER_EQUALS, i, SECCOMP_RET_ERRNO | i};
	for (int number = 0; number < FILTER_CALLS_MAX; number++)
		rules.check[number] = &check;
	assert_int_equal(filter_compile(&rules, &code, &n), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_rules), cmocka_unit_test(test_long_jumps),
		cmocka_unit_test(test_many_tests),   cmocka_unit_test(test_one_answer),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
