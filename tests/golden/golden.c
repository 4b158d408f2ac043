/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "golden.h"

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
#include "str.h"

#define EXPECTED_BYTES (1024 * 1024)

const struct lookup golden_lookup = {{".", "./run", "./lib"}};

static bool write_file(const char *path, const char *text)
{
	FILE *out = fopen(path, "we");
	bool good = out && fputs(text, out) >= 0;

	return out && fclose(out) == 0 && good;
}

bool golden_check(const char *name, const char *path, const char *actual, bool update)
{
	autofree char *expected = NULL;
	size_t size;

	if (!actual) {
		if (access(path, F_OK) < 0)
			return true;
		printf("%s is there, and %s comes to none\n", path, name);
		return update && unlink(path) == 0;
	}
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

/* Holds the text for a site against the file of its name and the suffix. */
static bool check(const char *name, const char *suffix, const char *actual, bool update)
{
	autofree char *path = NULL;

	if (asprintf(&path, "%.*s%s", (int)(strlen(name) - strlen(".site")), name, suffix) < 0)
		abort();
	return golden_check(name, path, actual, update);
}

static int is_site(const struct dirent *entry)
{
	return str_has_suffix(entry->d_name, ".site");
}

int golden_run(int argc, char **argv, const char *suffix, golden_describe *describe)
{
	bool update = argc == 3 && str_equal(argv[1], "--update");
	struct dirent **entries;
	int count, wrong = 0, described = 0;

	if (argc != 2 + update) {
		fprintf(stderr, "usage: %s [--update] DIR\n", argv[0]);
		return 2;
	}
	if (chdir(argv[argc - 1]) < 0) {
		fprintf(stderr, "%s: %s: %s\n", argv[0], argv[argc - 1], strerror(errno));
		return 2;
	}
	count = scandir(".", &entries, is_site, alphasort);
	for (int i = 0; i < count; i++) {
		autofree char *actual = describe(entries[i]->d_name);

		described += actual != NULL;
		wrong += !check(entries[i]->d_name, suffix, actual, update);
		free(entries[i]);
	}
	if (count > 0)
		free(entries);
	printf("%d sites, %d wrong\n", described, wrong);
	return described > 0 && wrong == 0 ? 0 : 1;
}
