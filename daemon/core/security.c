/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "security.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "daemon.h"
#include "report.h"
#include "str.h"

static json_t *keys_json(const char *keys)
{
	json_t *array = json_array();

	while (array && keys && *keys) {
		size_t length = strcspn(keys, " =");

		json_array_append_new(array, json_stringn(keys, length));
		keys += length;
		keys += strspn(keys, " =");
	}
	return array;
}

static json_t *finding_json(const struct exposure_finding *finding)
{
	const struct exposure_item *item = finding->item;

	return json_pack("{s:s, s:o*, s:o*, s:o*, s:i, s:i, s:i, s:s}", "id", item->id, "keys",
			 keys_json(item->keys), "value", report_string(finding->value), "description",
			 report_string(finding->text), "weight", (int)item->weight, "badness",
			 (int)finding->badness, "exposure", (int)finding->tenths, "reason", item->reason);
}

static json_t *exposure_json(const char *name, const struct exposure *exposure, bool brief)
{
	json_t *object = json_pack("{s:o*, s:i, s:s}", "name", report_string(name), "exposure",
				   (int)exposure->tenths, "word", exposure_word(exposure->tenths));
	json_t *findings = brief ? NULL : json_array();

	if (!object)
		return NULL;
	if (exposure->decided_by)
		json_object_set_new(object, "decided_by", json_string(exposure->decided_by->id));
	for (size_t i = 0; findings && i < exposure_n_items; i++)
		json_array_append_new(findings, finding_json(&exposure->findings[i]));
	if (findings)
		json_object_set_new(object, "findings", findings);
	return object;
}

void security_cache_finish(struct security_cache *cache)
{
	blob_unref(cache->blob);
	cache->blob = NULL;
}

static const struct exposure_calls *find_calls(struct security_cache *cache, const struct launch_plan *plan)
{
	if (cache->blob != plan->syscalls) {
		security_cache_finish(cache);
		exposure_calls_decide(plan->spec, &cache->calls);
		cache->blob = blob_ref(plan->syscalls);
	}
	return &cache->calls;
}

static json_t *assess(struct security_cache *cache, const char *name, struct exposure_input *input, bool brief)
{
	struct exposure exposure;
	json_t *object;

	input->calls = find_calls(cache, input->plan);
	if (exposure_assess(input, &exposure) < 0)
		return NULL;
	object = exposure_json(name, &exposure, brief);
	exposure_finish(&exposure);
	return object;
}

json_t *security_report(const struct site *site, bool brief)
{
	const struct run *run = site->run && container_exists(&site->run->container) ? site->run : NULL;
	const struct blob *resources = run ? run->enforcement.resources : site->plan->resources;
	struct exposure_input input = {
		.plan = run ? run->plan : site->plan,
		.resources = resources->data,
		.unenforced = run ? run->enforcement.error : NULL,
	};
	json_t *object = assess(&site->daemon->security, site->name, &input, brief);

	if (object) {
		json_object_set_new(object, "running", json_boolean(run != NULL));
		json_object_set_new(object, "restart_needed", json_boolean(site->restart_needed));
	}
	return object;
}

/* Files, without a daemon. */

struct files {
	const struct lookup *lookup;
	struct planner planner;
	struct security_cache cache;
	json_t *array;
	bool brief, failed;
};

/* A name without a suffix is a template's. */
static int load(const struct files *files, const char *name, struct site_spec **ret, struct diag *diag)
{
	autofree char *found = NULL;
	int r;

	if (str_has_suffix(name, unit_kind_suffix(UNIT_SITE)))
		return spec_load_file(files->lookup, name, ret, diag);
	if (str_has_suffix(name, unit_kind_suffix(UNIT_TEMPLATE)))
		return spec_load_template(files->lookup, name, ret, diag);
	r = strchr(name, '/') ? -EINVAL : lookup_find(files->lookup, UNIT_TEMPLATE, name, &found);
	if (r == -ENOENT)
		return diag_set(diag, r, name, 0, "there is no such template in %s, %s or %s",
				files->lookup->dirs[0], files->lookup->dirs[1], files->lookup->dirs[2]);
	if (r < 0)
		return diag_set(diag, r, name, 0,
				"expected a file called NAME.site or NAME.template, or the name of a template");
	return spec_load_template(files->lookup, found, ret, diag);
}

static void add_file(struct files *files, const char *name)
{
	struct launch_plan *plan = NULL;
	struct site_spec *spec = NULL;
	struct diag diag = {0};
	json_t *object = NULL;
	char text[1100];
	int r = load(files, name, &spec, &diag);

	if (r == 0) {
		r = plan_create(&files->planner, spec, &plan, &diag);
		if (r < 0)
			spec_free(spec);
	}
	if (r == 0) {
		struct exposure_input input = {.plan = plan, .resources = plan->resources->data};

		object = assess(&files->cache, name, &input, files->brief);
		if (!object)
			r = diag_set(&diag, -ENOMEM, name, 0, "out of memory");
	}
	if (r < 0) {
		files->failed = true;
		fprintf(stderr, "%s\n", diag_format(&diag, text, sizeof text));
	} else {
		json_object_set_new(object, "running", json_false());
		json_object_set_new(object, "restart_needed", json_false());
		json_array_append_new(files->array, object);
	}
	plan_unref(plan);
}

int security_files(const struct lookup *lookup, char **names, bool brief)
{
	struct host host = {
		.controllers = CONTROLLER_PIDS * 2 - 1,
		.cgroup_files = CGROUP_FILES_ALL,
		.device_programs = true,
		.run_dir = lookup->dirs[1],
	};
	struct files files = {.lookup = lookup, .array = json_array(), .brief = brief};

	if (!files.array || host_probe(&host) < 0) {
		fputs("torpord: the host cannot be read\n", stderr);
		json_decref(files.array);
		return EXIT_FAILURE;
	}
	planner_init(&files.planner, &host);
	for (; *names; names++)
		add_file(&files, *names);
	json_dumpf(files.array, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(files.array);
	security_cache_finish(&files.cache);
	planner_finish(&files.planner);
	return files.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
