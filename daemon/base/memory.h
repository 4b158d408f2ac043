/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* The host's memory, from /proc/meminfo, in bytes. */
struct memory {
	uint64_t total_bytes, available_bytes;
	uint64_t swap_total_bytes, swap_free_bytes;
};

/* -errno; -EBADMSG where a line is missing. */
int memory_read(struct memory *ret);

/* Reads the text of /proc/meminfo. Bare for tests. */
int memory_parse(const char *text, struct memory *ret);
