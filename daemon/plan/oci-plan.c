/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oci-plan.h"

#include <errno.h>
#include <string.h>

#include "environment.h"
#include "layer-store.h"
#include "oci-user.h"
#include "str.h"

static int refuse(const struct launch_plan *plan, struct diag *diag, int error, const char *message)
{
	const struct origin *origin = &plan->spec->exec_origin;

	return diag_set(diag, error, origin->file, 0, "RootOCI=%s: %s", plan->spec->root_oci, message);
}

int oci_plan_open(struct planner *planner, struct launch_plan *plan, struct diag *diag)
{
	struct plan_oci *oci = arena_alloc(&plan->arena, sizeof *oci);
	struct diag wrong = {0};
	char text[460];
	unsigned missing;
	int r;

	if (!oci)
		return refuse(plan, diag, -ENOMEM, "out of memory");
	r = oci_cache_get(&planner->oci_images, plan->spec->root_oci, &oci->image, &wrong);
	if (r < 0)
		return refuse(plan, diag, r, diag_format(&wrong, text, sizeof text));
	oci->cache = &planner->oci_images;
	oci->layers_dir = planner->host->layers_dir;
	plan->oci = oci;
	missing = planner->host->layers_dir ? layer_store_missing(planner->host->layers_dir, oci->image) : 0;
	if (missing == 0)
		return 0;
	snprintf(text, sizeof text, "%u of its %u layers are still to be unpacked", missing,
		 oci->image->n_layers);
	return refuse(plan, diag, -EINPROGRESS, text);
}

/* Root is what the unit alone can name. */
static bool wants_root(const char *user)
{
	size_t length = strcspn(user, ":");

	return (length == 4 && strncmp(user, "root", 4) == 0) || strspn(user, "0") == length;
}

/* No line of the image's makes anybody root, nor a member of the host's group root: of a user namespace's own
 * group 0, which has no power over the host's files, many images' users are. */
static int check_root(const struct launch_plan *plan, const struct oci_user *found, struct diag *diag)
{
	const struct site_spec *spec = plan->spec;
	char text[320];

	if (spec->user && wants_root(spec->user))
		return 0;
	if (found->uid == 0) {
		snprintf(text, sizeof text,
			 "User=%.128s is root in the image's /etc/passwd: write User=root if that is meant, or "
			 "name another",
			 spec->user);
		return refuse(plan, diag, -EINVAL, text);
	}
	if (found->gid != 0 || spec_has_private_users(spec) || (spec->group && wants_root(spec->group)))
		return 0;
	return refuse(plan, diag, -EINVAL,
		      "the image makes the user a member of group 0, which is the host's root without "
		      "PrivateUsers=: write Group=root if that is meant, or name another");
}

int oci_plan_identity(struct planner *planner, struct launch_plan *plan, struct environment_account *account,
		      struct diag *diag)
{
	const struct oci_image *image = plan->oci->image;
	const char *user = plan->spec->user, *store = planner->host->layers_dir, *missing;
	struct oci_user found;
	char text[320];
	int r;

	if (plan->spec->dynamic_user)
		return 1;
	if (!user && image->user && !wants_root(image->user))
		user = image->user;
	if (!user || (!image->root && !store))
		return 1;
	r = oci_user_find(image, store, user, plan->spec->group, &found, &missing);
	if (r == 0 && found.uid == 0 && !plan->spec->user)
		return 1; /* as if it had not said it */
	if (r < 0) {
		snprintf(text, sizeof text, "the user or group %.128s: %s", missing,
			 r == -ENOENT    ? "not in the image's /etc/passwd or /etc/group: name a number"
			 : r == -EUCLEAN ? "the image's /etc/passwd or /etc/group has no number for it"
					 : strerror(-r));
		return refuse(plan, diag, r == -ENOMEM ? r : -EINVAL, text);
	}
	r = check_root(plan, &found, diag);
	if (r < 0)
		return r;
	plan->uid = found.uid;
	plan->gid = found.gid;
	account->user = arena_strdup(&plan->arena, found.name);
	account->home = arena_strdup(&plan->arena, found.home);
	account->shell = arena_strdup(&plan->arena, found.shell);
	if (!account->user || !account->home || !account->shell)
		return refuse(plan, diag, -ENOMEM, "out of memory");
	return 0;
}

static size_t count(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

/* What comes first, then what comes after it. */
static const char *const *join(struct arena *arena, const char *const *first, const char *const *then)
{
	size_t n = count(first), m = count(then);
	const char **list = arena_alloc(arena, (n + m + 1) * sizeof *list);

	if (list && n > 0)
		memcpy(list, first, n * sizeof *list);
	if (list && m > 0)
		memcpy(list + n, then, m * sizeof *list);
	return list;
}

/* The absolute folders of PATH, each ending in '/'. */
static const char *const *search_path(struct launch_plan *plan)
{
	const char *path = "", **folders;
	size_t n = 0, room = 2;

	for (const char *const *env = plan->envp; *env; env++)
		if (strncmp(*env, "PATH=", 5) == 0)
			path = *env + 5;
	for (const char *at = path; *at; at++)
		room += *at == ':';
	folders = arena_alloc(&plan->arena, room * sizeof *folders);
	while (folders && *path) {
		size_t length = strcspn(path, ":");

		/* Longer ones no program has: see step_exec(). */
		if (*path == '/' && length < OCI_SEARCH_PATH_MAX) {
			folders[n] = arena_printf(&plan->arena, "%.*s/", (int)length, path);
			if (!folders[n++])
				return NULL;
		}
		path += length + (path[length] == ':');
	}
	return folders;
}

int oci_plan_command(struct launch_plan *plan, struct diag *diag)
{
	const struct site_spec *spec = plan->spec;
	struct plan_oci *oci = plan->oci;
	const struct oci_image *image = oci->image;

	/* As docker run has it: another entry point takes the image's arguments away, others take their place.
	 */
	oci->argv = join(&plan->arena, spec->exec_start ? spec->exec_start : image->entrypoint,
			 spec->parameters   ? spec->parameters
			 : spec->exec_start ? NULL
					    : image->command);
	oci->search_path = search_path(plan);
	oci->working_directory = spec->working_directory ? spec->working_directory : image->working_directory;
	if (!oci->argv || !oci->search_path)
		return refuse(plan, diag, -ENOMEM, "out of memory");
	if (!oci->argv[0] || !*oci->argv[0])
		return refuse(plan, diag, -EINVAL,
			      "the image names no program (Entrypoint, Cmd); expected an ExecStart=");
	return 0;
}
