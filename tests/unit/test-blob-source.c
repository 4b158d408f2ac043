/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "blob-source.h"

#define MIB   (1024 * 1024)
#define BLOCK 512

/* A tar archive, compressed. */
struct blob {
	struct archive *archive;
	char data[8 * MIB];
	size_t bytes;
};

static void blob_begin(struct blob *blob, int (*filter)(struct archive *))
{
	blob->archive = archive_write_new();
	assert_non_null(blob->archive);
	assert_int_equal(filter(blob->archive), ARCHIVE_OK);
	assert_int_equal(archive_write_set_format_raw(blob->archive), ARCHIVE_OK);
	assert_int_equal(archive_write_open_memory(blob->archive, blob->data, sizeof blob->data, &blob->bytes),
			 ARCHIVE_OK);
}

static void blob_header(struct blob *blob)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_filetype(entry, AE_IFREG);
	assert_int_equal(archive_write_header(blob->archive, entry), ARCHIVE_OK);
	archive_entry_free(entry);
}

/* As tar(5) has them: a header, then its content, all zero. */
static void blob_add(struct blob *blob, const char *name, char type, size_t size)
{
	static const char zeros[MIB];
	char header[BLOCK] = "";
	unsigned sum = 8 * ' ';

	snprintf(header, 100, "%s", name);
	memcpy(header + 100, "0000644", 8);
	snprintf(header + 124, 12, "%011zo", size);
	memcpy(header + 257, "ustar  ", 8);
	header[156] = type;
	if (type == 'S')
		memcpy(header + 483, "00000000000", 11); /* its size without what is sparse */
	for (size_t i = 0; i < sizeof header; i++)
		sum += (unsigned char)header[i];
	snprintf(header + 148, 8, "%06o", sum);
	header[155] = ' ';
	assert_int_equal(archive_write_data(blob->archive, header, sizeof header), sizeof header);
	assert_int_equal(size % sizeof zeros, 0);
	for (; size > 0; size -= sizeof zeros)
		assert_int_equal(archive_write_data(blob->archive, zeros, sizeof zeros), sizeof zeros);
}

static void blob_end(struct blob *blob)
{
	static const char end[2 * BLOCK];

	assert_int_equal(archive_write_data(blob->archive, end, sizeof end), sizeof end);
	assert_int_equal(archive_write_free(blob->archive), ARCHIVE_OK);
}

static void put_on_stdin(const void *data, size_t bytes)
{
	int fd = memfd_create("blob", MFD_CLOEXEC);

	assert_return_code(fd, errno);
	assert_int_equal(write(fd, data, bytes), bytes);
	assert_return_code(lseek(fd, 0, SEEK_SET), errno);
	assert_return_code(dup2(fd, STDIN_FILENO), errno);
	close(fd);
}

/* Goes from header to header, as who wants none of the contents does. How many there are; -1: an error, in
 * text. */
static int read_headers(const void *data, size_t bytes, uint64_t plain_max, char text[static 128])
{
	struct archive *archive = archive_read_new();
	struct blob_source *source = calloc(1, sizeof *source);
	struct archive_entry *entry;
	int r, n = 0;

	assert_non_null(source);
	put_on_stdin(data, bytes);
	assert_int_equal(archive_read_support_format_tar(archive), ARCHIVE_OK);
	assert_int_equal(blob_source_init(source, plain_max), 0);
	r = blob_source_open(source, archive);
	while (r == ARCHIVE_OK && (r = archive_read_next_header(archive, &entry)) == ARCHIVE_OK)
		n++;
	if (r != ARCHIVE_EOF)
		snprintf(text, 128, "%s", blob_source_error(source, archive));
	archive_read_free(archive);
	blob_source_finish(source);
	free(source);
	return r == ARCHIVE_EOF ? n : -1;
}

/* What an archive says of an entry's size is not what has to be decompressed to get behind it. */
static void what_is_skipped_counts(void **state)
{
	static const struct {
		char type;
		const char *name;
	} kinds[] = {{'0', ".wh..wh.plnk"}, {'S', "sparse"}, {'0', "file"}};
	static int (*const filters[])(struct archive *) = {
		archive_write_add_filter_none, archive_write_add_filter_gzip, archive_write_add_filter_zstd};
	struct blob *blob = calloc(1, sizeof *blob);
	char text[128];

	(void)state;
	assert_non_null(blob);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		for (size_t f = 0; f < sizeof filters / sizeof *filters; f++) {
			blob_begin(blob, filters[f]);
			blob_header(blob);
			blob_add(blob, kinds[i].name, kinds[i].type, 4 * MIB);
			blob_add(blob, "after", '0', 0);
			blob_end(blob);
			assert_int_equal(read_headers(blob->data, blob->bytes, 5 * MIB, text), 2);
			assert_int_equal(read_headers(blob->data, blob->bytes, 2 * MIB, text), -1);
			assert_non_null(strstr(text, "more than a layer may"));
		}
	free(blob);
}

static void damaged(void **state)
{
	struct blob *blob = calloc(1, sizeof *blob);
	char text[128];

	(void)state;
	assert_non_null(blob);
	assert_int_equal(read_headers("", 0, MIB, text), -1);
	blob_begin(blob, archive_write_add_filter_gzip);
	blob_header(blob);
	blob_add(blob, "file", '0', MIB);
	blob_end(blob);
	assert_int_equal(read_headers(blob->data, blob->bytes / 2, 2 * MIB, text), -1);
	assert_non_null(strstr(text, "gzip"));
	blob_begin(blob, archive_write_add_filter_none);
	blob_header(blob);
	blob_add(blob, "file", '0', MIB);
	blob_end(blob);
	assert_int_equal(read_headers(blob->data, MIB, 2 * MIB, text), -1);
	assert_non_null(strstr(text, "runcated"));
	free(blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_skipped_counts),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
