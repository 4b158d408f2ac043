/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "cleanup.h"
#include "devices.h"
#include "environment.h"
#include "layer-store.h"
#include "oci-plan.h"

#define DEFAULT_USER "nobody" /* where the unit names none: a site is root of nothing */
#define DYNAMIC_USER "61184"  /* PLAN_DYNAMIC_ID */

void planner_init(struct planner *planner, const struct host *host)
{
	*planner = (struct planner){.host = host};
}

void planner_on_image_unused(struct planner *planner, void (*unused)(void *context, const char *path),
			     void *context)
{
	planner->image_unused = unused;
	planner->image_context = context;
}

void planner_forget_accounts(struct planner *planner)
{
	account_free_list(&planner->accounts);
}

void planner_finish(struct planner *planner)
{
	planner_forget_accounts(planner);
	for (size_t i = 0; i < sizeof planner->shared_mounts / sizeof *planner->shared_mounts; i++) {
		blob_unref(planner->shared_mounts[i]);
		planner->shared_mounts[i] = NULL;
	}
}

/* By the host's users. */
static int plan_host_identity(struct planner *planner, struct launch_plan *plan,
			      struct environment_account *ret_account, struct diag *diag)
{
	const struct account *account = NULL;
	const struct site_spec *spec = plan->spec;
	const char *user = spec->user ? spec->user : spec->dynamic_user ? DYNAMIC_USER : DEFAULT_USER;
	const char *file = spec->exec_origin.file;
	int r = account_find(&planner->accounts, user, &account);

	if (r < 0)
		return account_refuse(diag, r, file, "User", user);
	*ret_account = account->data;
	plan->uid = account->uid;
	plan->gid = account->gid;
	r = spec->group ? account_find_group(spec->group, &plan->gid) : 0;
	if (r < 0)
		return account_refuse(diag, r, file, "Group", spec->group);
	return 0;
}

/* Files on disk are the host's too, and owned by the same number there: whoever calls a set-user-ID program
 * that a site has made is that user of the host, which an image may have named, or a user namespace have held
 * within bounds. And a file must not outlive a user whose id is given to somebody else later. */
static bool must_not_set_id(const struct site_spec *spec)
{
	return spec->dynamic_user || spec_has_private_users(spec);
}

static int plan_identity(struct planner *planner, struct launch_plan *plan,
			 struct environment_account *ret_account, struct diag *diag)
{
	const struct site_spec *spec = plan->spec;
	int r = plan->oci ? oci_plan_identity(planner, plan, ret_account, diag) : 1;

	if (r > 0)
		r = plan_host_identity(planner, plan, ret_account, diag);
	if (r == 0 && spec_has_private_users(spec) &&
	    (plan->uid >= PLAN_PRIVATE_IDS || plan->gid >= PLAN_PRIVATE_IDS))
		return diag_set(diag, -EINVAL, spec->exec_origin.file, 0,
				"User= or Group= is %u, and a site with PrivateUsers= has users 0 to %u alone",
				plan->uid >= PLAN_PRIVATE_IDS ? plan->uid : plan->gid, PLAN_PRIVATE_IDS - 1);
	plan->bounding = spec->capabilities;
	plan->ambient = spec->ambient_capabilities;
	if (r == 0 && must_not_set_id(spec))
		plan->spec->restrict_suid_sgid = true;
	return r;
}

/* What torpord was started with, or has raised for its listeners, is not for the sites: it stands for what a
 * unit does not name. Cores of tenants are for nobody, and what takes them up may be fooled by them. */
static void add_default_limit(struct launch_plan *plan, struct plan_limit *limits, int resource,
			      struct rlimit limit)
{
	for (unsigned i = 0; i < plan->n_limits; i++)
		if (limits[i].resource == resource)
			return;
	limits[plan->n_limits++] = (struct plan_limit){resource, limit};
}

