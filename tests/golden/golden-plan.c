/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* NAME.plan: the dump of the launch plan that a site compiles to, or why it does not; none for a site whose
 * unit is refused. Host and accounts are made up here, so that the plans are the same on every machine. */

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include "golden.h"
#include "plan.h"
#include "str.h"

static const struct host host = {
	.controllers = CONTROLLER_CPU | CONTROLLER_IO | CONTROLLER_MEMORY | CONTROLLER_PIDS,
	.cgroup_files = CGROUP_FILES_ALL,
	.device_programs = true,
	.memory_bytes = UINT64_C(16) << 30,
	.tasks_max = 32768,
	.run_dir = "/run/torpor",
	.open_files = {1024, 524288},
	.oom_score_adj = 0,
	.links = {{"bin", "usr/bin"},
		  {"sbin", "usr/sbin"},
		  {"lib", "usr/lib"},
		  {"lib64", "usr/lib64"},
		  {"lib32", ""}},
	.n_links = 5,
};

static struct passwd users[] = {
	{.pw_name = (char *)"nobody",
	 .pw_uid = 65534,
	 .pw_gid = 65534,
	 .pw_dir = (char *)"/nonexistent",
	 .pw_shell = (char *)"/usr/sbin/nologin"},
	{.pw_name = (char *)"www-data",
	 .pw_uid = 33,
	 .pw_gid = 33,
	 .pw_dir = (char *)"/var/www",
	 .pw_shell = (char *)"/usr/sbin/nologin"},
};

#define N_USERS (sizeof users / sizeof *users)

struct passwd *__wrap_getpwnam(const char *name);
struct passwd *__wrap_getpwuid(uid_t uid);
struct group *__wrap_getgrnam(const char *name);

struct passwd *__wrap_getpwnam(const char *name)
{
	for (size_t i = 0; i < N_USERS; i++)
		if (str_equal(users[i].pw_name, name))
			return &users[i];
	return NULL;
}

struct passwd *__wrap_getpwuid(uid_t uid)
{
	for (size_t i = 0; i < N_USERS; i++)
		if (users[i].pw_uid == uid)
			return &users[i];
	return NULL;
}

/* Each user has a group of its name. */
struct group *__wrap_getgrnam(const char *name)
{
	static struct group group;
	const struct passwd *user = __wrap_getpwnam(name);

	if (!user)
		return NULL;
	group = (struct group){.gr_name = user->pw_name, .gr_gid = user->pw_gid};
	return &group;
}

static char *describe(const char *path)
{
	struct launch_plan *plan = NULL;
	struct planner planner;
	struct site_spec *spec;
	struct diag diag;
	char *text = NULL;
	size_t size;
	FILE *out;

	if (spec_load_file(&golden_lookup, path, &spec, &diag) < 0)
		return NULL;
	out = open_memstream(&text, &size);
	if (!out)
		abort();
	planner_init(&planner, &host);
	if (plan_create(&planner, spec, &plan, &diag) < 0) {
		char message[sizeof diag + 64];

		fprintf(out, "refused: %s\n", diag_format(&diag, message, sizeof message));
		spec_free(spec);
	} else {
		plan_dump(plan, out);
	}
	plan_unref(plan);
	planner_finish(&planner);
	fclose(out);
	return text;
}

int main(int argc, char **argv)
{
	return golden_run(argc, argv, ".plan", describe);
}
