/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Loads every NAME.site of a folder and compares its dump, or why it was refused, with NAME.spec. Templates are
 * in templates/ there, drop-ins in NAME.site.d/. Says what differs; exit 1 when anything does. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "spec.h"
#include "str.h"

#define EXPECTED_BYTES (1024 * 1024)

/* The folder is the working directory, so that files are named alike wherever it is. */
static const struct lookup lookup = {{".", "./run", "./lib"}};

/* A new string. */
static char *describe(const char *path)
{
	struct site_spec *spec;
	struct diag diag;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	if (spec_load_file(&lookup, path, &spec, &diag) < 0) {
		char message[sizeof diag + 64];

		fprintf(out, "refused: %s\n", diag_format(&diag, message, sizeof message));
	} else {
		spec_dump(spec, false, out);
		spec_free(spec);
	}
	return fclose(out) == 0 ? text : NULL;
}

static bool write_file(const char *path, const char *text)
{
	FILE *out = fopen(path, "we");
	bool good = out && fputs(text, out) >= 0;

	return out && fclose(out) == 0 && good;
}

/* Whether the site is as its NAME.spec says. */
static bool check(const char *name, bool update)
{
	autofree char *path = NULL, *actual = describe(name), *expected = NULL;
	size_t size;

	if (!actual || asprintf(&path, "%.*s.spec", (int)(strlen(name) - strlen(".site")), name) < 0)
		abort();
	if (update)
		return write_file(path, actual);
	if (fd_read_file(AT_FDCWD, path, EXPECTED_BYTES, &expected, &size) < 0) {
		printf("%s is missing; %s comes to:\n%s\n", path, name, actual);
		return false;
	}
	if (str_equal(actual, expected))
		return true;
	printf("%s differs from %s, which says:\n%s--- and it comes to:\n%s\n", name, path, expected, actual);
	return false;
}

static int is_site(const struct dirent *entry)
{
	return str_has_suffix(entry->d_name, ".site");
}

int main(int argc, char **argv)
{
	bool update = argc == 3 && str_equal(argv[1], "--update");
	struct dirent **entries;
	int count, wrong = 0;

	if (argc != 2 + update) {
		fprintf(stderr, "usage: golden-spec [--update] DIR\n");
		return 2;
	}
	if (chdir(argv[argc - 1]) < 0) {
		fprintf(stderr, "golden-spec: %s: %s\n", argv[argc - 1], strerror(errno));
		return 2;
	}
	count = scandir(".", &entries, is_site, alphasort);
	for (int i = 0; i < count; i++) {
		wrong += !check(entries[i]->d_name, update);
		free(entries[i]);
	}
	if (count > 0)
		free(entries);
	printf("%d sites, %d wrong\n", count, wrong);
	return count > 0 && wrong == 0 ? 0 : 1;
}
