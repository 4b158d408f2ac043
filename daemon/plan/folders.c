/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "folders.h"

#include <stdlib.h>
#include <string.h>

#include "binding.h"
#include "str.h"

/* What the root has of its own or the host's, with all below it. */
static const char *const closed[] = {"/usr", "/etc", "/dev", "/proc", "/sys"};

static bool is_closed(const char *path, const struct host *host)
{
	if (!*path || str_equal(path, "/tmp") || str_equal(path, "/var"))
		return true;
	for (size_t i = 0; i < sizeof closed / sizeof *closed; i++)
		if (str_path_within(path, closed[i]))
			return true;
	for (unsigned i = 0; i < host->n_links; i++)
		if (str_path_within(path + 1, host->links[i].name))
			return true;
	return false;
}

static bool is_read_only(const struct mount_spec *mount)
{
	const char *at = mount->options;

	for (; at && *at; at += strcspn(at, ","), at += *at == ',')
		if (strncmp(at, "ro", 2) == 0 && (at[2] == ',' || at[2] == '\0'))
			return true;
	return false;
}

/* Whether the unit sees to a folder itself. The last mount that covers it counts. */
static bool is_mounted(const struct site_spec *spec, const char *path)
{
	bool mounted = false;

	for (unsigned i = 0; i < spec->n_mounts; i++) {
		const struct mount_spec *mount = &spec->mounts[i];
		const char *target = binding_real_path(mount->target);

		if (str_path_within(path, target))
			mounted = str_equal(path, target) || mount->kind != MOUNT_TMPFS || is_read_only(mount);
	}
	return mounted;
}

/* The first mount below it would be hidden by what comes later. */
static unsigned find_place(const struct site_spec *spec, const char *path)
{
	unsigned i = 0;

	while (i < spec->n_mounts && !str_path_within(binding_real_path(spec->mounts[i].target), path))
		i++;
	return i;
}

/* Outer ones first, and one order alone: sites share the list. */
static int compare_lengths(const void *a, const void *b)
{
	size_t one = strlen(((const struct socket_folder *)a)->path),
	       other = strlen(((const struct socket_folder *)b)->path);

	return one != other ? (one > other) - (one < other)
			    : strcmp(((const struct socket_folder *)a)->path,
				     ((const struct socket_folder *)b)->path);
}

unsigned folders_find(const struct site_spec *spec, const struct host *host,
		      struct socket_folder ret[static SPEC_LISTENERS_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; handover_intercepts(spec->handover) && i < spec->n_listeners; i++) {
		const char *path = address_path(listener_bind(&spec->listeners[i]));
		struct socket_folder *folder = &ret[n];
		bool known = false;

		if (!path)
			continue;
		path = binding_real_path(path);
		*folder = (struct socket_folder){0};
		memcpy(folder->path, path, (size_t)(strrchr(path, '/') - path));
		for (unsigned k = 0; k < n && !known; k++)
			known = str_equal(ret[k].path, folder->path);
		if (known || is_closed(folder->path, host) || is_mounted(spec, folder->path))
			continue;
		folder->before = find_place(spec, folder->path);
		n++;
	}
	qsort(ret, n, sizeof *ret, compare_lengths);
	return n;
}
