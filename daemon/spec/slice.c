/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "slice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "key.h"
#include "str.h"
#include "type.h"
#include "unit.h"
#include "value.h"

static const struct key keys[] = {
	{.section = "Slice",
	 .name = "Description",
	 .type = &type_string,
	 .offset = offsetof(struct slice_spec, description),
	 .live = true,
	 .argument = "TEXT",
	 .unset_means = "the slice's name",
	 .help = "What the slice is, for people."},

#define SECONDS           "SECONDS"
#define RESOURCES_THROUGH offsetof(struct slice_spec, resources)
#define TASKS_MAX_DEFAULT .unset_means = "no limit"
#include "resource-keys.inc"
};

const struct key_table slice_keys = {keys, sizeof keys / sizeof *keys, "torpor.slice(5)"};

bool slice_valid_name(const char *name)
{
	return str_valid_name(name) && !strstr(name, "--") && name[strlen(name) - 1] != '-';
}

bool slice_parent(const char *name, char *parent, size_t size)
{
	const char *dash = strrchr(name, '-');

	if (!dash || (size_t)(dash - name) >= size)
		return false;
	memmove(parent, name, (size_t)(dash - name));
	parent[dash - name] = '\0';
	return true;
}

bool slice_contains(const char *outer, const char *name)
{
	size_t length = strlen(outer);

	return strncmp(outer, name, length) == 0 && (name[length] == '\0' || name[length] == '-');
}

char *slice_path(struct arena *arena, const char *name)
{
	char *path = arena_strdup(arena, "");

	for (const char *end = name; path && end; end = *end ? end + 1 : NULL) {
		end = strchrnul(end, '-');
		path = arena_printf(arena, "%s%s%.*s.slice", path, *path ? "/" : "", (int)(end - name), name);
	}
	return path;
}

/* What is left of a file after it was read is the arena's. */
static int apply_file(struct slice_spec *spec, const char *path, struct diag *diag)
{
	struct setting setting = {.target = spec, .arena = &spec->arena};
	struct unit *unit;
	int error = unit_read(path, &unit, diag);

	if (error < 0)
		return error;
	error = key_resolve(&slice_keys, unit, diag);
	for (size_t i = 0; error == 0 && i < unit->n_assignments; i++)
		if (unit->assignments[i].known)
			error = key_apply(&setting, unit, &unit->assignments[i], diag);
	if (error == 0 && spec->description) {
		spec->description = arena_strdup(&spec->arena, spec->description);
		if (!spec->description)
			error = diag_set(diag, -ENOMEM, path, 0, "out of memory");
	}
	unit_unref(unit);
	return error;
}

static struct slice_spec *create(const char *name)
{
	struct slice_spec *spec = calloc(1, sizeof *spec);

	if (!spec)
		return NULL;
	arena_init(&spec->arena);
	spec->name = arena_strdup(&spec->arena, name);
	spec->resources = arena_alloc(&spec->arena, sizeof *spec->resources);
	if (spec->name && spec->resources && key_set_defaults(&slice_keys, spec, &spec->arena) == 0)
		return spec;
	slice_free(spec);
	return NULL;
}

/* A file and its drop-ins, a NULL-terminated list that is freed here. */
static int load(const char *name, const char *path, char **drop_ins, struct slice_spec **ret, struct diag *diag)
{
	struct slice_spec *spec = create(name);
	int error = spec ? apply_file(spec, path, diag) : diag_set(diag, -ENOMEM, path, 0, "out of memory");

	for (char **at = drop_ins; *at && error == 0; at++)
		error = apply_file(spec, *at, diag);
	lookup_free_list(drop_ins);
	if (error < 0) {
		slice_free(spec);
		return error;
	}
	if (!spec->description)
		spec->description = spec->name;
	*ret = spec;
	return 0;
}

static int refuse_name(struct diag *diag, const char *path)
{
	return diag_set(
		diag, -EINVAL, path, 0,
		"no name of a slice; expected 1 to %d letters, digits and \":-_.@\" before \".slice\", and "
		"a single '-' where one slice lies in another",
		NAME_BYTES_MAX);
}

int slice_load(const struct lookup *lookup, const char *name, struct slice_spec **ret, struct diag *diag)
{
	autofree char *path = NULL;
	char **drop_ins;
	int error;

	if (!slice_valid_name(name))
		return refuse_name(diag, name);
	error = lookup_find(lookup, UNIT_SLICE, name, &path);
	if (error == -ENOENT)
		return error;
	if (error == 0)
		error = lookup_drop_ins(lookup, UNIT_SLICE, name, &drop_ins);
	if (error < 0)
		return diag_set(diag, error, path ? path : name, 0, "%s", strerror(-error));
	error = load(name, path, drop_ins, ret, diag);
	/* Gone since it was found: no slice is missing for that. */
	return error == -ENOENT ? -ESTALE : error;
}

int slice_check_file(const char *path, struct diag *diag)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	bool whole = str_has_suffix(base, unit_kind_suffix(UNIT_SLICE));
	autofree char *folder = NULL, *name = NULL;
	struct slice_spec *spec;
	char **drop_ins;
	int error;

	name = whole ? strndup(base, strlen(base) - strlen(unit_kind_suffix(UNIT_SLICE))) : strdup("example");
	if (asprintf(&folder, "%s.d", path) < 0)
		folder = NULL;
	if (!name || !folder)
		return diag_set(diag, -ENOMEM, path, 0, "out of memory");
	if (!slice_valid_name(name))
		return refuse_name(diag, path);
	error = lookup_folder_drop_ins(folder, &drop_ins);
	if (error < 0)
		return diag_set(diag, error, folder, 0, "%s", strerror(-error));
	error = load(name, path, drop_ins, &spec, diag);
	if (error == 0)
		slice_free(spec);
	return error;
}

static char *dump(const struct slice_spec *spec)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (size_t i = 0; i < slice_keys.n_keys; i++)
		key_print(&slice_keys.keys[i], spec, spec, true, out);
	fclose(out);
	return text;
}

bool slice_same(const struct slice_spec *a, const struct slice_spec *b)
{
	autofree char *text_a = dump(a), *text_b = dump(b);

	return text_a && text_b && str_equal(text_a, text_b);
}

void slice_free(struct slice_spec *spec)
{
	if (!spec)
		return;
	arena_finish(&spec->arena);
	free(spec);
}
