/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

struct archive;

/* The blob as libarchive reads it: with its digest on the way, and decompressed for another archive, which gets
 * no more than a bound, whether it copies or skips what it reads. */
struct blob_source {
	struct archive *blob;            /* owned: decompresses */
	uint64_t plain_bytes, plain_max; /* decompressed */
	uint8_t buf[64 * 1024];
};

/* plain_max: of what it may decompress to. -ENOMEM. */
int blob_source_init(struct blob_source *source, uint64_t plain_max);

/* A source that is all zero is fine. */
void blob_source_finish(struct blob_source *source);

/* Opens descriptor 0, decompressed, as the archive's source. As archive_read_open(). */
int blob_source_open(struct blob_source *source, struct archive *archive);

/* What went wrong: with the source, or else with the archive that reads it. As archive_error_string(). */
const char *blob_source_error(const struct blob_source *source, struct archive *archive);
