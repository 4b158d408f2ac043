/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs a fuzz target over files and folders of files: what the corpus holds must stay found and fixed. Takes
 * the place of libFuzzer's main where the compiler has none. */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fd.h"

#define INPUT_BYTES (64 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replayed;

static int replay(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char *data;
	size_t size;
	int error;

	(void)st;
	(void)ftw;
	if (type != FTW_F)
		return 0;
	error = fd_read_file(AT_FDCWD, path, INPUT_BYTES, &data, &size);
	if (error < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(-error));
		return 1;
	}
	fprintf(stderr, "%s\n", path);
	/* A block of exactly the size: a sanitizer sees each byte that is read past it. */
	uint8_t *exact = malloc(size);

	if (size > 0)
		memcpy(exact, data, size);
	free(data);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	replayed++;
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (nftw(argv[i], replay, 16, FTW_PHYS) != 0)
			return 1;
	printf("%u inputs\n", replayed);
	return replayed > 0 ? 0 : 1;
}
