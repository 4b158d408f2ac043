/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "assessment.h"
#include "str.h"

#define NOT_IN_FORCE "not in force"

void assess_network(struct assessment *a)
{
	if (assessment_host_network(a))
		assessment_find(a, 100, "host", "Has the host's network");
	else if (spec_names_network(a->spec))
		assessment_find(a, 50, a->spec->network, "Reaches what the CNI network %s does",
				a->spec->network);
	else
		assessment_find(a, 0, "none", "Has a network with loopback alone");
}

/* What is written to a file of the control group; "max" is none. */
static const char *written(const struct assessment *a, enum cgroup_file file)
{
	const struct resource_list *list = a->input->resources;

	for (unsigned i = 0; i < list->n_writes; i++) {
		const char *value = resource_text(list, list->writes[i].value);

		if (list->writes[i].file == file && strncmp(value, "max", 3) != 0)
			return value;
	}
	return NULL;
}

/* Why a limit whose directive begins so is not in force; NULL where it is not wanted. */
static const char *missing(const struct assessment *a, const char *directive)
{
	const struct resource_list *list = a->input->resources;
	const char *text = resource_text(list, list->missing);

	for (unsigned i = 0; i < list->n_missing; i++, text = resource_next_missing(text))
		if (strncmp(text, directive, strlen(directive)) == 0)
			return text;
	return NULL;
}

/* "(no memory controller in this host's cgroup v2)" as the end of a sentence. */
static const char *cause(const char *text)
{
	const char *bracket = strchr(text, '(');

	return bracket ? bracket : text;
}

void assess_memory(struct assessment *a)
{
	const char *most = written(a, FILE_MEMORY_MAX), *high = written(a, FILE_MEMORY_HIGH),
		   *wanted = missing(a, "MemoryMax=");
	uint64_t bytes;
	char text[32];

	if (most && str_to_u64(most, &bytes) == 0)
		assessment_find(a, 0, most, "Takes %s of memory at most",
				str_format_bytes(bytes, text, sizeof text));
	else if (wanted)
		assessment_find(a, 100, NOT_IN_FORCE, "MemoryMax= is not in force %s", cause(wanted));
	else if (high)
		assessment_find(a, 30, "high", "Is slowed down at MemoryHigh=, and not stopped");
	else
		assessment_find(a, 100, "none", "May take all memory: no MemoryMax=");
}

void assess_tasks(struct assessment *a)
{
	const char *most = written(a, FILE_PIDS_MAX), *wanted = missing(a, "TasksMax=");

	if (most)
		assessment_find(a, 0, most, "Has %s processes and threads at most", most);
	else if (wanted)
		assessment_find(a, 100, NOT_IN_FORCE, "TasksMax= is not in force %s", cause(wanted));
	else
		assessment_find(a, 100, "none", "May have any number of processes: no TasksMax=");
}

void assess_cpu(struct assessment *a)
{
	const char *quota = written(a, FILE_CPU_MAX), *cpus = written(a, FILE_CPUSET_CPUS),
		   *wanted = missing(a, "CPU");

	if (!wanted)
		wanted = missing(a, "AllowedCPUs=");
	if (quota)
		assessment_find(a, 0, quota, "Has a part of the CPUs at most (cpu.max %s)", quota);
	else if (cpus)
		assessment_find(a, 20, cpus, "Runs on the CPUs %s alone", cpus);
	else if (wanted)
		assessment_find(a, 100, NOT_IN_FORCE, "%.*s= is not in force %s", (int)strcspn(wanted, "="),
				wanted, cause(wanted));
	else
		assessment_find(a, 50, "none", "Takes all CPUs that nobody else wants");
}

void assess_io(struct assessment *a)
{
	const char *most = written(a, FILE_IO_MAX), *wanted = missing(a, "IO");
	bool weight = written(a, FILE_IO_WEIGHT) || written(a, FILE_IO_BFQ_WEIGHT);

	if (most)
		assessment_find(a, 0, "max", "Has limits for the use of disks");
	else if (wanted)
		assessment_find(a, 100, NOT_IN_FORCE, "%.*s= is not in force %s", (int)strcspn(wanted, "="),
				wanted, cause(wanted));
	else if (weight)
		assessment_find(a, 50, "weight", "Shares disks by weight, without a limit");
	else
		assessment_find(a, 100, "none", "Uses disks as it likes: no limit, no weight");
}

void assess_limits_missing(struct assessment *a)
{
	const struct resource_list *list = a->input->resources;
	unsigned n = list->n_missing + (a->input->unenforced != NULL);
	const char *value = arena_printf(a->arena, "%u", n);
	const char *first = list->n_missing > 0 ? resource_text(list, list->missing) : a->input->unenforced;

	if (n == 0)
		assessment_find(a, 0, value, "Has all limits in force that it asks for");
	else if (n == 1)
		assessment_find(a, 100, value, "Lacks %s", first);
	else
		assessment_find(a, 100, value, "Lacks %s and %u more", first, n - 1);
}

static const struct rlimit *find_limit(const struct assessment *a, int resource)
{
	for (unsigned i = 0; i < a->plan->n_limits; i++)
		if (a->plan->limits[i].resource == resource)
			return &a->plan->limits[i].limit;
	return NULL;
}

/* "1024:524288", "infinity". */
static const char *limit_text(struct assessment *a, const struct rlimit *limit)
{
	const char *soft = limit->rlim_cur == RLIM_INFINITY
				   ? "infinity"
				   : arena_printf(a->arena, "%llu", (unsigned long long)limit->rlim_cur);
	const char *hard = limit->rlim_max == RLIM_INFINITY
				   ? "infinity"
				   : arena_printf(a->arena, "%llu", (unsigned long long)limit->rlim_max);

	return soft && hard ? arena_printf(a->arena, "%s:%s", soft, hard) : NULL;
}

void assess_core(struct assessment *a)
{
	const struct rlimit *limit = find_limit(a, RLIMIT_CORE);

	if (limit && limit->rlim_cur == 0 && limit->rlim_max == 0)
		assessment_find(a, 0, "0:0", "Dumps no core");
	else
		assessment_find(a, 100, limit ? limit_text(a, limit) : "inherited", "Dumps core");
}

void assess_open_files(struct assessment *a)
{
	const struct rlimit *limit = find_limit(a, RLIMIT_NOFILE);
	const char *value = limit ? limit_text(a, limit) : "inherited";

	assessment_find(a, 0, value, "Has a limit of open files (%s)", value ? value : "");
}

void assess_oom_score(struct assessment *a)
{
	int score = a->spec->oom_score_adjust;
	const char *value = arena_printf(a->arena, "%d", score);

	if (score < 0)
		assessment_find(a, 100, value, "Has others killed before it (%d)", score);
	else
		assessment_find(a, 0, value, "Is not spared where memory is out");
}

void assess_notify(struct assessment *a)
{
	if (a->spec->notify_access == NOTIFY_NONE)
		assessment_find(a, 0, "none", "Sends nothing to torpord");
	else
		assessment_find(a, 100, a->spec->notify_access == NOTIFY_ALL ? "all" : "main",
				"Sends messages to torpord");
}
