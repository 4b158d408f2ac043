/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lookup.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "str.h"

/* A NULL-terminated list that grows. */
struct names {
	char **items; /* owned, and each of them */
	size_t n;
};

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static void cleanup_names(struct names *names)
{
	lookup_free_list(names->items);
}

static const struct {
	const char *folder, *suffix;
} kinds[UNIT_KINDS] = {
	[UNIT_SITE] = {"sites", ".site"},
	[UNIT_TEMPLATE] = {"templates", ".template"},
	[UNIT_SLICE] = {"slices", ".slice"},
};

const char *unit_kind_folder(enum unit_kind kind)
{
	return kinds[kind].folder;
}

const char *unit_kind_suffix(enum unit_kind kind)
{
	return kinds[kind].suffix;
}

void lookup_free_list(char **list)
{
	for (char **at = list; list && *at; at++)
		free(*at);
	free(list);
}

/* Takes name, which may be NULL (out of memory), whatever happens. */
static int names_add(struct names *names, char *name)
{
	size_t n = names->n;

	if (!name)
		return -ENOMEM;
	/* Room for 7, 15, 31 ... names and the NULL. */
	if (n == 0 || (n >= 7 && ((n + 1) & n) == 0)) {
		char **grown = reallocarray(names->items, n ? 2 * (n + 1) : 8, sizeof *grown);

		if (!grown) {
			free(name);
			return -ENOMEM;
		}
		names->items = grown;
	}
	names->items[names->n++] = name;
	names->items[names->n] = NULL;
	return 0;
}

/* A list that the caller owns, never NULL. */
static int names_take(struct names *names, char ***ret)
{
	if (!names->items) {
		names->items = calloc(1, sizeof *names->items);
		if (!names->items)
			return -ENOMEM;
	}
	*ret = steal_ptr(names->items);
	return 0;
}

bool lookup_masked(const struct stat *st)
{
	return (S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3)) ||
	       (S_ISREG(st->st_mode) && st->st_size == 0);
}

int lookup_find_file(const struct lookup *lookup, const char *relative, char **ret)
{
	for (size_t i = 0; i < sizeof lookup->dirs / sizeof *lookup->dirs; i++) {
		autofree char *path = NULL;
		struct stat st;

		if (asprintf(&path, "%s/%s", lookup->dirs[i], relative) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		if (stat(path, &st) == 0) {
			if (lookup_masked(&st))
				return -ENOENT;
		} else if (errno == ENOENT || errno == ENOTDIR) {
			continue;
		}
		*ret = steal_ptr(path);
		return 0;
	}
	return -ENOENT;
}

int lookup_find(const struct lookup *lookup, enum unit_kind kind, const char *name, char **ret)
{
	char relative[NAME_BYTES_MAX + 32];

	if (!str_valid_name(name))
		return -EINVAL;
	snprintf(relative, sizeof relative, "%s/%s%s", unit_kind_folder(kind), name, unit_kind_suffix(kind));
	return lookup_find_file(lookup, relative, ret);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int compare_base_names(const void *a, const void *b)
{
	return strcmp(base_name(*(char *const *)a), base_name(*(char *const *)b));
}

static bool has_base_name(const struct names *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (str_equal(base_name(names->items[i]), name))
			return true;
	return false;
}

/* Adds the drop-ins of one folder whose names are not in the list yet. */
static int add_drop_ins(struct names *names, const char *folder)
{
	__attribute__((cleanup(cleanup_dir))) DIR *dir = opendir(folder);
	size_t before = names->n;
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	while ((errno = 0, entry = readdir(dir))) {
		char *path;
		int error;

		if (entry->d_name[0] == '.' || !str_has_suffix(entry->d_name, ".conf") ||
		    has_base_name(names, before, entry->d_name))
			continue;
		if (names->n >= LOOKUP_DROP_INS_MAX)
			return -E2BIG;
		if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0)
			path = NULL;
		error = names_add(names, path);
		if (error < 0)
			return error;
	}
	return -errno;
}

/* A masked name hides those of later folders first, and goes in the end. */
static int sort_drop_ins(struct names *names, char ***ret)
{
	size_t kept = 0;

	if (names->n > 0)
		qsort(names->items, names->n, sizeof *names->items, compare_base_names);
	for (size_t i = 0; i < names->n; i++) {
		struct stat st;

		if (stat(names->items[i], &st) == 0 && lookup_masked(&st))
			free(names->items[i]);
		else
			names->items[kept++] = names->items[i];
	}
	if (names->n > 0)
		names->items[kept] = NULL;
	names->n = kept;
	return names_take(names, ret);
}

int lookup_folder_drop_ins(const char *folder, char ***ret)
{
	__attribute__((cleanup(cleanup_names))) struct names names = {0};
	int error = add_drop_ins(&names, folder);

	return error < 0 ? error : sort_drop_ins(&names, ret);
}

int lookup_find_drop_ins(const struct lookup *lookup, const char *relative, char ***ret)
{
	__attribute__((cleanup(cleanup_names))) struct names names = {0};

	for (size_t i = 0; i < sizeof lookup->dirs / sizeof *lookup->dirs; i++) {
		autofree char *folder = NULL;
		int error;

		if (asprintf(&folder, "%s/%s", lookup->dirs[i], relative) < 0) {
			folder = NULL;
			return -ENOMEM;
		}
		error = add_drop_ins(&names, folder);
		if (error < 0)
			return error;
	}
	return sort_drop_ins(&names, ret);
}

int lookup_drop_ins(const struct lookup *lookup, enum unit_kind kind, const char *name, char ***ret)
{
	char relative[NAME_BYTES_MAX + 32];

	if (!str_valid_name(name))
		return -EINVAL;
	snprintf(relative, sizeof relative, "%s/%s%s.d", unit_kind_folder(kind), name, unit_kind_suffix(kind));
	return lookup_find_drop_ins(lookup, relative, ret);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Adds the names of one folder, without their suffix. */
static int add_units(struct names *names, const char *folder, const char *suffix)
{
	__attribute__((cleanup(cleanup_dir))) DIR *dir = opendir(folder);
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	while ((errno = 0, entry = readdir(dir))) {
		size_t length = strlen(entry->d_name) - strlen(suffix);
		int error;

		/* Hidden files are somebody's half-written ones. */
		if (entry->d_name[0] == '.' || !str_has_suffix(entry->d_name, suffix))
			continue;
		error = names_add(names, strndup(entry->d_name, length));
		if (error < 0)
			return error;
	}
	return -errno;
}

int lookup_list(const struct lookup *lookup, enum unit_kind kind, char ***ret, size_t *ret_count)
{
	__attribute__((cleanup(cleanup_names))) struct names names = {0};
	size_t kept = 0;
	int error;

	for (size_t i = 0; i < sizeof lookup->dirs / sizeof *lookup->dirs; i++) {
		autofree char *folder = NULL;

		if (asprintf(&folder, "%s/%s", lookup->dirs[i], unit_kind_folder(kind)) < 0) {
			folder = NULL;
			return -ENOMEM;
		}
		error = add_units(&names, folder, unit_kind_suffix(kind));
		if (error < 0)
			return error;
	}
	if (names.n > 0)
		qsort(names.items, names.n, sizeof *names.items, compare_names);
	for (size_t i = 0; i < names.n; i++) {
		if (kept > 0 && str_equal(names.items[kept - 1], names.items[i]))
			free(names.items[i]);
		else
			names.items[kept++] = names.items[i];
	}
	if (names.n > 0)
		names.items[kept] = NULL;
	error = names_take(&names, ret);
	if (error == 0)
		*ret_count = kept;
	return error;
}
