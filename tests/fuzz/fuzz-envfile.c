/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Fuzzes the reader of EnvironmentFile=, through a file. What is read is a list of assignments with
 * names of the right form, each once; and written in quotes it reads as the same list. */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "envfile.h"
#include "fd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[] = "/tmp/torpor-fuzz.XXXXXX";

static void remove_file(void)
{
	(void)unlink(path);
}

static int read_file(const void *data, size_t size, char ***ret)
{
	static const char *const base[] = {"A=base", "PATH=/bin", NULL};
	static int fd = -1;
	const char *const files[] = {path, NULL};
	const char *file;

	if (fd < 0) {
		fd = mkostemp(path, O_CLOEXEC);
		atexit(remove_file);
	}
	if (fd < 0 || ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0 || fd_write_all(fd, data, size) < 0)
		abort();
	return envfile_read_all(base, files, ret, &file);
}

static void check_names(char *const *list)
{
	for (size_t i = 0; list[i]; i++) {
		size_t length = strcspn(list[i], "=");

		if (length == 0 || list[i][length] != '=' || (list[i][0] >= '0' && list[i][0] <= '9'))
			abort();
		if (strspn(list[i], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") !=
		    length)
			abort();
		for (size_t k = 0; k < i && i < 100; k++)
			if (strncmp(list[k], list[i], length + 1) == 0)
				abort();
	}
}

/* NAME="value", with what is special in quotes behind a backslash. */
static void check_round_trip(char *const *list)
{
	char *text = NULL, **again;
	size_t size, n = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		abort();
	for (; list[n]; n++) {
		const char *value = strchr(list[n], '=') + 1;

		fprintf(out, "%.*s\"", (int)(value - list[n]), list[n]);
		for (; *value; value++)
			fprintf(out, strchr("\"\\`$", *value) ? "\\%c" : "%c", *value);
		fputs("\"\n", out);
	}
	fclose(out);
	if (size <= ENVFILE_BYTES && n + 2 <= ENVFILE_ASSIGNMENTS_MAX) {
		if (read_file(text, size, &again) < 0)
			abort();
		for (size_t i = 0; i <= n; i++)
			if (!list[i] != !again[i] || (list[i] && strcmp(list[i], again[i]) != 0))
				abort();
		free(again);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char **list;
	int r = read_file(data, size, &list);

	if (r < 0) {
		if (r != -EINVAL && r != -E2BIG)
			abort();
		return 0;
	}
	check_names(list);
	check_round_trip(list);
	free(list);
	return 0;
}
