/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cgroup.h"
#include "cleanup.h"
#include "control.h"
#include "daemon.h"
#include "enforce.h"
#include "log.h"
#include "str.h"

#define FILE_NAME_BYTES (NAME_BYTES_MAX + 8) /* "NAME.slice" */

struct group *group_find(const struct daemon *daemon, const char *name)
{
	struct group *group;

	HASH_FIND_STR(daemon->groups, name, group);
	return group;
}

static void group_free(struct group *group)
{
	if (!group)
		return;
	blob_unref(group->resources);
	slice_free(group->spec);
	free(group->name);
	free(group);
}

/* One that nobody needs any more goes, and so may the one around it. */
static void collect(struct group *group)
{
	while (group && !group->spec && group->n_users == 0 && group->n_slices == 0) {
		struct group *parent = group->parent;

		HASH_DEL(group->daemon->groups, group);
		group_free(group);
		if (parent)
			parent->n_slices--;
		group = parent;
	}
}

static struct group *find_or_create(struct daemon *daemon, const char *name)
{
	struct group *group = group_find(daemon, name), *parent = NULL;
	char outer[NAME_BYTES_MAX + 1];

	if (group)
		return group;
	if (slice_parent(name, outer, sizeof outer)) {
		parent = find_or_create(daemon, outer);
		if (!parent)
			return NULL;
	}
	group = calloc(1, sizeof *group);
	if (group) {
		*group = (struct group){.daemon = daemon, .parent = parent, .name = strdup(name), .fd = -EBADF};
		group->resources = plan_slice(&daemon->planner, NULL);
	}
	if (group && group->name && group->resources)
		HASH_ADD_KEYPTR(hh, daemon->groups, group->name, strlen(group->name), group);
	if (!group || !group->hh.tbl) {
		group_free(group);
		collect(parent);
		return NULL;
	}
	if (parent)
		parent->n_slices++;
	return group;
}

int group_enable(struct daemon *daemon, struct group *group, unsigned controllers)
{
	unsigned more;
	int r;

	if (!group)
		return delegation_enable(&daemon->delegation, controllers);
	more = controllers & ~group->controllers;
	if (more == 0)
		return 0;
	r = group_enable(daemon, group->parent, more);
	if (r == 0)
		r = controllers_enable(group->fd, more, true);
	if (r == 0)
		group->controllers |= more;
	return r;
}

static void on_enforced(void *userdata)
{
	const struct group *group = userdata;

	control_enforced(group->daemon, &group->enforcement);
	if (group->enforcement.error)
		log_warning("slice %s: not in force: %s", group->name, group->enforcement.error);
	else
		log_debug("slice %s: its limits are in force", group->name);
}

/* Puts what the file says into force in the control group, where there is one. */
static void enforce(struct group *group)
{
	const struct resource_list *list = group->resources->data;
	int r;

	if (group->fd < 0)
		return;
	r = group_enable(group->daemon, group->parent, list->controllers);
	if (r < 0)
		log_error("slice %s: the controllers of its limits cannot be enabled: %s", group->name,
			  strerror(-r));
	enforcement_change(&group->enforcement, &group->daemon->loop, group->fd, group->resources, NULL);
}

static int parent_fd(const struct group *group)
{
	return group->parent ? group->parent->fd : group->daemon->delegation.fd;
}

static const char *file_name(const struct group *group, char buf[static FILE_NAME_BYTES])
{
	snprintf(buf, FILE_NAME_BYTES, "%s.slice", group->name);
	return buf;
}

static int refuse(struct diag *diag, const struct group *group, int error, const char *what)
{
	return diag_set(diag, error, NULL, 0, "slice %s: %s: %s", group->name, what, strerror(-error));
}

static int refuse_limits(struct diag *diag, const struct group *group, const char *what)
{
	return diag_set(diag, -EOPNOTSUPP, NULL, 0,
			"slice %s: RequireLimits=yes, and not in force on this host: %s", group->name, what);
}

