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
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "disk.h"
#include "resources.h"

#define ALL       (CONTROLLER_CPU | CONTROLLER_CPUSET | CONTROLLER_IO | CONTROLLER_MEMORY | CONTROLLER_PIDS)
#define PERIOD_US 100000
#define DISK      "/dev/the-disk"

/* The disks of these tests are made up: DISK and what is below it have one of each number in their names. */
int __wrap_disk_find(const char *path, dev_t *ret);

int __wrap_disk_find(const char *path, dev_t *ret)
{
	unsigned number;

	if (strncmp(path, "/proc", 5) == 0)
		return -ENODEV;
	if (sscanf(path, DISK "%u", &number) != 1)
		return -ENOENT;
	*ret = makedev(8, number);
	return 0;
}

static const struct resource_spec unset = {
	.cpu_weight = SPEC_UNSET,
	.cpu_quota_us = SPEC_UNSET,
	.cpu_quota_period_us = PERIOD_US,
	.memory_min = SPEC_UNSET,
	.memory_low = SPEC_UNSET,
	.memory_high = SPEC_UNSET,
	.memory_max = SPEC_UNSET,
	.memory_swap_max = SPEC_UNSET,
	.memory_zswap_max = SPEC_UNSET,
	.io_weight = SPEC_UNSET,
	.tasks_max = SPEC_UNSET,
};

struct fixture {
	struct resource_spec spec;
	struct host host;
	struct resource_list *list; /* what it came to last */
};

static int setup(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){.spec = unset,
				   .host = {.controllers = ALL,
					    .cgroup_files = CGROUP_FILES_ALL & ~(1U << FILE_IO_BFQ_WEIGHT),
					    .memory_bytes = UINT64_C(16) << 30,
					    .tasks_max = 32768}};
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	free(fixture->list);
	return 0;
}

static const struct resource_list *compile(struct fixture *fixture)
{
	struct resource_builder builder;
	size_t bytes;

	free(fixture->list);
	fixture->list = NULL;
	resources_begin(&builder, &fixture->spec, &fixture->host, 0);
	assert_int_equal(resources_finish(&builder, &fixture->list, &bytes), 0);
	assert_true(bytes >= sizeof *fixture->list);
	return fixture->list;
}

static const struct {
	const char *directive;
	size_t offset;
	enum cgroup_file file;
	const char *name, *of_50, *of_infinity, *reset;
} keys[] = {
#define KEY(field) offsetof(struct resource_spec, field)
	{"CPUWeight", KEY(cpu_weight), FILE_CPU_WEIGHT, "cpu.weight", "50", NULL, "100"},
	{"MemoryMin", KEY(memory_min), FILE_MEMORY_MIN, "memory.min", "50", "max", "0"},
	{"MemoryLow", KEY(memory_low), FILE_MEMORY_LOW, "memory.low", "50", "max", "0"},
	{"MemoryHigh", KEY(memory_high), FILE_MEMORY_HIGH, "memory.high", "50", "max", "max"},
	{"MemoryMax", KEY(memory_max), FILE_MEMORY_MAX, "memory.max", "50", "max", "max"},
	{"MemorySwapMax", KEY(memory_swap_max), FILE_MEMORY_SWAP_MAX, "memory.swap.max", "50", "max", "max"},
	{"MemoryZSwapMax", KEY(memory_zswap_max), FILE_MEMORY_ZSWAP_MAX, "memory.zswap.max", "50", "max",
	 "max"},
	{"IOWeight", KEY(io_weight), FILE_IO_WEIGHT, "io.weight", "default 50", NULL, "default 100"},
	{"TasksMax", KEY(tasks_max), FILE_PIDS_MAX, "pids.max", "50", "max", "max"},
};

#define N_KEYS (sizeof keys / sizeof *keys)

static void set(struct resource_spec *spec, size_t offset, uint64_t value)
{
	memcpy((char *)spec + offset, &value, sizeof value);
}

