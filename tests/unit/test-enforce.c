/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "enforce.h"
#include "resources.h"

/* What would be written to a cgroup, in its order. */

#define DIRECTORY 42

static char written[4096];
static const char *broken; /* a file that takes nothing; "": all */
static int error = -EINVAL;
static bool again;
static bool full; /* processes live there: a set cannot be empty */

int __wrap_fd_write_attribute(int dir_fd, const char *name, const char *value);

int __wrap_fd_write_attribute(int dir_fd, const char *name, const char *value)
{
	size_t used = strlen(written);

	assert_int_equal(dir_fd, DIRECTORY);
	snprintf(written + used, sizeof written - used, "%s=%s;", name, value);
	if (full && strcmp(value, "\n") == 0)
		return -ENOSPC;
	return broken && (!*broken || strcmp(broken, name) == 0) ? error : 0;
}

ssize_t __wrap_fd_read_attribute(int dir_fd, const char *name, char *buf, size_t size);

ssize_t __wrap_fd_read_attribute(int dir_fd, const char *name, char *buf, size_t size)
{
	assert_int_equal(dir_fd, DIRECTORY);
	return snprintf(buf, size, "all of %s", name);
}

static const struct host host = {.controllers = ~0U,
				 .cgroup_files = CGROUP_FILES_ALL & ~(1U << FILE_IO_BFQ_WEIGHT)};

static const struct resource_spec unset = {
	.cpu_weight = SPEC_UNSET,
	.cpu_quota_us = SPEC_UNSET,
	.cpu_quota_period_us = 100000,
	.memory_min = SPEC_UNSET,
	.memory_low = SPEC_UNSET,
	.memory_high = SPEC_UNSET,
	.memory_max = SPEC_UNSET,
	.memory_swap_max = SPEC_UNSET,
	.memory_zswap_max = SPEC_UNSET,
	.io_weight = SPEC_UNSET,
	.tasks_max = SPEC_UNSET,
};

static struct resource_list *make(const struct resource_spec *spec)
{
	struct resource_builder builder;
	struct resource_list *list;
	size_t bytes;

	resources_begin(&builder, spec, &host, 0);
	assert_int_equal(resources_finish(&builder, &list, &bytes), 0);
	return list;
}

/* What is written on the way from one spec (NULL: a new group) to another. */
static int change(const struct resource_spec *from, const struct resource_spec *to, char *text)
{
	struct resource_list *was = from ? make(from) : NULL, *wanted = make(to);
	int r;

	written[0] = '\0';
	r = enforce_resources(DIRECTORY, was, wanted, again, text);
	free(was);
	free(wanted);
	return r;
}

static void assert_change(const struct resource_spec *from, const struct resource_spec *to,
			  const char *expected)
{
	char text[ENFORCE_TEXT_BYTES] = "x";

	broken = NULL;
	assert_int_equal(change(from, to, text), 0);
	assert_string_equal(text, "");
	assert_string_equal(written, expected);
}

static void test_new(void **state)
{
	struct resource_spec spec = unset;

	(void)state;
	assert_change(NULL, &unset, "");
	spec.memory_max = 4096;
	spec.tasks_max = SPEC_INFINITY;
	assert_change(NULL, &spec, "memory.max=4096;pids.max=max;");
}

static void test_changed(void **state)
{
	struct resource_spec from = unset, to = unset;

	(void)state;
	from.memory_max = to.memory_max = 4096;
	from.tasks_max = 7;
	to.tasks_max = 8;
	assert_change(&from, &from, "");
	assert_change(&from, &to, "pids.max=8;");
	again = true;
	assert_change(&from, &to, "memory.max=4096;pids.max=8;");
	again = false;
}

/* What is gone from the unit gets the kernel's own value. */
static void test_removed(void **state)
{
	struct resource_spec from = {
		.cpu_weight = 5,
		.cpu_quota_us = 500000,
		.cpu_quota_period_us = 100000,
		.allowed_cpus = "0",
		.allowed_memory_nodes = "0",
		.memory_min = 1,
		.memory_low = 1,
		.memory_high = 1,
		.memory_max = 1,
		.memory_swap_max = 1,
		.memory_zswap_max = 1,
		.io_weight = 5,
		.tasks_max = 1,
	};

	(void)state;
	assert_change(
		&from, &unset,
		"cpu.weight=100;cpu.max=max 100000;cpuset.cpus=\n;cpuset.mems=\n;memory.min=0;memory.low=0;"
		"memory.high=max;memory.max=max;memory.swap.max=max;memory.zswap.max=max;pids.max=max;"
		"io.weight=default 100;");
}

static void test_sets_of_a_group_that_is_used(void **state)
{
	struct resource_spec from = unset;

	(void)state;
	from.allowed_cpus = from.allowed_memory_nodes = "0";
	full = true;
	assert_change(&from, &unset,
		      "cpuset.cpus=\n;cpuset.cpus=all of ../cpuset.cpus.effective;cpuset.mems=\n;"
		      "cpuset.mems=all of ../cpuset.mems.effective;");
	full = false;
}

/* The kernel takes no weight of a group that is idle. */
static void test_idle(void **state)
{
	struct resource_spec idle = unset, weight = unset;

	(void)state;
	idle.cpu_weight = 0;
	weight.cpu_weight = 50;
	assert_change(&idle, &weight, "cpu.idle=0;cpu.weight=50;");
	assert_change(&weight, &idle, "cpu.weight=100;cpu.idle=1;");
}

static void test_errors(void **state)
{
	struct resource_spec from = unset, to = unset;
	char text[ENFORCE_TEXT_BYTES];

	(void)state;
	from.cpu_weight = 5;
	to.memory_max = 4096;
	to.tasks_max = 8;
	broken = "memory.max";
	assert_int_equal(change(&from, &to, text), -EINVAL);
	assert_string_equal(text, "memory.max (Invalid argument)");
	/* The rest is written all the same. */
	assert_string_equal(written, "cpu.weight=100;memory.max=4096;pids.max=8;");
	broken = "";
	assert_int_equal(change(&from, &to, text), -EINVAL);
	assert_string_equal(text,
			    "cpu.weight (Invalid argument), memory.max (Invalid argument), pids.max (Invalid "
			    "argument)");
	/* What was never had is not missed. */
	error = -EOPNOTSUPP;
	assert_int_equal(change(&from, &unset, text), 0);
	assert_string_equal(text, "");
	error = -EINVAL;
	assert_int_equal(change(&from, &unset, text), -EINVAL);
	/* Too much of it is cut. */
	to = (struct resource_spec){.cpu_quota_period_us = 100000, .allowed_cpus = "0", .io_weight = 5};
	assert_int_equal(change(&from, &to, text), -EINVAL);
	assert_int_equal(strlen(text), sizeof text - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),     cmocka_unit_test(test_changed),
		cmocka_unit_test(test_removed), cmocka_unit_test(test_idle),
		cmocka_unit_test(test_errors),  cmocka_unit_test(test_sets_of_a_group_that_is_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
