/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* IPAddressAllow= and IPAddressDeny=: one list of rules in struct site_spec; key->parameter is whether they
 * deny. */

#include <errno.h>
#include <string.h>

#include "pack.h"
#include "source.h"
#include "type.h"
#include "words.h"

static bool is_listed(const struct site_spec *spec, const struct source_rule *rule)
{
	for (unsigned i = 0; i < spec->n_sources; i++)
		if (memcmp(&spec->sources[i], rule, sizeof *rule) == 0)
			return true;
	return false;
}

static int add(struct setting *setting, const struct source_rule *rule)
{
	struct site_spec *spec = setting->target;
	void *items = (void *)spec->sources;
	struct source_rule *item;
	int error;

	if (is_listed(spec, rule))
		return 0;
	item = setting_grow(setting, &items, spec->n_sources, SOURCE_RULES_MAX, sizeof *item, &error);
	if (!item)
		return error;
	*item = *rule;
	spec->sources = items;
	spec->n_sources++;
	return 0;
}

static int parse_sources(struct setting *setting, const char *text)
{
	for (;;) {
		struct source_rule rules[SOURCE_NAMED_MAX];
		const char *message = NULL;
		char *word;
		int n, error = words_next(&text, 0, setting->arena, &word, &message);

		if (error == -EINVAL)
			return setting_refuse(setting, "%s", message);
		if (error <= 0)
			return error;
		n = source_parse(word, setting->key->parameter, rules);
		if (n < 0)
			return setting_refuse(
				setting,
				"'%.64s': expected an address like 10.0.0.0/8 or 2001:db8::/32, or any, "
				"localhost, link-local or multicast",
				word);
		for (int i = 0; i < n; i++) {
			error = add(setting, &rules[i]);
			if (error < 0)
				return error;
		}
	}
}

/* As systemd: each of the two keys clears its own. */
static void reset_sources(struct setting *setting)
{
	struct site_spec *spec = setting->target;
	struct source_rule *rules = (void *)spec->sources;
	uint16_t kept = 0;

	for (unsigned i = 0; i < spec->n_sources; i++)
		if (rules[i].deny != setting->key->parameter)
			rules[kept++] = rules[i];
	if (kept == 0)
		spec->sources = NULL;
	spec->n_sources = kept;
}

static void print_sources(const struct key *key, const void *target, bool all, FILE *out)
{
	const struct site_spec *spec = target;
	char text[SOURCE_TEXT_BYTES];
	unsigned n = 0;

	for (unsigned i = 0; i < spec->n_sources; i++)
		if (spec->sources[i].deny == key->parameter) {
			if (n++ == 0)
				fprintf(out, "%s=", key->name);
			else
				putc(' ', out);
			fputs(source_format(&spec->sources[i], text), out);
		}
	if (n > 0)
		putc('\n', out);
	else if (all)
		fprintf(out, "%s=\n", key->name);
}

/* Once for both keys. */
static void copy_sources(const struct key *key, void *target, struct pack *pack)
{
	struct site_spec *spec = target;

	if (!key->parameter)
		spec->sources = pack_array(pack, spec->sources, spec->n_sources * sizeof *spec->sources);
}

const struct type type_sources = {
	.adds = true,
	.parse = parse_sources,
	.reset = reset_sources,
	.print = print_sources,
	.copy = copy_sources,
};