static void assert_write(const struct resource_list *list, unsigned i, const char *file, const char *value,
			 const char *reset)
{
	assert_true(i < list->n_writes);
	assert_string_equal(cgroup_file_name(list->writes[i].file), file);
	assert_string_equal(resource_text(list, list->writes[i].value), value);
	assert_string_equal(resource_text(list, list->writes[i].reset), reset);
}

static void assert_one_write(struct fixture *fixture, const char *file, const char *value, const char *reset)
{
	const struct resource_list *list = compile(fixture);

	assert_int_equal(list->n_writes, 1);
	assert_int_equal(list->n_missing, 0);
	assert_write(list, 0, file, value, reset);
}

static void assert_one_missing(struct fixture *fixture, const char *text)
{
	const struct resource_list *list = compile(fixture);

	assert_int_equal(list->n_writes, 0);
	assert_int_equal(list->controllers, 0);
	assert_int_equal(list->n_missing, 1);
	assert_string_equal(resource_text(list, list->missing), text);
}

static void test_nothing(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < 2; i++) {
		const struct resource_list *list = compile(fixture);

		assert_int_equal(list->n_writes + list->n_missing, 0);
		assert_int_equal(list->controllers, 0);
		/* Nothing is missing of nothing. */
		fixture->host.controllers = fixture->host.cgroup_files = 0;
		fixture->spec.require_limits = true;
		assert_int_equal(compile(fixture)->refused, 0);
	}
}

/* Each key alone: its file and text; without its controller or its file, its name and why. */
static void test_each_key(void **state)
{
	struct fixture *fixture = *state;
	char text[128];

	for (size_t i = 0; i < N_KEYS; i++) {
		unsigned controller = cgroup_file_controller(keys[i].file);

		fixture->spec = unset;
		set(&fixture->spec, keys[i].offset, 50);
		assert_one_write(fixture, keys[i].name, keys[i].of_50, keys[i].reset);
		assert_int_equal(fixture->list->controllers, controller);
		fixture->host.controllers &= ~controller;
		snprintf(text, sizeof text, "%s= (no %s controller in this host's cgroup v2)",
			 keys[i].directive, controller_name(controller));
		assert_one_missing(fixture, text);
		assert_int_equal(fixture->list->refused, 0);
		fixture->spec.require_limits = true;
		assert_one_missing(fixture, text);
		assert_int_equal(fixture->list->refused, fixture->list->missing);
		fixture->host.controllers = ALL;
		fixture->host.cgroup_files &= ~(1U << keys[i].file);
		snprintf(text, sizeof text, "%s= (this host's kernel has no %s)", keys[i].directive,
			 keys[i].name);
		assert_one_missing(fixture, text);
		assert_true(fixture->list->refused);
		fixture->host.cgroup_files |= 1U << keys[i].file;
		assert_int_equal(compile(fixture)->refused, 0);
		if (!keys[i].of_infinity)
			continue;
		set(&fixture->spec, keys[i].offset, 0);
		assert_one_write(fixture, keys[i].name, "0", keys[i].reset);
		set(&fixture->spec, keys[i].offset, SPEC_INFINITY);
		assert_one_write(fixture, keys[i].name, keys[i].of_infinity, keys[i].reset);
	}
}

static void test_large_numbers(void **state)
{
	struct fixture *fixture = *state;

	fixture->spec.memory_max = SPEC_SHARE - 1;
	assert_one_write(fixture, "memory.max", "9223372036854775807", "max");
}

static void test_shares(void **state)
{
	static const struct {
		uint64_t hundredths;
		const char *memory, *tasks;
	} cases[] = {
		{10000, "17179869184", "32768"},
		{5000, "8589934592", "16384"},
		{1250, "2147483648", "4096"},
		{1, "1717986", "3"},
		{0, "0", "0"},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		fixture->spec = unset;
		fixture->spec.memory_max = SPEC_SHARE | cases[i].hundredths;
		assert_one_write(fixture, "memory.max", cases[i].memory, "max");
		fixture->spec = unset;
		fixture->spec.tasks_max = SPEC_SHARE | cases[i].hundredths;
		assert_one_write(fixture, "pids.max", cases[i].tasks, "max");
	}
	/* A little is not nothing. */
	fixture->host.tasks_max = 100;
	fixture->spec.tasks_max = SPEC_SHARE | 1;
	assert_one_write(fixture, "pids.max", "1", "max");
}

