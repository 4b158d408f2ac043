/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* NAME.exposure: what torporctl security says of each template that ships, and of the sites beside the golden
 * files. Host and accounts are made up here, so that the answers are the same on every machine.
 *
 *     golden-exposure [--update] ROOT DIR      ROOT/templates/NAME.template, DIR/NAME.site */

#include <dirent.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "exposure.h"
#include "golden.h"
#include "str.h"

static const struct host host = {
	.controllers = CONTROLLER_CPU | CONTROLLER_CPUSET | CONTROLLER_IO | CONTROLLER_MEMORY | CONTROLLER_PIDS,
	.cgroup_files = CGROUP_FILES_ALL,
	.device_programs = true,
	.memory_bytes = UINT64_C(16) << 30,
	.tasks_max = 32768,
	.run_dir = "/run/torpor",
	.open_files = {1024, 524288},
	.links = {{"bin", "usr/bin"}, {"sbin", "usr/sbin"}, {"lib", "usr/lib"}, {"lib64", "usr/lib64"}},
	.n_links = 4,
};

struct passwd *__wrap_getpwnam(const char *name);
struct passwd *__wrap_getpwuid(uid_t uid);
struct group *__wrap_getgrnam(const char *name);

/* A template may name any user that a package makes. */
struct passwd *__wrap_getpwnam(const char *name)
{
	static struct passwd user = {.pw_dir = (char *)"/", .pw_shell = (char *)"/bin/false"};

	user.pw_name = (char *)(uintptr_t)name;
	user.pw_uid = user.pw_gid = str_equal(name, "root") ? 0 : str_equal(name, "nobody") ? 65534 : 100;
	return &user;
}

struct passwd *__wrap_getpwuid(uid_t uid)
{
	(void)uid;
	return NULL;
}

struct group *__wrap_getgrnam(const char *name)
{
	static struct group group;

	group.gr_gid = str_equal(name, "root") ? 0 : 100;
	return &group;
}

static void print_exposure(const struct exposure *exposure, FILE *out)
{
	fprintf(out, "%u.%u %s%s%s\n", exposure->tenths / 10, exposure->tenths % 10,
		exposure_word(exposure->tenths), exposure->decided_by ? " by " : "",
		exposure->decided_by ? exposure->decided_by->id : "");
	for (size_t i = 0; i < exposure_n_items; i++) {
		const struct exposure_finding *finding = &exposure->findings[i];

		fprintf(out, "%-22s %3u%%  %-44s  [%s]\n", finding->item->id, finding->badness, finding->text,
			finding->value);
	}
}

static char *describe(const struct lookup *lookup, const char *path)
{
	struct launch_plan *plan = NULL;
	struct planner planner;
	struct site_spec *spec;
	struct exposure_calls calls;
	struct exposure exposure;
	struct exposure_input input = {.calls = &calls};
	struct diag diag;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int r;

	if (!out)
		abort();
	planner_init(&planner, &host);
	r = str_has_suffix(path, ".site") ? spec_load_file(lookup, path, &spec, &diag)
					  : spec_load_template(lookup, path, &spec, &diag);
	if (r == 0)
		r = plan_create(&planner, spec, &plan, &diag);
	if (r < 0) {
		fprintf(out, "refused: %s\n", diag.message);
	} else {
		exposure_calls_decide(plan->spec, &calls);
		input.plan = plan;
		input.resources = plan->resources->data;
		if (exposure_assess(&input, &exposure) < 0)
			abort();
		print_exposure(&exposure, out);
		exposure_finish(&exposure);
	}
	plan_unref(plan);
	planner_finish(&planner);
	fclose(out);
	return text;
}

/* Holds all units of a folder against DIR/NAME.exposure. Returns how many differ. */
static int check_folder(const struct lookup *lookup, const char *folder, const char *suffix, const char *dir,
			bool update, int *ret_n)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, NULL, alphasort), wrong = 0;

	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;
		autofree char *path = NULL, *golden = NULL, *actual = NULL;

		if (str_has_suffix(name, suffix)) {
			if (asprintf(&path, "%s/%s", folder, name) < 0 ||
			    asprintf(&golden, "%s/%.*s.exposure", dir, (int)(strlen(name) - strlen(suffix)),
				     name) < 0)
				abort();
			actual = describe(lookup, path);
			wrong += !golden_check(name, golden, actual, update);
			(*ret_n)++;
		}
		free(entries[i]);
	}
	if (count > 0)
		free(entries);
	return wrong;
}

/* A golden file of a template that is gone would be forgotten. */
static int count_files(const char *dir)
{
	struct dirent **entries;
	int count = scandir(dir, &entries, NULL, NULL), n = 0;

	for (int i = 0; i < count; i++) {
		n += str_has_suffix(entries[i]->d_name, ".exposure");
		free(entries[i]);
	}
	if (count > 0)
		free(entries);
	return n;
}

int main(int argc, char **argv)
{
	bool update = argc == 4 && str_equal(argv[1], "--update");
	const char *root, *dir;
	struct lookup lookup = {{"/nonexistent", "/nonexistent", NULL}};
	autofree char *templates = NULL;
	int wrong, n = 0, files;

	if (argc != 3 + update) {
		fprintf(stderr, "usage: %s [--update] ROOT DIR\n", argv[0]);
		return 2;
	}
	root = lookup.dirs[2] = argv[argc - 2];
	dir = argv[argc - 1];
	if (asprintf(&templates, "%s/templates", root) < 0)
		abort();
	wrong = check_folder(&lookup, templates, ".template", dir, update, &n);
	wrong += check_folder(&lookup, dir, ".site", dir, update, &n);
	files = count_files(dir);
	if (files != n)
		printf("%d units, %d golden files in %s: one is of a unit that is gone\n", n, files, dir);
	printf("%d units, %d wrong\n", n, wrong);
	return n > 0 && wrong == 0 && files == n ? 0 : 1;
}
