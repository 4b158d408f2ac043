/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* NAME.spec: the dump of a site's effective unit, or why it was refused. */

#include <stdio.h>
#include <stdlib.h>

#include "golden.h"
#include "spec.h"

static char *describe(const char *path)
{
	struct site_spec *spec;
	struct diag diag;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		abort();
	if (spec_load_file(&golden_lookup, path, &spec, &diag) < 0) {
		char message[sizeof diag + 64];

		fprintf(out, "refused: %s\n", diag_format(&diag, message, sizeof message));
	} else {
		spec_dump(spec, false, out);
		spec_free(spec);
	}
	fclose(out);
	return text;
}

int main(int argc, char **argv)
{
	return golden_run(argc, argv, ".spec", describe);
}
