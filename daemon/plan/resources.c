/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "resources.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "disk.h"
#include "str.h"

struct planned_write {
	enum cgroup_file file;
	const char *value, *reset;
};

/* The plain numbers of [Resources]: one row a file. */
static const struct {
	const char *directive;
	enum cgroup_file file;
	size_t offset;
	const char *reset; /* the kernel's own value */
	bool tasks;        /* a share is one of tasks, not of memory */
} numbers[] = {
#define FIELD(member) offsetof(struct resource_spec, member)
	{"MemoryMin", FILE_MEMORY_MIN, FIELD(memory_min), "0", false},
	{"MemoryLow", FILE_MEMORY_LOW, FIELD(memory_low), "0", false},
	{"MemoryHigh", FILE_MEMORY_HIGH, FIELD(memory_high), "max", false},
	{"MemoryMax", FILE_MEMORY_MAX, FIELD(memory_max), "max", false},
	{"MemorySwapMax", FILE_MEMORY_SWAP_MAX, FIELD(memory_swap_max), "max", false},
	{"MemoryZSwapMax", FILE_MEMORY_ZSWAP_MAX, FIELD(memory_zswap_max), "max", false},
	{"TasksMax", FILE_PIDS_MAX, FIELD(tasks_max), "max", true},
};

static const char *const io_directives[IO_LIMIT_KINDS] = {
	[IO_DEVICE_WEIGHT] = "IODeviceWeight",        [IO_READ_BANDWIDTH] = "IOReadBandwidthMax",
	[IO_WRITE_BANDWIDTH] = "IOWriteBandwidthMax", [IO_READ_IOPS] = "IOReadIOPSMax",
	[IO_WRITE_IOPS] = "IOWriteIOPSMax",
};

void resources_missing(struct resource_builder *b, bool limit, const char *format, ...)
{
	char text[1024];
	va_list args;

	if (b->error)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	b->missing[b->n_missing] = arena_strdup(&b->arena, text);
	if (!b->missing[b->n_missing]) {
		b->error = -ENOMEM;
		return;
	}
	b->n_missing++;
	if (limit && b->require && !b->refused)
		b->refused = b->n_missing;
}

static bool has_file(const struct resource_builder *b, enum cgroup_file file)
{
	return b->host->controllers & cgroup_file_controller(file) && b->host->cgroup_files & (1U << file);
}

/* Whether a limit can be written to this file; if not, it is missing. what follows the directive, or is empty.
 */
static bool check_file(struct resource_builder *b, enum cgroup_file file, const char *directive,
		       const char *what)
{
	unsigned controller = cgroup_file_controller(file);

	if (has_file(b, file))
		return true;
	if (!(b->host->controllers & controller))
		resources_missing(b, true, "%s=%s (no %s controller in this host's cgroup v2)", directive, what,
				  controller_name(controller));
	else
		resources_missing(b, true, "%s=%s (this host's kernel has no %s)", directive, what,
				  cgroup_file_name(file));
	return false;
}

/* What has the same reset is about the same thing, of which the last word counts. */
static void add_write(struct resource_builder *b, enum cgroup_file file, const char *value, const char *reset)
{
	unsigned i = 0;

	if (!value || !reset)
		b->error = -ENOMEM;
	if (b->error)
		return;
	while (i < b->n_writes && (b->writes[i].file != file || !str_equal(b->writes[i].reset, reset)))
		i++;
	b->writes[i] = (struct planned_write){file, value, reset};
	b->n_writes += i == b->n_writes;
}

static void add(struct resource_builder *b, enum cgroup_file file, const char *directive, const char *value,
		const char *reset)
{
	if (!value)
		b->error = -ENOMEM;
	if (check_file(b, file, directive, ""))
		add_write(b, file, value, reset);
}

uint64_t resource_share_of(uint64_t value, uint64_t whole)
{
	uint64_t hundredths = value & ~SPEC_SHARE,
		 part = whole / 10000 * hundredths + whole % 10000 * hundredths / 10000;

	return part > 0 || hundredths == 0 ? part : 1;
}

static void add_numbers(struct resource_builder *b, const struct resource_spec *spec)
{
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		uint64_t value;
		char *text;

		memcpy(&value, (const char *)spec + numbers[i].offset, sizeof value);
		if (value == SPEC_UNSET)
			continue;
		if (value & SPEC_SHARE && value != SPEC_INFINITY)
			value = resource_share_of(value, numbers[i].tasks ? b->host->tasks_max
									  : b->host->memory_bytes);
		text = value == SPEC_INFINITY ? arena_strdup(&b->arena, "max")
					      : arena_printf(&b->arena, "%llu", (unsigned long long)value);
		add(b, numbers[i].file, numbers[i].directive, text, numbers[i].reset);
	}
}

/* An idle group takes no weight: one of the two files is the kernel's own. */
static void add_cpu_weight(struct resource_builder *b, uint64_t weight)
{
	if (weight == 0)
		add(b, FILE_CPU_IDLE, "CPUWeight", "1", "0");
	else if (weight != SPEC_UNSET)
		add(b, FILE_CPU_WEIGHT, "CPUWeight",
		    arena_printf(&b->arena, "%llu", (unsigned long long)weight), "100");
}

