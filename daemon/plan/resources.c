/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "resources.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "plan.h"

/* The plain numbers of [Resources]: one row a file. CPUQuota= and AllowedCPUs= are not plain. */
static const struct {
	const char *directive, *file, *prefix;
	size_t offset;
	unsigned controller;
} numbers[] = {
	{"CPUWeight", "cpu.weight", "", offsetof(struct site_spec, cpu_weight), CONTROLLER_CPU},
	{"MemoryMin", "memory.min", "", offsetof(struct site_spec, memory_min), CONTROLLER_MEMORY},
	{"MemoryLow", "memory.low", "", offsetof(struct site_spec, memory_low), CONTROLLER_MEMORY},
	{"MemoryHigh", "memory.high", "", offsetof(struct site_spec, memory_high), CONTROLLER_MEMORY},
	{"MemoryMax", "memory.max", "", offsetof(struct site_spec, memory_max), CONTROLLER_MEMORY},
	{"MemorySwapMax", "memory.swap.max", "", offsetof(struct site_spec, memory_swap_max),
	 CONTROLLER_MEMORY},
	{"IOWeight", "io.weight", "default ", offsetof(struct site_spec, io_weight), CONTROLLER_IO},
	{"TasksMax", "pids.max", "", offsetof(struct site_spec, tasks_max), CONTROLLER_PIDS},
};

#define WRITES_MAX (sizeof numbers / sizeof numbers[0] + 2)

/* Both lists while they are filled; only what is used goes into the arena. */
struct limits {
	unsigned controllers, n_writes, n_missing;
	struct cgroup_write writes[WRITES_MAX];
	struct missing_limit missing[WRITES_MAX];
};

static int add(struct limits *limits, unsigned controller, const char *directive, const char *file, char *value)
{
	if (!value)
		return -ENOMEM;
	if (limits->controllers & controller)
		limits->writes[limits->n_writes++] = (struct cgroup_write){file, value, controller};
	else
		limits->missing[limits->n_missing++] = (struct missing_limit){directive, controller};
	return 0;
}

/* The least quota and the longest period that the kernel takes in cpu.max, else EINVAL (kernel/sched/core.c:
 * min_cfs_quota_period, max_cfs_quota_period). */
#define CPU_QUOTA_MIN_US  1000ULL
#define CPU_PERIOD_MAX_US 1000000ULL

static int add_cpu_max(struct limits *limits, struct launch_plan *plan)
{
	uint64_t quota = plan->spec->cpu_quota_us, period = plan->spec->cpu_quota_period_us, us;
	char *value;

	if (quota == SPEC_UNSET)
		return 0;
	if (quota == SPEC_INFINITY) {
		value = arena_printf(&plan->arena, "max %llu", (unsigned long long)period);
	} else {
		/* A share too small for its period gets a longer one, and at the end the least that there is.
		 */
		if (quota > 0 && quota * period / 1000000 < CPU_QUOTA_MIN_US)
			period = (CPU_QUOTA_MIN_US * 1000000 + quota - 1) / quota;
		if (period > CPU_PERIOD_MAX_US)
			period = CPU_PERIOD_MAX_US;
		us = quota * period / 1000000;
		value = arena_printf(&plan->arena, "%llu %llu",
				     (unsigned long long)(us > CPU_QUOTA_MIN_US ? us : CPU_QUOTA_MIN_US),
				     (unsigned long long)period);
	}
	return add(limits, CONTROLLER_CPU, "CPUQuota", "cpu.max", value);
}

static int copy_lists(struct launch_plan *plan, const struct limits *limits)
{
	struct cgroup_write *writes = NULL;
	struct missing_limit *missing = NULL;

	if (limits->n_writes > 0) {
		writes = arena_alloc(&plan->arena, limits->n_writes * sizeof *writes);
		if (!writes)
			return -ENOMEM;
		memcpy(writes, limits->writes, limits->n_writes * sizeof *writes);
	}
	if (limits->n_missing > 0) {
		missing = arena_alloc(&plan->arena, limits->n_missing * sizeof *missing);
		if (!missing)
			return -ENOMEM;
		memcpy(missing, limits->missing, limits->n_missing * sizeof *missing);
	}
	plan->writes = writes;
	plan->missing = missing;
	plan->n_writes = limits->n_writes;
	plan->n_missing = limits->n_missing;
	return 0;
}

int resources_compile(struct launch_plan *plan, unsigned controllers)
{
	struct limits limits = {.controllers = controllers};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof numbers / sizeof numbers[0]; i++) {
		uint64_t value;

		memcpy(&value, (const char *)plan->spec + numbers[i].offset, sizeof value);
		if (value == SPEC_UNSET)
			continue;
		r = add(&limits, numbers[i].controller, numbers[i].directive, numbers[i].file,
			value == SPEC_INFINITY ? arena_printf(&plan->arena, "%smax", numbers[i].prefix)
					       : arena_printf(&plan->arena, "%s%llu", numbers[i].prefix,
							      (unsigned long long)value));
	}
	if (r == 0)
		r = add_cpu_max(&limits, plan);
	if (r == 0 && plan->spec->allowed_cpus)
		r = add(&limits, CONTROLLER_CPUSET, "AllowedCPUs", "cpuset.cpus",
			arena_strdup(&plan->arena, plan->spec->allowed_cpus));
	return r < 0 ? r : copy_lists(plan, &limits);
}
