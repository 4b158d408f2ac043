/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The type of lists of paths that are kept from the site. */

#include "type.h"

#include <errno.h>
#include <string.h>

#include "pack.h"
#include "words.h"

/* "[-][+]PATH": as all paths are the container's, the "+" says nothing. */
static int parse_one(struct setting *setting, const char *word, struct path_spec *ret)
{
	*ret = (struct path_spec){.kind = (enum path_kind)setting->key->parameter, .optional = *word == '-'};
	word += ret->optional;
	return setting_path(setting, word + (*word == '+'), &ret->path);
}

static int parse_paths(struct setting *setting, const char *text)
{
	struct site_spec *spec = setting->target;

	for (;;) {
		void *items = (void *)spec->paths;
		const char *message = NULL;
		struct path_spec path, *item;
		char *word;
		int error = words_next(&text, 0, setting->arena, &word, &message);

		if (error == -EINVAL)
			return setting_refuse(setting, "%s", message);
		if (error <= 0)
			return error;
		error = parse_one(setting, word, &path);
		if (error < 0)
			return error;
		item = setting_grow(setting, &items, spec->n_paths, SPEC_LIST_MAX, sizeof *item, &error);
		if (!item)
			return error;
		*item = path;
		spec->paths = items;
		spec->n_paths++;
	}
}

static void reset_paths(struct setting *setting)
{
	struct site_spec *spec = setting->target;
	struct path_spec *paths = (void *)spec->paths;
	unsigned kept = 0;

	for (unsigned i = 0; i < spec->n_paths; i++)
		if (paths[i].kind != (enum path_kind)setting->key->parameter)
			paths[kept++] = paths[i];
	if (kept == 0)
		spec->paths = NULL;
	spec->n_paths = kept;
}

static void print_paths(const struct key *key, const void *target, bool all, FILE *out)
{
	const struct site_spec *spec = target;
	bool any = false;

	for (unsigned i = 0; i < spec->n_paths; i++) {
		if (spec->paths[i].kind != (enum path_kind)key->parameter)
			continue;
		fprintf(out, "%s=%s", key->name, spec->paths[i].optional ? "-" : "");
		words_quote(spec->paths[i].path, WORDS_SPECIFIER, out);
		putc('\n', out);
		any = true;
	}
	if (!any && all)
		fprintf(out, "%s=\n", key->name);
}

/* All of them, by the first of the three keys. */
static void copy_paths(const struct key *key, void *target, struct pack *pack)
{
	struct site_spec *spec = target;
	const struct path_spec *paths = spec->paths;
	struct path_spec *copy;

	if (key->parameter != PATH_READ_WRITE || !paths)
		return;
	copy = pack_array(pack, paths, spec->n_paths * sizeof *paths);
	for (unsigned i = 0; i < spec->n_paths; i++) {
		const char *path = pack_string(pack, paths[i].path);

		if (copy)
			copy[i].path = path;
	}
	spec->paths = copy;
}

const struct type type_paths = {
	.parse = parse_paths,
	.reset = reset_paths,
	.print = print_paths,
	.copy = copy_paths,
};
