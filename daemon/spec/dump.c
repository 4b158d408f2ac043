/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spec.h"

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

void spec_dump(const struct site_spec *spec, bool all, FILE *out)
{
	const struct site_spec *defaults = defaults_site();
	const char *section = "";

	/* No assignment: what the templates say follows, and loading this file must not add it again. */
	if (spec->templates) {
		fputs("# Template:", out);
		for (const char *const *at = spec->templates; *at; at++)
			fprintf(out, " %s", *at);
		putc('\n', out);
	}
	for (size_t i = 0; i < site_keys.n_keys; i++) {
		const struct key *key = &site_keys.keys[i];

		if (!str_equal(section, key->section)) {
			fprintf(out, "%s[%s]\n", *section ? "\n" : "", key->section);
			section = key->section;
		}
		if (all || !is_name(spec, key))
			key_print(key, spec, defaults, all, out);
	}
}