/* The least quota and the longest period that the kernel takes in cpu.max, else EINVAL (kernel/sched/core.c:
 * min_cfs_quota_period, max_cfs_quota_period). */
#define CPU_QUOTA_MIN_US  1000ULL
#define CPU_PERIOD_MAX_US 1000000ULL

static void add_cpu_max(struct resource_builder *b, uint64_t quota, uint64_t period)
{
	uint64_t us;

	if (quota == SPEC_UNSET)
		return;
	/* A share too small for its period gets a longer one, and at the end the least that there is. */
	if (quota > 0 && quota * period / 1000000 < CPU_QUOTA_MIN_US)
		period = (CPU_QUOTA_MIN_US * 1000000 + quota - 1) / quota;
	if (period > CPU_PERIOD_MAX_US)
		period = CPU_PERIOD_MAX_US;
	us = quota * period / 1000000;
	add(b, FILE_CPU_MAX, "CPUQuota",
	    arena_printf(&b->arena, "%llu %llu",
			 (unsigned long long)(us > CPU_QUOTA_MIN_US ? us : CPU_QUOTA_MIN_US),
			 (unsigned long long)period),
	    "max 100000");
}

/* An empty list is the one above's; a write of no byte at all would not reach the kernel. */
static void add_sets(struct resource_builder *b, const struct resource_spec *spec)
{
	if (spec->allowed_cpus)
		add(b, FILE_CPUSET_CPUS, "AllowedCPUs", arena_strdup(&b->arena, spec->allowed_cpus), "\n");
	if (spec->allowed_memory_nodes)
		add(b, FILE_CPUSET_MEMS, "AllowedMemoryNodes",
		    arena_strdup(&b->arena, spec->allowed_memory_nodes), "\n");
}

/* BFQ has weights from 1 to 1000 around the same 100: the upper part is drawn together, as systemd does. */
static unsigned bfq_weight(uint64_t weight)
{
	return (unsigned)(weight <= 100 ? weight : 100 + (weight - 100) * 900 / 9900);
}

static void add_io_weight(struct resource_builder *b, uint64_t weight)
{
	bool bfq = has_file(b, FILE_IO_BFQ_WEIGHT);

	if (weight == SPEC_UNSET)
		return;
	if (!bfq || has_file(b, FILE_IO_WEIGHT))
		add(b, FILE_IO_WEIGHT, "IOWeight",
		    arena_printf(&b->arena, "default %llu", (unsigned long long)weight), "default 100");
	if (bfq)
		add_write(b, FILE_IO_BFQ_WEIGHT, arena_printf(&b->arena, "%u", bfq_weight(weight)), "100");
}

static void add_device_weight(struct resource_builder *b, const struct io_limit_spec *limit, dev_t disk)
{
	const char *reset = arena_printf(&b->arena, "%u:%u default", major(disk), minor(disk));
	bool bfq = has_file(b, FILE_IO_BFQ_WEIGHT);

	if (!bfq || has_file(b, FILE_IO_WEIGHT))
		add_write(b, FILE_IO_WEIGHT,
			  arena_printf(&b->arena, "%u:%u %llu", major(disk), minor(disk),
				       (unsigned long long)limit->value),
			  reset);
	if (bfq)
		add_write(
			b, FILE_IO_BFQ_WEIGHT,
			arena_printf(&b->arena, "%u:%u %u", major(disk), minor(disk), bfq_weight(limit->value)),
			reset);
}

/* The limits of one disk, which stand in one line of io.max. */
struct disk_limits {
	dev_t disk;
	uint64_t values[IO_LIMIT_KINDS];
};

static void add_disk_limits(struct resource_builder *b, const struct disk_limits *limits)
{
	static const struct {
		enum io_limit_kind kind;
		const char *name;
	} parts[] = {{IO_READ_BANDWIDTH, "rbps"},
		     {IO_WRITE_BANDWIDTH, "wbps"},
		     {IO_READ_IOPS, "riops"},
		     {IO_WRITE_IOPS, "wiops"}};
	char text[160];
	int n = snprintf(text, sizeof text, "%u:%u", major(limits->disk), minor(limits->disk));

	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		uint64_t value = limits->values[parts[i].kind];

		n += snprintf(text + n, sizeof text - (size_t)n, " %s=", parts[i].name);
		n += value == SPEC_INFINITY
			     ? snprintf(text + n, sizeof text - (size_t)n, "max")
			     : snprintf(text + n, sizeof text - (size_t)n, "%llu", (unsigned long long)value);
	}
	add_write(b, FILE_IO_MAX, arena_strdup(&b->arena, text),
		  arena_printf(&b->arena, "%u:%u rbps=max wbps=max riops=max wiops=max", major(limits->disk),
			       minor(limits->disk)));
}