static void test_idle(void **state)
{
	struct fixture *fixture = *state;

	fixture->spec.cpu_weight = 0;
	assert_one_write(fixture, "cpu.idle", "1", "0");
	fixture->host.cgroup_files &= ~(1U << FILE_CPU_IDLE);
	assert_one_missing(fixture, "CPUWeight= (this host's kernel has no cpu.idle)");
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
		assert_one_write(fixture, "cpu.max", cases[i].text, "max 100000");
	}
	fixture->host.controllers &= ~(unsigned)CONTROLLER_CPU;
	assert_one_missing(fixture, "CPUQuota= (no cpu controller in this host's cgroup v2)");
}

static void test_sets(void **state)
{
	struct fixture *fixture = *state;

	fixture->spec.allowed_cpus = "0-3,8";
	assert_one_write(fixture, "cpuset.cpus", "0-3,8", "\n");
	/* The cpu controller does not do for cpuset. */
	fixture->host.controllers = CONTROLLER_CPU;
	assert_one_missing(fixture, "AllowedCPUs= (no cpuset controller in this host's cgroup v2)");
	fixture->host.controllers = ALL;
	fixture->spec.allowed_cpus = NULL;
	fixture->spec.allowed_memory_nodes = "1";
	assert_one_write(fixture, "cpuset.mems", "1", "\n");
}

#define WITH(...)                                                                                              \
	const struct io_limit_spec limits[] = {__VA_ARGS__};                                                   \
	fixture->spec.io_limits = limits;                                                                      \
	fixture->spec.n_io_limits = sizeof limits / sizeof *limits

/* One line a disk, whatever the order, and the last word of two names of one disk. */
static void test_io_limits(void **state)
{
	struct fixture *fixture = *state;
	const struct resource_list *list;

	WITH({IO_READ_BANDWIDTH, DISK "0", 1000}, {IO_WRITE_IOPS, DISK "16", 7},
	     {IO_WRITE_BANDWIDTH, DISK "0", 2000}, {IO_READ_IOPS, DISK "0", SPEC_INFINITY},
	     {IO_READ_BANDWIDTH, DISK "0/again", 3000});
	list = compile(fixture);
	assert_int_equal(list->n_writes, 2);
	assert_write(list, 0, "io.max", "8:0 rbps=3000 wbps=2000 riops=max wiops=max",
		     "8:0 rbps=max wbps=max riops=max wiops=max");
	assert_write(list, 1, "io.max", "8:16 rbps=max wbps=max riops=max wiops=7",
		     "8:16 rbps=max wbps=max riops=max wiops=max");
	assert_int_equal(list->controllers, CONTROLLER_IO);
}

static void test_device_weights(void **state)
{
	struct fixture *fixture = *state;
	const struct resource_list *list;

	WITH({IO_DEVICE_WEIGHT, DISK "0", 50}, {IO_DEVICE_WEIGHT, DISK "16", 10000},
	     {IO_DEVICE_WEIGHT, DISK "0/again", 60});
	fixture->spec.io_weight = 200;
	list = compile(fixture);
	assert_int_equal(list->n_writes, 3);
	assert_write(list, 0, "io.weight", "default 200", "default 100");
	assert_write(list, 1, "io.weight", "8:0 60", "8:0 default");
	assert_write(list, 2, "io.weight", "8:16 10000", "8:16 default");
	/* Both kinds of scheduler, where both are there; each alone; none. */
	fixture->host.cgroup_files |= 1U << FILE_IO_BFQ_WEIGHT;
	list = compile(fixture);
	assert_int_equal(list->n_writes, 6);
	assert_write(list, 1, "io.bfq.weight", "109", "100");
	assert_write(list, 3, "io.bfq.weight", "8:0 60", "8:0 default");
	assert_write(list, 5, "io.bfq.weight", "8:16 1000", "8:16 default");
	fixture->host.cgroup_files &= ~(1U << FILE_IO_WEIGHT);
	list = compile(fixture);
	assert_int_equal(list->n_writes, 3);
	assert_int_equal(list->n_missing, 0);
	assert_write(list, 0, "io.bfq.weight", "109", "100");
	fixture->host.cgroup_files = 0;
	list = compile(fixture);
	assert_int_equal(list->n_writes, 0);
	assert_int_equal(list->n_missing, 4);
}

