/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "paths.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "str.h"

/* Outer ones before inner ones; of equal ones the strictest first. */
static int compare(const void *a, const void *b)
{
	const struct path_spec *one = *(const struct path_spec *const *)a,
			       *other = *(const struct path_spec *const *)b;
	int order = strcmp(one->path, other->path);

	return order ? order : (int)other->kind - (int)one->kind;
}

/* Whether one of the n paths before has the last word on path, or has taken nothing that it could give back. */
static bool is_idle(const struct path_spec *const *paths, size_t n, const struct path_spec *path)
{
	bool taken = path->kind != PATH_READ_WRITE;

	for (size_t i = 0; i < n; i++) {
		if (str_equal(paths[i]->path, path->path))
			return true;
		if (!str_path_within(path->path, paths[i]->path))
			continue;
		if (paths[i]->kind == PATH_INACCESSIBLE)
			return true;
		taken |= paths[i]->kind == PATH_READ_ONLY;
	}
	return !taken;
}

static void add(struct mount_builder *b, enum mount_op_kind kind, const struct path_spec *path, bool in_proc)
{
	const struct mount_op op = {.kind = (uint8_t)kind, .flags = path->optional ? MOUNT_OP_OPTIONAL : 0};

	if (in_proc && kind == MOUNT_OP_COVER_READ_ONLY && str_equal(path->path, "/"))
		mount_list_add(b, op, NULL, "/proc", NULL);
	else if (in_proc == str_path_within(path->path, "/proc"))
		mount_list_add(b, op, NULL, path->path, NULL);
}

void paths_add(struct mount_builder *b, const struct site_spec *spec, bool in_proc)
{
	static const enum mount_op_kind kinds[] = {
		[PATH_READ_WRITE] = MOUNT_OP_RELEASE,
		[PATH_READ_ONLY] = MOUNT_OP_COVER_READ_ONLY,
		[PATH_INACCESSIBLE] = MOUNT_OP_HIDE,
	};
	autofree const struct path_spec **paths = malloc((spec->n_paths + 1) * sizeof *paths);
	size_t n = 0;

	if (!paths) {
		b->error = -ENOMEM;
		return;
	}
	for (unsigned i = 0; i < spec->n_paths; i++)
		paths[i] = &spec->paths[i];
	qsort(paths, spec->n_paths, sizeof *paths, compare);
	for (unsigned i = 0; i < spec->n_paths; i++)
		if (!is_idle(paths, n, paths[i]))
			paths[n++] = paths[i];
	/* In the same order: the n-th that is held is the n-th that is released. */
	for (size_t i = 0; i < n; i++)
		if (paths[i]->kind == PATH_READ_WRITE)
			add(b, MOUNT_OP_HOLD, paths[i], in_proc);
	for (size_t i = 0; i < n; i++)
		add(b, kinds[paths[i]->kind], paths[i], in_proc);
}
