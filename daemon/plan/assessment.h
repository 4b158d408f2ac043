/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "exposure.h"

/* What the functions behind exposure_items are given, and what they have to leave: one finding each. */
struct assessment {
	const struct exposure_input *input;
	const struct launch_plan *plan;
	const struct site_spec *spec;
	const struct exposure_calls *calls;
	struct arena *arena; /* for texts */
	struct exposure_finding *finding;
};

/* Leaves the finding. value may be NULL where memory is out. */
void assessment_find(struct assessment *a, unsigned badness, const char *value, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The words of a list under construction, "a b" for NULL, "a", "b"; NULL when out of memory. */
const char *assessment_join(struct assessment *a, const char *list, const char *word);

/* The one place that knows how a unit asks for it. */
static inline bool assessment_host_network(const struct assessment *a)
{
	return a->spec->network && !spec_names_network(a->spec);
}

/* assess-identity.c */
void assess_user(struct assessment *a);
void assess_group(struct assessment *a);
void assess_private_users(struct assessment *a);
void assess_label(struct assessment *a);
void assess_capabilities_host(struct assessment *a);
void assess_capabilities_files(struct assessment *a);
void assess_capabilities_network(struct assessment *a);
void assess_capabilities_other(struct assessment *a);
void assess_bounding(struct assessment *a);

/* assess-files.c */
void assess_root(struct assessment *a);
void assess_root_writable(struct assessment *a);
void assess_host_writable(struct assessment *a);
void assess_host_readable(struct assessment *a);
void assess_tmp(struct assessment *a);
void assess_proc(struct assessment *a);
void assess_proc_processes(struct assessment *a);
void assess_device_nodes(struct assessment *a);
void assess_device_program(struct assessment *a);
void assess_environment_files(struct assessment *a);
void assess_umask(struct assessment *a);

/* assess-calls.c */
void assess_calls(struct assessment *a);
void assess_hazards(struct assessment *a);
void assess_groups(struct assessment *a);
void assess_foreign(struct assessment *a);
void assess_families(struct assessment *a);
void assess_namespaces(struct assessment *a);
void assess_write_execute(struct assessment *a);
void assess_realtime(struct assessment *a);
void assess_set_id(struct assessment *a);
void assess_personality(struct assessment *a);
void assess_terminal_input(struct assessment *a);
void assess_interception(struct assessment *a);

/* assess-limits.c */
void assess_network(struct assessment *a);
void assess_memory(struct assessment *a);
void assess_tasks(struct assessment *a);
void assess_cpu(struct assessment *a);
void assess_io(struct assessment *a);
void assess_limits_missing(struct assessment *a);
void assess_core(struct assessment *a);
void assess_open_files(struct assessment *a);
void assess_oom_score(struct assessment *a);
void assess_notify(struct assessment *a);