static int plan_limits(const struct planner *planner, struct launch_plan *plan)
{
	const struct site_spec *spec = plan->spec;
	struct plan_limit *limits = arena_alloc(&plan->arena, (spec->n_limits + 2) * sizeof *limits);

	if (!limits)
		return -ENOMEM;
	for (unsigned i = 0; i < spec->n_limits; i++) {
		const struct limit_spec *from = &spec->limits[i];

		limits[i].resource = from->resource;
		limits[i].limit.rlim_cur = from->soft == SPEC_INFINITY ? RLIM_INFINITY : from->soft;
		limits[i].limit.rlim_max = from->hard == SPEC_INFINITY ? RLIM_INFINITY : from->hard;
	}
	plan->n_limits = spec->n_limits;
	add_default_limit(plan, limits, RLIMIT_NOFILE, planner->host->open_files);
	add_default_limit(plan, limits, RLIMIT_CORE, (struct rlimit){0, 0});
	plan->limits = limits;
	plan->write_oom_score_adj = spec->oom_score_adjust != planner->host->oom_score_adj;
	return 0;
}

static int plan_cgroup(struct launch_plan *plan)
{
	const struct site_spec *spec = plan->spec;
	struct arena *arena = &plan->arena;

	/* The suffixes keep a site called "cgroup.procs" apart from the kernel's own files. */
	if (!spec->slice) {
		plan->cgroup = arena_printf(arena, "%s.site", spec->name);
	} else {
		const char *path = slice_path(arena, spec->slice);

		plan->cgroup = path ? arena_printf(arena, "%s/%s.site", path, spec->name) : NULL;
	}
	return plan->cgroup ? 0 : -ENOMEM;
}

/* The blob that holds this content, which is its own key; the content is taken over. */
static struct blob *intern(struct blob_pool *pool, void *data, size_t bytes)
{
	struct blob *blob = blob_find(pool, data, bytes);

	if (!blob)
		return blob_add(pool, NULL, 0, data, bytes);
	free(data);
	return blob;
}

struct blob *plan_slice(struct planner *planner, const struct slice_spec *spec)
{
	struct resource_builder builder;
	struct resource_list *list;
	size_t bytes;

	resources_begin(&builder, spec ? spec->resources : NULL, planner->host, 0);
	return resources_finish(&builder, &list, &bytes) == 0 ? intern(&planner->resources, list, bytes) : NULL;
}

static int plan_resources(struct planner *planner, struct launch_plan *plan)
{
	struct resource_list *list = NULL;
	struct bpf_insn *program = NULL;
	struct resource_builder builder;
	size_t bytes, program_bytes;
	int r;

	/* One more than the devices: no program at all. */
	resources_begin(&builder, plan->spec->resources, planner->host, plan->spec->n_devices + 1);
	r = devices_compile(plan->spec, &builder, &program, &program_bytes);
	if (r == 0 && program) {
		plan->devices = intern(&planner->devices, program, program_bytes);
		r = plan->devices ? 0 : -ENOMEM;
	}
	if (r < 0)
		builder.error = r;
	r = resources_finish(&builder, &list, &bytes);
	if (r == 0) {
		plan->resources = intern(&planner->resources, list, bytes);
		r = plan->resources ? 0 : -ENOMEM;
	}
	return r;
}

static int plan_mounts(struct planner *planner, struct launch_plan *plan)
{
	bool own_root = spec_has_root(plan->spec);
	struct blob **shared = &planner->shared_mounts[own_root];
	struct mount_list *list = NULL;
	size_t bytes = 0;
	int r;

	if (!*shared) {
		r = mounts_compile_shared(planner->host, own_root, &list, &bytes);
		if (r < 0)
			return r;
		*shared = intern(&planner->mounts, list, bytes);
		if (!*shared)
			return -ENOMEM;
	}
	plan->shared_mounts = blob_ref(*shared);
	r = mounts_compile_system(plan->spec, planner->host, &list, &bytes);
	if (r < 0)
		return r;
	plan->system_mounts = intern(&planner->mounts, list, bytes);
	if (!plan->system_mounts)
		return -ENOMEM;
	r = mounts_compile_unit(plan->spec, planner->host, plan->uid, plan->gid, &list, &bytes);
	if (r < 0)
		return r;
	plan->unit_mounts = intern(&planner->mounts, list, bytes);
	return plan->unit_mounts ? 0 : -ENOMEM;
}