static void test_missing_disks(void **state)
{
	struct fixture *fixture = *state;
	const struct resource_list *list;
	const char *text;

	WITH({IO_READ_BANDWIDTH, "/dev/nosuch", 1000}, {IO_WRITE_IOPS, "/proc/stat", 7},
	     {IO_DEVICE_WEIGHT, "/x", 1});
	list = compile(fixture);
	assert_int_equal(list->n_writes, 0);
	assert_int_equal(list->n_missing, 3);
	text = resource_text(list, list->missing);
	assert_string_equal(text, "IOReadBandwidthMax=/dev/nosuch (No such file or directory)");
	text = resource_next_missing(text);
	assert_string_equal(text, "IOWriteIOPSMax=/proc/stat (no block device is behind it: name the device)");
	text = resource_next_missing(text);
	assert_string_equal(text, "IODeviceWeight=/x (No such file or directory)");
	fixture->host.controllers = 0;
	list = compile(fixture);
	assert_string_equal(resource_text(list, list->missing),
			    "IOReadBandwidthMax=/dev/nosuch (no io controller in this host's cgroup v2)");
}

/* What is missing besides limits refuses nothing. */
static void test_missing_else(void **state)
{
	struct fixture *fixture = *state;
	struct resource_builder builder;
	size_t bytes;

	fixture->spec.require_limits = true;
	for (int limit = 0; limit < 2; limit++) {
		resources_begin(&builder, &fixture->spec, &fixture->host, 2);
		resources_missing(&builder, false, "a %d", 1);
		resources_missing(&builder, limit, "b");
		free(fixture->list);
		assert_int_equal(resources_finish(&builder, &fixture->list, &bytes), 0);
		assert_int_equal(fixture->list->n_missing, 2);
		assert_string_equal(resource_text(fixture->list, fixture->list->missing), "a 1");
		assert_string_equal(
			resource_text(fixture->list, fixture->list->refused ? fixture->list->refused : 0),
			limit ? "b" : (const char *)fixture->list);
	}
}

/* All at once, with any set of controllers: each key is in one of the lists. */
static void test_all(void **state)
{
	struct fixture *fixture = *state;
	unsigned n = N_KEYS + 3;

	for (size_t i = 0; i < N_KEYS; i++)
		set(&fixture->spec, keys[i].offset, 50);
	fixture->spec.cpu_quota_us = 500000;
	fixture->spec.allowed_cpus = "0";
	fixture->spec.allowed_memory_nodes = "0";
	for (unsigned controllers = 0; controllers <= ALL; controllers++) {
		const struct resource_list *list;

		fixture->host.controllers = controllers;
		list = compile(fixture);
		assert_int_equal(list->n_writes + list->n_missing, n);
		assert_int_equal(list->controllers & ~controllers, 0);
		for (unsigned i = 0; i < list->n_writes; i++)
			assert_true(cgroup_file_controller(list->writes[i].file) & controllers);
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

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing),
		TEST(each_key),
		TEST(large_numbers),
		TEST(shares),
		TEST(idle),
		TEST(cpu_quota),
		TEST(sets),
		TEST(io_limits),
		TEST(device_weights),
		TEST(missing_disks),
		TEST(missing_else),
		TEST(all),
		TEST(controller_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
