/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "build.h"
#include "cache.h"
#include "cleanup.h"
#include "key.h"
#include "str.h"
#include "unit.h"

#define FRAGMENT_NAME "example.com" /* the site that a template alone is read for */

/* The files that one spec comes from, while it is loaded: the site's own (number 0), and its templates',
 * nearest first. */
struct load {
	const struct lookup *lookup;
	struct spec_cache *cache;                     /* or NULL */
	struct unit_set sets[SPEC_TEMPLATES_MAX + 1]; /* number i is empty where cached[i] is set; owned */
	const struct unit_set *cached[SPEC_TEMPLATES_MAX + 1];
	const char *names[SPEC_TEMPLATES_MAX + 1]; /* of the templates: strings of the units; NULL-terminated */
	size_t n_templates;
	struct diag *diag;
};

static void load_finish(struct load *load)
{
	for (size_t i = 0; i <= load->n_templates; i++)
		unit_set_finish(&load->sets[i]);
}

static const struct unit_set *load_set(const struct load *load, size_t i)
{
	return load->cached[i] ? load->cached[i] : &load->sets[i];
}

static int add_unit(struct unit_set *set, size_t room, const char *path, struct diag *diag)
{
	int error;

	if (!set->units) {
		set->units = calloc(room, sizeof(struct unit *));
		if (!set->units)
			return diag_set(diag, -ENOMEM, path, 0, "out of memory");
	}
	error = unit_read(path, &set->units[set->n_units], diag);
	if (error < 0)
		return error;
	return key_resolve(&site_keys, set->units[set->n_units++], diag);
}

/* Reads a file and its drop-ins, a NULL-terminated list that is freed here. */
static int read_set(struct unit_set *set, const char *path, char **drop_ins, struct diag *diag)
{
	size_t room = 1;
	int error;

	for (char **at = drop_ins; *at; at++)
		room++;
	error = add_unit(set, room, path, diag);
	for (char **at = drop_ins; *at && error == 0; at++)
		error = add_unit(set, room, *at, diag);
	lookup_free_list(drop_ins);
	return error;
}

/* The same for the files that are in force for a name. -ENOENT without a diag when there is none. */
static int read_named(struct load *load, enum unit_kind kind, const char *name, struct unit_set *set)
{
	autofree char *path = NULL;
	char **drop_ins;
	int error = lookup_find(load->lookup, kind, name, &path);

	if (error == -ENOMEM)
		return diag_set(load->diag, error, name, 0, "out of memory");
	if (error < 0)
		return error;
	error = lookup_drop_ins(load->lookup, kind, name, &drop_ins);
	if (error < 0)
		return diag_set(load->diag, error, path, 0, "its drop-ins cannot be listed: %s",
				strerror(-error));
	error = read_set(set, path, drop_ins, load->diag);
	/* Gone since it was found: no site is missing for that. */
	return error == -ENOENT ? -ESTALE : error;
}

/* The assignment of Template= that counts, the last one; NULL where there is none, or an empty one. */
static const struct assignment *find_template(const struct unit_set *set, const struct unit **ret_unit)
{
	for (size_t u = set->n_units; u-- > 0;)
		for (size_t i = set->units[u]->n_assignments; i-- > 0;) {
			const struct assignment *a = &set->units[u]->assignments[i];

			if (!a->known || a->known->phase != KEY_TEMPLATE)
				continue;
			*ret_unit = set->units[u];
			return *a->value ? a : NULL;
		}
	return NULL;
}

/* "a -> b -> a", cut where it gets long. */
static void format_chain(const struct load *load, const char *last, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < load->n_templates && used + NAME_BYTES_MAX + 8 < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s -> ", load->names[i]);
	snprintf(buf + used, size - used, "%s", last);
}

