/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "fd.h"

int memory_parse(const char *text, struct memory *ret)
{
	struct memory memory;
	const struct {
		const char *name;
		uint64_t *bytes;
	} lines[] = {
		{"MemTotal:", &memory.total_bytes},
		{"MemAvailable:", &memory.available_bytes},
		{"SwapTotal:", &memory.swap_total_bytes},
		{"SwapFree:", &memory.swap_free_bytes},
	};

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		const char *at = strstr(text, lines[i].name);
		char *end;

		if (!at)
			return -EBADMSG;
		*lines[i].bytes = strtoull(at + strlen(lines[i].name), &end, 10) * 1024;
		if (strncmp(end, " kB", 3) != 0)
			return -EBADMSG;
	}
	*ret = memory;
	return 0;
}

int memory_read(struct memory *ret)
{
	char text[8192];
	ssize_t n = fd_read_attribute(AT_FDCWD, "/proc/meminfo", text, sizeof text);

	return n < 0 ? (int)n : memory_parse(text, ret);
}