/* The control group itself: nobody is in it yet, so that no write waits for a reclaim. */
static int make_cgroup(struct group *group, struct diag *diag)
{
	const struct resource_list *list = group->resources->data;
	const char *what = "its control group cannot be made";
	char name[FILE_NAME_BYTES], text[ENFORCE_TEXT_BYTES];
	int r;

	if (list->refused)
		return refuse_limits(diag, group, resource_text(list, list->refused));
	r = group_enable(group->daemon, group->parent,
			 list->controllers | (CONTROLLERS_ALWAYS & group->daemon->delegation.controllers));
	if (r < 0)
		return refuse(diag, group, r, "the controllers of its limits cannot be enabled");
	if (mkdirat(parent_fd(group), file_name(group, name), 0755) < 0 && errno != EEXIST)
		return refuse(diag, group, -errno, what);
	group->fd = openat(parent_fd(group), name, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (group->fd < 0)
		return refuse(diag, group, -errno, what);
	r = enforce_resources(group->fd, NULL, list, false, text);
	if (r < 0 && list->require)
		return refuse_limits(diag, group, text);
	enforcement_init(&group->enforcement, group->resources, NULL, on_enforced, group);
	enforcement_set_error(&group->enforcement, text);
	if (r < 0)
		on_enforced(group);
	return 0;
}

static void remove_cgroup(struct group *group)
{
	char name[FILE_NAME_BYTES];
	int r;

	if (group->fd < 0)
		return;
	enforcement_finish(&group->enforcement);
	fd_close(group->fd);
	group->fd = -EBADF;
	group->controllers = 0;
	r = cgroup_remove(parent_fd(group), file_name(group, name));
	if (r < 0)
		log_debug("cgroup %s stays: %s", name, strerror(-r));
}

static int enter(struct group *group, struct diag *diag)
{
	int r = 0;

	if (group->n_users == 0) {
		r = group->parent ? enter(group->parent, diag) : 0;
		if (r < 0)
			return r;
		r = make_cgroup(group, diag);
	}
	group->n_users++;
	if (r < 0)
		group_leave(group);
	return r;
}

int group_enter(struct daemon *daemon, const char *name, unsigned controllers, struct group **ret,
		struct diag *diag)
{
	struct group *group = find_or_create(daemon, name);
	int r;

	if (!group)
		return diag_set(diag, -ENOMEM, NULL, 0, "slice %s: out of memory", name);
	r = enter(group, diag);
	if (r < 0) {
		collect(group_find(daemon, name));
		return r;
	}
	r = group_enable(daemon, group, controllers | (CONTROLLERS_ALWAYS & daemon->delegation.controllers));
	if (r < 0) {
		refuse(diag, group, r, "the controllers of the site's limits cannot be enabled");
		group_leave(group);
		return r;
	}
	*ret = group;
	return 0;
}

void group_leave(struct group *group)
{
	struct group *parent;

	if (--group->n_users > 0)
		return;
	parent = group->parent;
	remove_cgroup(group);
	collect(group);
	if (parent)
		group_leave(parent);
}

/* Its file is gone, or there never was one: it has no limits of its own. */
static void forget_file(struct group *group)
{
	struct blob *resources = plan_slice(&group->daemon->planner, NULL);

	if (!resources)
		return;
	blob_unref(group->resources);
	group->resources = resources;
	slice_free(group->spec);
	group->spec = NULL;
	log_info("slice %s: its file is gone, and its limits with it", group->name);
	enforce(group);
	collect(group);
}

static int take_file(struct daemon *daemon, const char *name, struct slice_spec *spec, struct diag *diag)
{
	struct group *group = find_or_create(daemon, name);
	struct blob *resources = group ? plan_slice(&daemon->planner, spec) : NULL;

	if (!resources) {
		slice_free(spec);
		collect(group);
		return diag_set(diag, -ENOMEM, name, 0, "out of memory");
	}
	log_info("slice %s: %s", name, group->spec ? "changed" : "added");
	slice_free(group->spec);
	group->spec = spec;
	blob_unref(group->resources);
	group->resources = resources;
	enforce(group);
	return 0;
}

void group_load(struct daemon *daemon, const char *name)
{
	struct group *group = group_find(daemon, name);
	struct slice_spec *spec = NULL;
	struct diag diag = {0};
	int r = slice_load(&daemon->options.lookup, name, &spec, &diag);

	if (r == -ENOENT) {
		if (group && group->spec)
			forget_file(group);
	} else if (r == 0 && group && group->spec && slice_same(group->spec, spec)) {
		slice_free(spec);
	} else if (r == 0) {
		r = take_file(daemon, name, spec, &diag);
	}
	if (r < 0 && r != -ENOENT)
		refused_set(&daemon->refused_slices, "slice", name, r, &diag);
	else
		refused_clear(&daemon->refused_slices, "slice", name);
}

static int compare_names(const void *key, const void *item)
{
	return strcmp(key, *(const char *const *)item);
}

/* The names of slices that are known by a file, or by a bad one, and have none any more. A NULL-terminated list
 * of strings that are its own: a group that goes takes others along. */
static char **list_gone(const struct daemon *daemon, char *const *names, size_t n)
{
	char **gone = calloc(HASH_COUNT(daemon->groups) + HASH_COUNT(daemon->refused_slices) + 1, sizeof *gone);
	size_t count = 0;

	for (const struct group *group = daemon->groups; gone && group; group = group->hh.next)
		if (group->spec && !bsearch(group->name, names, n, sizeof *names, compare_names))
			gone[count++] = strdup(group->name);
	for (const struct refused *refused = daemon->refused_slices; gone && refused;
	     refused = refused->hh.next)
		if (!bsearch(refused->name, names, n, sizeof *names, compare_names))
			gone[count++] = strdup(refused->name);
	return gone;
}

void group_load_all(struct daemon *daemon)
{
	char **names = NULL, **gone;
	size_t n = 0;
	int r = lookup_list(&daemon->options.lookup, UNIT_SLICE, &names, &n);

	if (r < 0) {
		log_error("the folders of slices cannot be read: %s", strerror(-r));
		return;
	}
	gone = list_gone(daemon, names, n);
	for (size_t i = 0; i < n; i++)
		group_load(daemon, names[i]);
	for (char **name = gone; name && *name; name++)
		group_load(daemon, *name);
	lookup_free_list(gone);
	lookup_free_list(names);
}

void group_destroy_all(struct daemon *daemon)
{
	struct group *group;

	while ((group = daemon->groups)) {
		remove_cgroup(group);
		HASH_DEL(daemon->groups, group);
		group_free(group);
	}
}