static int check_template(const struct load *load, const struct unit *unit, const struct assignment *a)
{
	char chain[448];

	if (!str_valid_name(a->value))
		return diag_set(load->diag, -EINVAL, unit->path, a->line,
				"Template=%.64s: expected the name of a template, without \".template\"",
				a->value);
	for (size_t i = 0; i < load->n_templates; i++)
		if (str_equal(load->names[i], a->value)) {
			format_chain(load, a->value, chain, sizeof chain);
			return diag_set(load->diag, -EINVAL, unit->path, a->line,
					"the templates build on each other in a loop: %s", chain);
		}
	if (load->n_templates >= SPEC_TEMPLATES_MAX)
		return diag_set(load->diag, -EINVAL, unit->path, a->line,
				"more than %d templates build on each other", SPEC_TEMPLATES_MAX);
	return 0;
}

/* Reads the files of the next template, or finds them in the cache. */
static int read_template(struct load *load, const struct unit *unit, const struct assignment *a)
{
	size_t i = load->n_templates + 1;
	int error;

	load->cached[i] = load->cache ? cache_find(load->cache, a->value) : NULL;
	if (load->cached[i])
		return 0;
	error = read_named(load, UNIT_TEMPLATE, a->value, &load->sets[i]);
	if (error == -ENOENT)
		return diag_set(load->diag, -EINVAL, unit->path, a->line,
				"the template '%.200s' is missing; expected templates/%.200s.template below "
				"%s, %s or %s",
				a->value, a->value, load->lookup->dirs[0], load->lookup->dirs[1],
				load->lookup->dirs[2]);
	if (error == 0 && load->cache) {
		error = cache_add(load->cache, a->value, &load->sets[i], &load->cached[i]);
		if (error < 0)
			diag_set(load->diag, error, unit->path, a->line, "out of memory");
	}
	if (error < 0)
		unit_set_finish(&load->sets[i]);
	return error;
}

/* Follows Template= from the site's files, which are read, through all templates. */
static int read_templates(struct load *load)
{
	for (;;) {
		const struct unit *unit;
		const struct assignment *a = find_template(load_set(load, load->n_templates), &unit);
		int error;

		if (!a)
			return 0;
		error = check_template(load, unit, a);
		if (error == 0)
			error = read_template(load, unit, a);
		if (error < 0)
			return error;
		load->names[load->n_templates++] = a->value;
	}
}

/* The furthest template's files first, the site's own last. */
static int build_loaded(struct load *load, const char *name, const char *path, bool fragment,
			struct site_spec **ret)
{
	struct build_input input = {.lookup = load->lookup, .name = name, .path = path, .fragment = fragment};
	autofree struct unit **units = NULL;
	size_t n = 0;

	for (size_t i = 0; i <= load->n_templates; i++)
		n += load_set(load, i)->n_units;
	units = calloc(n, sizeof *units);
	if (!units)
		return diag_set(load->diag, -ENOMEM, path, 0, "out of memory");
	for (size_t i = load->n_templates + 1; i-- > 0;) {
		const struct unit_set *set = load_set(load, i);

		memcpy(units + input.n_units, set->units, set->n_units * sizeof *units);
		input.n_units += set->n_units;
	}
	input.units = units;
	input.templates = load->names;
	return build_spec(&input, ret, load->diag);
}

int spec_load(const struct lookup *lookup, struct spec_cache *cache, const char *name, struct site_spec **ret,
	      struct diag *diag)
{
	__attribute__((cleanup(load_finish))) struct load load = {
		.lookup = lookup, .cache = cache, .diag = diag};
	int error;

	if (!str_valid_name(name))
		return diag_set(diag, -EINVAL, name, 0,
				"no name of a site; expected 1 to %d letters, digits and \":-_.@\", the first "
				"not '.' or '-'",
				NAME_BYTES_MAX);
	error = read_named(&load, UNIT_SITE, name, &load.sets[0]);
	if (error == -ENOENT)
		return diag_set(diag, error, name, 0,
				"there is no such site; expected sites/%s.site below %s, %s or %s", name,
				lookup->dirs[0], lookup->dirs[1], lookup->dirs[2]);
	if (error == 0)
		error = read_templates(&load);
	if (error < 0)
		return error;
	return build_loaded(&load, name, load.sets[0].units[0]->path, false, ret);
}

