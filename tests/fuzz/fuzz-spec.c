/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Fuzzes the reader of units. The input is one or more files, NUL between them, from the furthest template to
 * the site. Nothing may crash; and what loads must, dumped and loaded again, come to the same dump. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "key.h"
#include "spec.h"
#include "unit.h"

#define FILES_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct lookup lookup = {{"/nonexistent/etc", "/nonexistent/run", "/nonexistent/lib"}};

static struct site_spec *build(struct unit *const *units, size_t n)
{
	struct build_input input = {
		.lookup = &lookup, .name = "a:b", .path = "x", .units = units, .n_units = n};
	struct site_spec *spec = NULL;
	struct diag diag;
	char text[64];

	if (build_spec(&input, &spec, &diag) < 0)
		diag_format(&diag, text, sizeof text);
	return spec;
}

static char *dump(const struct site_spec *spec, bool all, size_t *size)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, size);

	if (!out)
		abort();
	spec_dump(spec, all, out);
	fclose(out);
	return text;
}

/* Whether a line is too long for a file: escapes and what specifiers stand for can make it so. */
static bool too_long(const char *text, size_t size)
{
	for (const char *newline; (newline = strchr(text, '\n')); text = newline + 1)
		if (newline - text > SPEC_LINE_BYTES)
			return true;
	return size > SPEC_FILE_BYTES;
}

static void check_round_trip(const struct site_spec *spec, bool all)
{
	size_t size, size_again;
	char *text = dump(spec, all, &size), *text_again;
	struct site_spec *again;
	struct unit *unit;
	struct diag diag;

	if (!too_long(text, size)) {
		if (unit_parse("dump", text, size, &unit, &diag) < 0 ||
		    key_resolve(&site_keys, unit, &diag) < 0) {
			fprintf(stderr, "%u: %s\n%s", diag.line, diag.message, text);
			abort();
		}
		again = build(&unit, 1);
		if (!again) {
			fprintf(stderr, "refused:\n%s", text);
			abort();
		}
		text_again = dump(again, all, &size_again);
		if (strcmp(text, text_again) != 0) {
			fprintf(stderr, "%s---\n%s", text, text_again);
			abort();
		}
		free(text_again);
		spec_free(again);
		unit_unref(unit);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct unit *units[FILES_MAX];
	const char *at = (const char *)data;
	struct site_spec *spec = NULL;
	struct diag diag;
	size_t n = 0;
	int error = 0;

	while (error == 0 && n < FILES_MAX) {
		const char *end = size > 0 ? memchr(at, '\0', size) : NULL;
		size_t length = end && n + 1 < FILES_MAX ? (size_t)(end - at) : size;

		error = unit_parse("x", at, length, &units[n], &diag);
		if (error == 0)
			error = key_resolve(&site_keys, units[n++], &diag);
		if (length == size)
			break;
		at += length + 1;
		size -= length + 1;
	}
	if (error == 0)
		spec = build(units, n);
	if (spec) {
		check_round_trip(spec, false);
		check_round_trip(spec, true);
		spec_free(spec);
	}
	while (n > 0)
		unit_unref(units[--n]);
	return 0;
}
