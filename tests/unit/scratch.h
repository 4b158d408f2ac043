/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <assert.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "lookup.h"

/* Three lookup folders below a temporary one, for tests that read files. */
struct scratch {
	char root[32];
	char dirs[3][48];
	struct lookup lookup;
};

static inline void scratch_init(struct scratch *scratch)
{
	static const char *const names[] = {"etc", "run", "lib"};

	strcpy(scratch->root, "/tmp/torpor-test-XXXXXX");
	if (!mkdtemp(scratch->root))
		abort();
	for (int i = 0; i < 3; i++) {
		stpcpy(stpcpy(stpcpy(scratch->dirs[i], scratch->root), "/"), names[i]);
		if (fd_make_directories(scratch->dirs[i]) < 0)
			abort();
		scratch->lookup.dirs[i] = scratch->dirs[i];
	}
}

static inline int scratch_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void scratch_finish(struct scratch *scratch)
{
	nftw(scratch->root, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path of "etc/sites/a.site" below the root; valid until the eighth next call. */
static inline const char *scratch_path(const struct scratch *scratch, const char *relative)
{
	static char paths[8][512];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof paths[0], "%s/%s", scratch->root, relative);
	return path;
}

static inline void scratch_write_bytes(const struct scratch *scratch, const char *relative, const void *data,
				       size_t size)
{
	const char *path = scratch_path(scratch, relative);
	char folder[512];
	FILE *file;

	snprintf(folder, sizeof folder, "%s", path);
	*strrchr(folder, '/') = '\0';
	if (fd_make_directories(folder) < 0)
		abort();
	file = fopen(path, "we");
	if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
		abort();
}

static inline void scratch_write(const struct scratch *scratch, const char *relative, const char *text)
{
	scratch_write_bytes(scratch, relative, text, strlen(text));
}
