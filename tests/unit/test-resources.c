/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "plan.h"
#include "resources.h"

#define ALL       (CONTROLLER_CPU | CONTROLLER_CPUSET | CONTROLLER_IO | CONTROLLER_MEMORY | CONTROLLER_PIDS)
#define PERIOD_US 100000

static const struct site_spec unset = {
	.name = "a",
	.cpu_weight = SPEC_UNSET,
	.cpu_quota_us = SPEC_UNSET,
	.cpu_quota_period_us = PERIOD_US,
	.memory_min = SPEC_UNSET,
	.memory_low = SPEC_UNSET,
	.memory_high = SPEC_UNSET,
	.memory_max = SPEC_UNSET,
	.memory_swap_max = SPEC_UNSET,
	.io_weight = SPEC_UNSET,
	.tasks_max = SPEC_UNSET,
};

struct fixture {
	struct site_spec spec;
	struct launch_plan plan;
};

static int setup(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){.spec = unset};
	arena_init(&fixture.plan.arena);
	fixture.plan.spec = &fixture.spec;
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	arena_finish(&fixture->plan.arena);
	return 0;
}

static const struct {
	const char *directive;
	size_t offset;
	unsigned controller;
	const char *file, *of_50, *of_infinity;
} keys[] = {
#define KEY(field) offsetof(struct site_spec, field)
	{"CPUWeight", KEY(cpu_weight), CONTROLLER_CPU, "cpu.weight", "50", "max"},
	{"MemoryMin", KEY(memory_min), CONTROLLER_MEMORY, "memory.min", "50", "max"},
	{"MemoryLow", KEY(memory_low), CONTROLLER_MEMORY, "memory.low", "50", "max"},
	{"MemoryHigh", KEY(memory_high), CONTROLLER_MEMORY, "memory.high", "50", "max"},
	{"MemoryMax", KEY(memory_max), CONTROLLER_MEMORY, "memory.max", "50", "max"},
	{"MemorySwapMax", KEY(memory_swap_max), CONTROLLER_MEMORY, "memory.swap.max", "50", "max"},
	{"IOWeight", KEY(io_weight), CONTROLLER_IO, "io.weight", "default 50", "default max"},
	{"TasksMax", KEY(tasks_max), CONTROLLER_PIDS, "pids.max", "50", "max"},
};

static void set(struct site_spec *spec, size_t offset, uint64_t value)
{
	memcpy((char *)spec + offset, &value, sizeof value);
}

static void assert_one_write(struct fixture *fixture, const char *file, const char *value, unsigned controller)
{
	assert_int_equal(resources_compile(&fixture->plan, ALL), 0);
	assert_int_equal(fixture->plan.n_writes, 1);
	assert_int_equal(fixture->plan.n_missing, 0);
	assert_string_equal(fixture->plan.writes[0].file, file);
	assert_string_equal(fixture->plan.writes[0].value, value);
	assert_int_equal(fixture->plan.writes[0].controller, controller);
}

static void test_nothing(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(resources_compile(&fixture->plan, ALL), 0);
	assert_int_equal(fixture->plan.n_writes, 0);
	assert_int_equal(fixture->plan.n_missing, 0);
	assert_int_equal(resources_compile(&fixture->plan, 0), 0);
	assert_int_equal(fixture->plan.n_missing, 0);
}

/* Each key alone: its file and text; without its controller, its name. */
static void test_each_key(void **state)
{
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		fixture->spec = unset;
		set(&fixture->spec, keys[i].offset, 50);
		assert_one_write(fixture, keys[i].file, keys[i].of_50, keys[i].controller);
		set(&fixture->spec, keys[i].offset, 0);
		assert_int_equal(resources_compile(&fixture->plan, ALL), 0);
		assert_int_equal(fixture->plan.n_writes, 1);
		set(&fixture->spec, keys[i].offset, SPEC_INFINITY);
		assert_one_write(fixture, keys[i].file, keys[i].of_infinity, keys[i].controller);
		assert_int_equal(resources_compile(&fixture->plan, ALL & ~keys[i].controller), 0);
		assert_int_equal(fixture->plan.n_writes, 0);
		assert_int_equal(fixture->plan.n_missing, 1);
		assert_string_equal(fixture->plan.missing[0].directive, keys[i].directive);
		assert_int_equal(fixture->plan.missing[0].controller, keys[i].controller);
	}
}