static int plan_image(struct planner *planner, struct launch_plan *plan)
{
	const char *path = plan->spec->root_image;
	char *copy = path ? strdup(path) : NULL;

	if (copy)
		plan->image = intern(&planner->images, copy, strlen(copy) + 1);
	return path && !plan->image ? -ENOMEM : 0;
}

static void give_up_image(struct blob *image)
{
	struct planner *planner;

	if (image && image->refs == 1) {
		planner = (void *)((char *)image->pool - offsetof(struct planner, images));
		if (planner->image_unused)
			planner->image_unused(planner->image_context, image->data);
	}
	blob_unref(image);
}

int plan_create(struct planner *planner, struct site_spec *spec, struct launch_plan **ret, struct diag *diag)
{
	struct launch_plan *plan = calloc(1, sizeof *plan);
	struct environment_account account = {"", "/", ""};
	int r;

	if (!plan)
		return diag_set(diag, -ENOMEM, spec->exec_origin.file, 0, "out of memory");
	arena_init(&plan->arena);
	plan->refs = 1;
	plan->spec = spec;
	r = spec->root_oci ? oci_plan_open(planner, plan, diag) : 0;
	if (r == 0)
		r = plan_identity(planner, plan, &account, diag);
	if (r == 0) {
		r = plan_limits(planner, plan);
		if (r == 0)
			r = plan_cgroup(plan);
		if (r == 0)
			r = plan_resources(planner, plan);
		if (r == 0)
			r = environment_compile(plan, &account);
		if (r == 0)
			r = plan_mounts(planner, plan);
		if (r == 0)
			r = plan_image(planner, plan);
		if (r == 0)
			r = syscalls_compile(&planner->syscalls, spec, &plan->syscalls);
		if (r == 0)
			plan->intercepts = syscalls_notify(plan->syscalls);
		if (r < 0)
			diag_set(diag, r, spec->exec_origin.file, 0, "cannot be compiled to a launch plan: %s",
				 strerror(-r));
		if (r == 0 && plan->oci)
			r = oci_plan_command(plan, diag);
	}
	if (r < 0) {
		plan->spec = NULL; /* still the caller's */
		plan_unref(plan);
		return r;
	}
	*ret = plan;
	return 0;
}

bool plan_image_current(struct planner *planner, const struct launch_plan *plan)
{
	struct oci_image *image;
	bool same;

	if (!plan->oci)
		return true;
	if (oci_cache_get(&planner->oci_images, plan->spec->root_oci, &image, NULL) < 0)
		return false;
	same = image == plan->oci->image &&
	       (!planner->host->layers_dir || layer_store_missing(planner->host->layers_dir, image) == 0);
	oci_image_unref(&planner->oci_images, image);
	return same;
}

struct launch_plan *plan_ref(struct launch_plan *plan)
{
	plan->refs++;
	return plan;
}

void plan_unref(struct launch_plan *plan)
{
	if (!plan || --plan->refs > 0)
		return;
	blob_unref(plan->resources);
	blob_unref(plan->devices);
	blob_unref(plan->shared_mounts);
	blob_unref(plan->system_mounts);
	blob_unref(plan->unit_mounts);
	blob_unref(plan->syscalls);
	give_up_image(plan->image);
	if (plan->oci)
		oci_image_unref(plan->oci->cache, plan->oci->image);
	spec_free(plan->spec);
	arena_finish(&plan->arena);
	free(plan);
}
