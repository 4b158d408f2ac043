/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "blob-source.h"

#include <archive.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void blob_source_init(struct blob_source *source, uint64_t bytes)
{
	sha256_init(&source->hash);
	source->bytes = 0;
	source->bytes_max = bytes;
}

/* No more than the blob should have: what comes behind it is nobody's. */
static ssize_t read_some(struct blob_source *source)
{
	uint64_t left = source->bytes_max - source->bytes;
	ssize_t n;

	do
		n = read(STDIN_FILENO, source->buf, left < sizeof source->buf ? left : sizeof source->buf);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		sha256_update(&source->hash, (size_t)n, source->buf);
		source->bytes += (uint64_t)n;
	}
	return n;
}

static ssize_t on_read(struct archive *archive, void *context, const void **ret)
{
	struct blob_source *source = context;
	ssize_t n = read_some(source);

	if (n < 0)
		archive_set_error(archive, errno, "the blob cannot be read");
	*ret = source->buf;
	return n;
}

int blob_source_open(struct blob_source *source, struct archive *archive)
{
	return archive_read_open(archive, source, NULL, on_read, NULL);
}

int blob_source_check(struct blob_source *source, const char *digits)
{
	uint8_t hash[SHA256_DIGEST_SIZE], byte;
	char found[2 * SHA256_DIGEST_SIZE + 1];
	ssize_t n;

	while ((n = read_some(source)) > 0)
		;
	if (n < 0)
		return -errno;
	if (source->bytes != source->bytes_max || read(STDIN_FILENO, &byte, 1) != 0)
		return -EBADMSG;
	sha256_digest(&source->hash, sizeof hash, hash);
	for (size_t i = 0; i < sizeof hash; i++)
		snprintf(found + 2 * i, 3, "%02x", hash[i]);
	return strcmp(found, digits) == 0 ? 0 : -EBADMSG;
}
