/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdint.h>

struct archive;

/* The blob as libarchive reads it, with its digest on the way. */
struct blob_source {
	struct sha256_ctx hash;
	uint64_t bytes, bytes_max;
	uint8_t buf[64 * 1024];
};

void blob_source_init(struct blob_source *source, uint64_t bytes);

/* Opens descriptor 0 as the archive's source. As archive_read_open(). */
int blob_source_open(struct blob_source *source, struct archive *archive);

/* Reads what the archive has left, and says whether the whole is what the digits say. -errno: -EBADMSG. */
int blob_source_check(struct blob_source *source, const char *digits);