/* The name in "folder/NAME.suffix": a new string. -EINVAL with *diag where it is none. */
static int name_of(const char *path, const char *suffix, char **ret, struct diag *diag)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	autofree char *name = NULL;

	if (!str_has_suffix(base, suffix))
		return diag_set(diag, -EINVAL, path, 0, "expected a file called NAME%s", suffix);
	name = strndup(base, strlen(base) - strlen(suffix));
	if (!name)
		return diag_set(diag, -ENOMEM, path, 0, "out of memory");
	if (!str_valid_name(name))
		return diag_set(
			diag, -EINVAL, path, 0,
			"expected a name of 1 to %d letters, digits and \":-_.@\" before \"%s\", the first "
			"not '.' or '-'",
			NAME_BYTES_MAX, suffix);
	*ret = steal_ptr(name);
	return 0;
}

/* Reads a file and the drop-ins beside it. */
static int read_beside(struct load *load, const char *path)
{
	autofree char *folder = NULL;
	char **drop_ins;
	int error;

	if (asprintf(&folder, "%s.d", path) < 0) {
		folder = NULL;
		return diag_set(load->diag, -ENOMEM, path, 0, "out of memory");
	}
	error = lookup_folder_drop_ins(folder, &drop_ins);
	if (error < 0)
		return diag_set(load->diag, error, folder, 0, "%s", strerror(-error));
	return read_set(&load->sets[0], path, drop_ins, load->diag);
}

int spec_load_file(const struct lookup *lookup, const char *path, struct site_spec **ret, struct diag *diag)
{
	__attribute__((cleanup(load_finish))) struct load load = {.lookup = lookup, .diag = diag};
	autofree char *name = NULL;
	int error = name_of(path, unit_kind_suffix(UNIT_SITE), &name, diag);

	if (error == 0)
		error = read_beside(&load, path);
	if (error == 0)
		error = read_templates(&load);
	if (error < 0)
		return error;
	return build_loaded(&load, name, path, false, ret);
}

int spec_load_template(const struct lookup *lookup, const char *path, struct site_spec **ret, struct diag *diag)
{
	__attribute__((cleanup(load_finish))) struct load load = {.lookup = lookup, .diag = diag};
	autofree char *name = NULL;
	int error = name_of(path, unit_kind_suffix(UNIT_TEMPLATE), &name, diag);

	if (error == 0)
		error = read_beside(&load, path);
	if (error == 0)
		error = read_templates(&load);
	return error < 0 ? error : build_loaded(&load, FRAGMENT_NAME, path, true, ret);
}

/* A drop-in is read alone: what it changes is not known. */
static int load_drop_in(const struct lookup *lookup, const char *path, struct site_spec **ret,
			struct diag *diag)
{
	__attribute__((cleanup(load_finish))) struct load load = {.lookup = lookup, .diag = diag};
	int error = add_unit(&load.sets[0], 1, path, diag);

	return error < 0 ? error : build_loaded(&load, FRAGMENT_NAME, path, true, ret);
}

int spec_check_fragment(const struct lookup *lookup, const char *path, struct diag *diag)
{
	struct site_spec *spec;
	int error = str_has_suffix(path, unit_kind_suffix(UNIT_TEMPLATE))
			    ? spec_load_template(lookup, path, &spec, diag)
			    : load_drop_in(lookup, path, &spec, diag);

	if (error == 0)
		spec_free(spec);
	return error;
}

void spec_free(struct site_spec *spec)
{
	if (spec)
		blob_unref(spec->resource_blob);
	free(spec);
}
