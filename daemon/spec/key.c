/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "key.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "str.h"

#define NEAR 2 /* edits between a word and the one that was meant */

unsigned key_distance(const char *a, const char *b)
{
	unsigned rows[3][65];
	size_t n = strlen(a), m = strlen(b);

	if (n >= 65 || m >= 65 || n > m + NEAR || m > n + NEAR)
		return NEAR + 1;
	for (size_t j = 0; j <= m; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned *row = rows[i % 3];
		const unsigned *above = rows[(i + 2) % 3], *higher = rows[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);

			if (above[j] + 1 < best)
				best = above[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    higher[j - 2] + 1 < best)
				best = higher[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[n % 3][m] > NEAR ? NEAR + 1 : rows[n % 3][m];
}

static int refuse_section(const struct key_table *table, const struct unit *unit, const struct assignment *a,
			  struct diag *diag)
{
	const char *near = NULL, *last = "";
	unsigned best = NEAR + 1;
	char known[128] = "";
	size_t used = 0;

	for (size_t i = 0; i < table->n_keys; i++) {
		const char *section = table->keys[i].section;
		unsigned distance;

		if (str_equal(section, last))
			continue;
		last = section;
		used += (size_t)snprintf(known + used, sizeof known - used, "%s[%s]", used ? ", " : "",
					 section);
		distance = strcasecmp(section, a->section) == 0 ? 0 : key_distance(a->section, section);
		if (distance < best) {
			best = distance;
			near = section;
		}
	}
	if (near)
		return diag_set(diag, -EINVAL, unit->path, a->line,
				"unknown section [%.64s]; did you mean [%s]?", a->section, near);
	return diag_set(diag, -EINVAL, unit->path, a->line, "unknown section [%.64s]; expected %s", a->section,
			known);
}

static int refuse_key(const struct key_table *table, const struct unit *unit, const struct assignment *a,
		      struct diag *diag)
{
	const struct key *near = NULL;
	unsigned best = NEAR + 1;

	for (size_t i = 0; i < table->n_keys; i++) {
		const struct key *key = &table->keys[i];
		bool here = str_equal(key->section, a->section);
		unsigned distance = strcasecmp(key->name, a->key) == 0 ? 0 : key_distance(a->key, key->name);

		if (str_equal(key->name, a->key))
			return diag_set(diag, -EINVAL, unit->path, a->line,
					"%s= stands in [%s]; expected it in [%s]", key->name, a->section,
					key->section);
		/* A key of this section is the better guess. */
		if (distance < best ||
		    (distance == best && near && here && !str_equal(near->section, a->section))) {
			best = distance;
			near = key;
		}
	}
	if (!near)
		return diag_set(diag, -EINVAL, unit->path, a->line,
				"unknown key '%.64s' in [%s]; %s lists the keys", a->key, a->section,
				table->page);
	if (str_equal(near->section, a->section))
		return diag_set(diag, -EINVAL, unit->path, a->line,
				"unknown key '%.64s' in [%s]; did you mean %s=?", a->key, a->section,
				near->name);
	return diag_set(diag, -EINVAL, unit->path, a->line,
			"unknown key '%.64s' in [%s]; did you mean %s= in [%s]?", a->key, a->section,
			near->name, near->section);
}

int key_resolve(const struct key_table *table, struct unit *unit, struct diag *diag)
{
	for (size_t i = 0; i < unit->n_assignments; i++) {
		struct assignment *a = &unit->assignments[i];
		bool section = false;

		if (strncmp(a->section, "X-", 2) == 0)
			continue;
		for (size_t k = 0; k < table->n_keys && !a->known; k++) {
			const struct key *key = &table->keys[k];

			if (key->section[0] != a->section[0] || !str_equal(key->section, a->section))
				continue;
			section = true;
			if (key->name[0] == a->key[0] && str_equal(key->name, a->key))
				a->known = key;
		}
		if (!section)
			return refuse_section(table, unit, a, diag);
		if (!a->known && strncmp(a->key, "X-", 2) != 0)
			return refuse_key(table, unit, a, diag);
	}
	return 0;
}

static int set_default(struct setting *setting)
{
	const struct key *key = setting->key;
	void *field = key_field(key, setting->target);

	if (key->type->size == 0)
		return 0;
	memset(field, 0, key->type->size);
	if (key->type->unset)
		*(uint64_t *)field = SPEC_UNSET;
	return key->fallback ? key->type->parse(setting, key->fallback) : 0;
}

int key_set_defaults(const struct key_table *table, void *target, struct arena *arena)
{
	struct setting setting = {.target = target, .arena = arena};

	for (size_t i = 0; i < table->n_keys; i++) {
		int error;

		setting.key = &table->keys[i];
		error = set_default(&setting);
		if (error < 0)
			return error;
	}
	return 0;
}

int key_apply(struct setting *setting, const struct unit *unit, const struct assignment *a, struct diag *diag)
{
	const struct key *key = a->known;
	int error = 0;

	setting->key = key;
	setting->origin = (struct origin){.file = unit->path, .line = a->line};
	setting->message[0] = '\0';
	if (*a->value)
		error = key->type->parse(setting, a->value);
	else if (key->type->reset)
		key->type->reset(setting);
	else
		error = set_default(setting);
	if (error == -ENOMEM)
		return diag_set(diag, error, unit->path, a->line, "out of memory");
	if (error < 0)
		return diag_set(diag, error, unit->path, a->line, "%s=%.64s%s: %s", key->name, a->value,
				strlen(a->value) > 64 ? "..." : "", setting->message);
	return 0;
}

void key_print(const struct key *key, const void *target, const void *defaults, bool all, FILE *out)
{
	const void *field = key_field_const(key, target);
	bool same;

	if (key->type->print) {
		key->type->print(key, target, all, out);
		return;
	}
	if (!key->type->format)
		return;
	same = memcmp(field, key_field_const(key, defaults), key->type->size) == 0;
	if (same && !all)
		return;
	fprintf(out, "%s=", key->name);
	if (!key->type->unset || *(const uint64_t *)field != SPEC_UNSET)
		key->type->format(key, field, out);
	putc('\n', out);
}