static void test_large_numbers(void **state)
{
	struct fixture *fixture = *state;

	fixture->spec.memory_max = SPEC_UNSET - 1;
	assert_one_write(fixture, "memory.max", "18446744073709551613", CONTROLLER_MEMORY);
}

static void test_cpu_quota(void **state)
{
	static const struct {
		uint64_t quota_us, period_us;
		const char *text;
	} cases[] = {
		{800000, PERIOD_US, "80000 100000"},
		{1000000, PERIOD_US, "100000 100000"},
		{2500000, 50000, "125000 50000"},
		{125000, 1000000, "125000 1000000"},
		{10000, PERIOD_US, "1000 100000"},
		{SPEC_INFINITY, PERIOD_US, "max 100000"},
		{SPEC_INFINITY, 50000, "max 50000"},
		/* The kernel takes no quota below 1 ms: the period grows to keep the share, as systemd's does,
		 * as far as it may. */
		{5000, PERIOD_US, "1000 200000"},
		{9999, PERIOD_US, "1000 100011"},
		{500000, 1000, "1000 2000"},
		{1000, 1000000, "1000 1000000"},
		{100, PERIOD_US, "1000 1000000"},
		{1, 1000, "1000 1000000"},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		fixture->spec.cpu_quota_us = cases[i].quota_us;
		fixture->spec.cpu_quota_period_us = cases[i].period_us;
		assert_one_write(fixture, "cpu.max", cases[i].text, CONTROLLER_CPU);
	}
	assert_int_equal(resources_compile(&fixture->plan, ALL & ~CONTROLLER_CPU), 0);
	assert_int_equal(fixture->plan.n_missing, 1);
	assert_string_equal(fixture->plan.missing[0].directive, "CPUQuota");
}

static void test_allowed_cpus(void **state)
{
	struct fixture *fixture = *state;

	fixture->spec.allowed_cpus = "0-3,8";
	assert_one_write(fixture, "cpuset.cpus", "0-3,8", CONTROLLER_CPUSET);
	/* The cpu controller does not do for cpuset. */
	assert_int_equal(resources_compile(&fixture->plan, CONTROLLER_CPU), 0);
	assert_int_equal(fixture->plan.n_missing, 1);
	assert_string_equal(fixture->plan.missing[0].directive, "AllowedCPUs");
	assert_int_equal(fixture->plan.missing[0].controller, CONTROLLER_CPUSET);
}

/* All at once, with any set of controllers: each key is in one of the lists. */
static void test_all(void **state)
{
	struct fixture *fixture = *state;
	unsigned n = sizeof keys / sizeof *keys + 2;

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		set(&fixture->spec, keys[i].offset, 50);
	fixture->spec.cpu_quota_us = 500000;
	fixture->spec.allowed_cpus = "0";
	for (unsigned controllers = 0; controllers <= ALL; controllers++) {
		const struct launch_plan *plan = &fixture->plan;

		assert_int_equal(resources_compile(&fixture->plan, controllers), 0);
		assert_int_equal(plan->n_writes + plan->n_missing, n);
		for (unsigned i = 0; i < plan->n_writes; i++)
			assert_true(plan->writes[i].controller & controllers);
		for (unsigned i = 0; i < plan->n_missing; i++)
			assert_false(plan->missing[i].controller & controllers);
	}
}

static void test_controller_names(void **state)
{
	static const char *const names[] = {"cpu", "cpuset", "io", "memory", "pids"};
	unsigned seen = 0;

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		unsigned controller = controller_from_name(names[i]);

		assert_true(controller && !(seen & controller));
		seen |= controller;
		assert_string_equal(controller_name(controller), names[i]);
	}
	assert_int_equal(seen, ALL);
	assert_int_equal(controller_from_name("rdma"), 0);
	assert_int_equal(controller_from_name(""), 0);
	assert_string_equal(controller_name(0), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_key, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cpu_quota, setup, teardown),
		cmocka_unit_test_setup_teardown(test_allowed_cpus, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all, setup, teardown),
		cmocka_unit_test(test_controller_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
