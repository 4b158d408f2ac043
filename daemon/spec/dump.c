/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spec.h"

#include <stdlib.h>

#include "cleanup.h"
#include "defaults.h"
#include "key.h"
#include "str.h"

/* Description= and SyslogIdentifier= are the name where they are not set. */
static bool is_name(const struct site_spec *spec, const struct key *key)
{
	if (key->through)
		return false;
	return (key->offset == offsetof(struct site_spec, description) &&
		str_equal(spec->description, spec->name)) ||
	       (key->offset == offsetof(struct site_spec, syslog_identifier) &&
		str_equal(spec->syslog_identifier, spec->name));
}

static void dump(const struct site_spec *spec, bool all, bool started, FILE *out)
{
	const struct site_spec *defaults = defaults_site();
	const char *section = "";

	/* No assignment: what the templates say follows, and loading this file must not add it again. */
	if (spec->templates && !started) {
		fputs("# Template:", out);
		for (const char *const *at = spec->templates; *at; at++)
			fprintf(out, " %s", *at);
		putc('\n', out);
	}
	for (size_t i = 0; i < site_keys.n_keys; i++) {
		const struct key *key = &site_keys.keys[i];

		if (started && key->live)
			continue;
		if (!str_equal(section, key->section)) {
			fprintf(out, "%s[%s]\n", *section ? "\n" : "", key->section);
			section = key->section;
		}
		if (all || !is_name(spec, key))
			key_print(key, spec, defaults, all, out);
	}
}

void spec_dump(const struct site_spec *spec, bool all, FILE *out)
{
	dump(spec, all, false, out);
}

static char *dump_to_string(const struct site_spec *spec, bool started)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	dump(spec, true, started, out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

bool spec_same(const struct site_spec *a, const struct site_spec *b, bool started)
{
	autofree char *text_a = dump_to_string(a, started), *text_b = dump_to_string(b, started);

	return text_a && text_b && str_equal(text_a, text_b);
}
