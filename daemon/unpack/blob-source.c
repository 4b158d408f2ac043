/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "blob-source.h"

#include <archive.h>
#include <errno.h>
#include <unistd.h>

int blob_source_init(struct blob_source *source, uint64_t plain_max)
{
	source->plain_bytes = 0;
	source->plain_max = plain_max;
	source->blob = archive_read_new();
	return source->blob ? 0 : -ENOMEM;
}

void blob_source_finish(struct blob_source *source)
{
	archive_read_free(source->blob);
	source->blob = NULL;
}

static ssize_t on_read(struct archive *archive, void *context, const void **ret)
{
	struct blob_source *source = context;
	ssize_t n;

	do
		n = read(STDIN_FILENO, source->buf, sizeof source->buf);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		archive_set_error(archive, errno, "the blob cannot be read");
	*ret = source->buf;
	return n;
}

/* What the reader of the archive skips is decompressed like all else: it is counted here, where nothing that an
 * entry says of its size changes anything. */
static ssize_t on_read_plain(struct archive *archive, void *context, const void **ret)
{
	struct blob_source *source = context;
	int64_t offset;
	size_t size;
	int r = archive_read_data_block(source->blob, ret, &size, &offset);

	(void)archive;
	if (r == ARCHIVE_EOF)
		return 0;
	if (r != ARCHIVE_OK)
		return -1;
	source->plain_bytes += size;
	return source->plain_bytes > source->plain_max ? -1 : (ssize_t)size;
}

int blob_source_open(struct blob_source *source, struct archive *archive)
{
	struct archive_entry *entry;

	if (archive_read_support_filter_gzip(source->blob) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(source->blob) != ARCHIVE_OK ||
	    archive_read_support_format_raw(source->blob) != ARCHIVE_OK ||
	    archive_read_open(source->blob, source, NULL, on_read, NULL) != ARCHIVE_OK ||
	    archive_read_next_header(source->blob, &entry) != ARCHIVE_OK)
		return ARCHIVE_FATAL;
	return archive_read_open(archive, source, NULL, on_read_plain, NULL);
}

/* Who reads from the source takes its errors for an early end, and says so. */
const char *blob_source_error(const struct blob_source *source, struct archive *archive)
{
	if (source->plain_bytes > source->plain_max)
		return "holds more than a layer may, unpacked";
	return archive_error_string(archive_errno(source->blob) ? source->blob : archive);
}
