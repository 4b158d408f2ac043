/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "drop-in.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "str.h"

#define HEAD "# Made by torporctl set. Removed, the unit alone counts again.\n"

/* A drop-in being made anew. */
struct drop_in {
	const struct key_table *table;
	const char *path;
	const char *const *settings; /* [n] */
	const struct key **keys;     /* [n], of the settings; owned */
	size_t n;
	struct unit *unit; /* what was there; NULL: nothing */
	struct diag *diag;
};

static void finish(struct drop_in *drop_in)
{
	free(drop_in->keys);
	unit_unref(drop_in->unit);
}

static int refuse(const struct drop_in *drop_in, const char *setting, const char *message)
{
	return diag_set(drop_in->diag, -EINVAL, drop_in->path, 0, "%.64s: %s", setting, message);
}

static int refuse_unknown(const struct drop_in *drop_in, const char *name)
{
	const char *near = NULL;
	unsigned best = 3; /* key_distance() says no more */

	for (size_t i = 0; i < drop_in->table->n_keys; i++) {
		const struct key *key = &drop_in->table->keys[i];
		unsigned distance = strcasecmp(key->name, name) == 0 ? 0 : key_distance(name, key->name);

		if (key->live && distance < best) {
			best = distance;
			near = key->name;
		}
	}
	if (near)
		return diag_set(drop_in->diag, -EINVAL, drop_in->path, 0,
				"unknown key '%.64s'; did you mean %s=?", name, near);
	return diag_set(drop_in->diag, -EINVAL, drop_in->path, 0, "unknown key '%.64s'; %s lists the keys",
			name, drop_in->table->page);
}

/* The key of "KEY=VALUE". What follows must be one line, and end there: a file is made of it. */
static int find_key(const struct drop_in *drop_in, const char *setting, const struct key **ret)
{
	const char *equals = strchr(setting, '=');
	autofree char *name = equals ? strndup(setting, (size_t)(equals - setting)) : NULL;

	if (!equals)
		return refuse(drop_in, setting, "expected KEY=VALUE");
	if (!name)
		return diag_set(drop_in->diag, -ENOMEM, drop_in->path, 0, "out of memory");
	for (const char *at = equals + 1; *at; at++)
		if (((unsigned char)*at < 0x20 && *at != '\t') || (*at == '\\' && !at[1]))
			return refuse(drop_in, name, "expected a value of one line");
	for (size_t i = 0; i < drop_in->table->n_keys; i++) {
		const struct key *key = &drop_in->table->keys[i];

		if (!str_equal(key->name, name))
			continue;
		if (!key->live)
			return diag_set(drop_in->diag, -EINVAL, drop_in->path, 0,
					"%s= cannot be changed while a container runs: write it into the unit",
					key->name);
		*ret = key;
		return 0;
	}
	return refuse_unknown(drop_in, name);
}

static int init(struct drop_in *drop_in)
{
	int r;

	drop_in->keys = calloc(drop_in->n + 1, sizeof *drop_in->keys);
	if (!drop_in->keys)
		return diag_set(drop_in->diag, -ENOMEM, drop_in->path, 0, "out of memory");
	for (size_t i = 0; i < drop_in->n; i++) {
		r = find_key(drop_in, drop_in->settings[i], &drop_in->keys[i]);
		if (r < 0)
			return r;
	}
	r = unit_read(drop_in->path, &drop_in->unit, drop_in->diag);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : key_resolve(drop_in->table, drop_in->unit, drop_in->diag);
}

static bool is_set(const struct drop_in *drop_in, const struct key *key)
{
	for (size_t i = 0; i < drop_in->n; i++)
		if (drop_in->keys[i] == key)
			return true;
	return false;
}

static void put(const struct key *key, const char *value, const char **section, FILE *out)
{
	if (!*section || !str_equal(*section, key->section))
		fprintf(out, "%s[%s]\n", *section ? "\n" : HEAD, key->section);
	*section = key->section;
	fprintf(out, "%s=%s\n", key->name, value);
}

static void put_new(const struct drop_in *drop_in, const struct key *key, const char **section, FILE *out)
{
	if (key->type->adds)
		put(key, "", section, out);
	for (size_t i = 0; i < drop_in->n; i++) {
		const char *value = strchr(drop_in->settings[i], '=') + 1;

		if (drop_in->keys[i] == key && (*value || !key->type->adds))
			put(key, value, section, out);
	}
}

static void put_old(const struct drop_in *drop_in, const struct key *key, const char **section, FILE *out)
{
	for (size_t i = 0; drop_in->unit && i < drop_in->unit->n_assignments; i++)
		if (drop_in->unit->assignments[i].known == key)
			put(key, drop_in->unit->assignments[i].value, section, out);
}

static int make(struct drop_in *drop_in, bool set, char **ret)
{
	const char *section = NULL;
	char *text = NULL;
	size_t size;
	FILE *out;
	int r = init(drop_in);

	if (r < 0)
		return r;
	out = open_memstream(&text, &size);
	if (!out)
		return diag_set(drop_in->diag, -ENOMEM, drop_in->path, 0, "out of memory");
	for (size_t i = 0; i < drop_in->table->n_keys; i++) {
		const struct key *key = &drop_in->table->keys[i];

		if (!is_set(drop_in, key))
			put_old(drop_in, key, &section, out);
		else if (set)
			put_new(drop_in, key, &section, out);
	}
	if (fclose(out) != 0) {
		free(text);
		return diag_set(drop_in->diag, -ENOMEM, drop_in->path, 0, "out of memory");
	}
	*ret = text;
	return 0;
}

int drop_in_set(const struct key_table *table, const char *path, const char *const *settings, size_t n,
		char **ret, struct diag *diag)
{
	__attribute__((cleanup(finish))) struct drop_in drop_in = {
		.table = table, .path = path, .settings = settings, .n = n, .diag = diag};

	return make(&drop_in, true, ret);
}

int drop_in_forget(const struct key_table *table, const char *path, const char *const *settings, size_t n,
		   char **ret, struct diag *diag)
{
	__attribute__((cleanup(finish))) struct drop_in drop_in = {
		.table = table, .path = path, .settings = settings, .n = n, .diag = diag};

	return make(&drop_in, false, ret);
}