/* The disk of a limit, where there is one and the limit can be written. */
static bool find_disk(struct resource_builder *b, const struct io_limit_spec *limit, dev_t *ret)
{
	enum cgroup_file file = limit->kind != IO_DEVICE_WEIGHT   ? FILE_IO_MAX
				: has_file(b, FILE_IO_BFQ_WEIGHT) ? FILE_IO_BFQ_WEIGHT
								  : FILE_IO_WEIGHT;
	const char *directive = io_directives[limit->kind];
	int r;

	if (!check_file(b, file, directive, limit->path))
		return false;
	r = disk_find(limit->path, ret);
	if (r < 0)
		resources_missing(b, true, "%s=%s (%s)", directive, limit->path,
				  r == -ENODEV ? "no block device is behind it: name the device"
					       : strerror(-r));
	return r == 0;
}

static struct disk_limits *limits_of(struct disk_limits *all, unsigned *n, dev_t disk)
{
	struct disk_limits *limits = all;

	while (limits < all + *n && limits->disk != disk)
		limits++;
	if (limits == all + *n) {
		(*n)++;
		limits->disk = disk;
		for (int kind = 0; kind < IO_LIMIT_KINDS; kind++)
			limits->values[kind] = SPEC_INFINITY;
	}
	return limits;
}

static void add_io_limits(struct resource_builder *b, const struct resource_spec *spec)
{
	struct disk_limits *all = NULL;
	unsigned n = 0;
	dev_t disk;

	if (spec->n_io_limits > 0) {
		all = arena_alloc(&b->arena, spec->n_io_limits * sizeof *all);
		if (!all)
			b->error = -ENOMEM;
	}
	for (unsigned i = 0; !b->error && i < spec->n_io_limits; i++) {
		const struct io_limit_spec *limit = &spec->io_limits[i];

		if (!find_disk(b, limit, &disk))
			continue;
		if (limit->kind == IO_DEVICE_WEIGHT)
			add_device_weight(b, limit, disk);
		else
			limits_of(all, &n, disk)->values[limit->kind] = limit->value;
	}
	for (unsigned i = 0; i < n; i++)
		add_disk_limits(b, &all[i]);
}

void resources_begin(struct resource_builder *b, const struct resource_spec *spec, const struct host *host,
		     unsigned n_more)
{
	unsigned n_io_limits = spec ? spec->n_io_limits : 0;

	*b = (struct resource_builder){.host = host, .require = spec && spec->require_limits};
	arena_init(&b->arena);
	b->writes = arena_alloc(&b->arena, (CGROUP_FILES + 2 * n_io_limits) * sizeof *b->writes);
	b->missing = arena_alloc(&b->arena, (CGROUP_FILES + n_io_limits + n_more) * sizeof *b->missing);
	if (!b->writes || !b->missing)
		b->error = -ENOMEM;
	if (b->error || !spec)
		return;
	add_cpu_weight(b, spec->cpu_weight);
	add_cpu_max(b, spec->cpu_quota_us, spec->cpu_quota_period_us);
	add_sets(b, spec);
	add_numbers(b, spec);
	add_io_weight(b, spec->io_weight);
	add_io_limits(b, spec);
}

static uint32_t put_text(char **at, const struct resource_list *list, const char *text)
{
	uint32_t offset = (uint32_t)(*at - (const char *)list);

	*at = stpcpy(*at, text) + 1;
	return offset;
}

static struct resource_list *join(const struct resource_builder *b, size_t *ret_bytes)
{
	size_t bytes = sizeof(struct resource_list) + b->n_writes * sizeof(struct resource_write);
	struct resource_list *list;
	char *at;

	for (unsigned i = 0; i < b->n_writes; i++)
		bytes += strlen(b->writes[i].value) + strlen(b->writes[i].reset) + 2;
	for (unsigned i = 0; i < b->n_missing; i++)
		bytes += strlen(b->missing[i]) + 1;
	list = calloc(1, bytes);
	if (!list)
		return NULL;
	list->n_writes = (uint16_t)b->n_writes;
	list->n_missing = (uint16_t)b->n_missing;
	list->require = b->require;
	at = (char *)&list->writes[b->n_writes];
	for (unsigned i = 0; i < b->n_writes; i++) {
		list->controllers |= cgroup_file_controller(b->writes[i].file);
		list->writes[i].file = (uint8_t)b->writes[i].file;
		list->writes[i].value = put_text(&at, list, b->writes[i].value);
		list->writes[i].reset = put_text(&at, list, b->writes[i].reset);
	}
	for (unsigned i = 0; i < b->n_missing; i++) {
		uint32_t text = put_text(&at, list, b->missing[i]);

		if (i == 0)
			list->missing = text;
		if (i + 1 == b->refused)
			list->refused = text;
	}
	*ret_bytes = bytes;
	return list;
}

int resources_finish(struct resource_builder *b, struct resource_list **ret, size_t *ret_bytes)
{
	struct resource_list *list = b->error ? NULL : join(b, ret_bytes);

	arena_finish(&b->arena);
	if (!list)
		return -ENOMEM;
	*ret = list;
	return 0;
}
