/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* torpor-unpack: one layer of an image, a tar archive, into a folder. Its maker is not trusted:
 * see confine.h for what is left to it should libarchive have a hole, unpack-protocol.h for how torpord calls
 * it. */

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blob-source.h"
#include "confine.h"
#include "fd.h"
#include "str.h"
#include "unpack-protocol.h"
#include "whiteout.h"

#define ENTRIES_MAX   4000000
#define UNPACKED_MAX  (INT64_C(64) << 30) /* bytes: what a few kilobytes can say they hold */
#define NAME_PART_MAX 255

struct layer {
	struct archive *from, *to;
	struct blob_source source;
	struct whiteouts whiteouts;
	uint64_t entries;
};

static void say(char kind, const char *text)
{
	char record[UNPACK_RECORD_BYTES];
	int n = snprintf(record, sizeof record, "%c%s", kind, text);

	if (n < 0 || (size_t)n >= sizeof record)
		n = sizeof record - 1;
	if (fd_write_all(STDOUT_FILENO, record, (size_t)n + 1) < 0)
		_exit(EXIT_FAILURE);
}

__attribute__((format(printf, 1, 2))) static int refuse(const char *format, ...)
{
	char text[480];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	say(UNPACK_ERROR, text);
	return -EBADMSG;
}

static void say_opaque(const char *path)
{
	say(UNPACK_OPAQUE, path);
}

/* A path of the archive, normal and relative in place: "./a//b/" is "a/b". NULL where it leads out, or nowhere.
 */
static char *normal_path(char *path)
{
	char *at = path, *to = path;

	if (*path == '/' || strlen(path) > UNPACK_PATH_MAX)
		return NULL;
	while (*at) {
		size_t length = strcspn(at, "/");

		if (length > NAME_PART_MAX || (length == 2 && at[0] == '.' && at[1] == '.'))
			return NULL;
		if (length > 0 && !(length == 1 && *at == '.')) {
			if (to > path)
				*to++ = '/';
			memmove(to, at, length);
			to += length;
		}
		at += length + (at[length] == '/');
	}
	if (to == path)
		*to++ = '.';
	*to = '\0';
	return path;
}

static const char *kind_name(const struct archive_entry *entry)
{
	switch (archive_entry_filetype((struct archive_entry *)entry)) {
	case AE_IFCHR:
	case AE_IFBLK:
		return "a device";
	case AE_IFSOCK:
		return "a socket";
	default:
		return "of a kind that is not known";
	}
}

static bool is_wanted(struct archive_entry *entry)
{
	switch (archive_entry_filetype(entry)) {
	case AE_IFREG:
	case AE_IFDIR:
	case AE_IFLNK:
	case AE_IFIFO:
		return true;
	default:
		return archive_entry_hardlink(entry) != NULL;
	}
}

static int copy_data(struct layer *layer, const char *path)
{
	const void *data;
	int64_t offset;
	size_t size;
	int r;

	while ((r = archive_read_data_block(layer->from, &data, &size, &offset)) == ARCHIVE_OK) {
		if (offset > UNPACKED_MAX)
			return refuse("%s: more than %lld bytes, unpacked", path, (long long)UNPACKED_MAX);
		if (archive_write_data_block(layer->to, data, size, offset) < ARCHIVE_OK)
			return refuse("%s: %s", path, archive_error_string(layer->to));
	}
	return r == ARCHIVE_EOF ? 0 : refuse("%s: %s", path, blob_source_error(&layer->source, layer->from));
}

/* An entry that is what it is, with its owner and mode; nothing else of it is kept. */
static int write_entry(struct layer *layer, struct archive_entry *entry, const char *path)
{
	const char *target = archive_entry_hardlink(entry);
	int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
	char link[UNPACK_PATH_MAX + 1];
	int r;

	if (!is_wanted(entry))
		return refuse("%s is %s: refused", path, kind_name(entry));
	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return refuse("%s has an owner that is no number of a user", path);
	if (target) {
		if (strlen(target) >= sizeof link || !normal_path(strcpy(link, target)))
			return refuse("%s is a hard link out of the layer: refused", path);
		archive_entry_set_hardlink(entry, link);
	}
	archive_entry_set_pathname(entry, path);
	archive_entry_xattr_clear(entry);
	archive_entry_acl_clear(entry);
	archive_entry_set_fflags(entry, 0, 0);
	r = archive_write_header(layer->to, entry);
	if (r == ARCHIVE_OK && !target && archive_entry_filetype(entry) == AE_IFREG) {
		int error = copy_data(layer, path);

		if (error < 0)
			return error;
	}
	if (r == ARCHIVE_OK)
		r = archive_write_finish_entry(layer->to);
	return r == ARCHIVE_OK ? 0 : refuse("%s: %s", path, archive_error_string(layer->to));
}

static int take_entry(struct layer *layer, struct archive_entry *entry)
{
	const char *name = archive_entry_pathname(entry);
	char path[UNPACK_PATH_MAX + 1], shown[256];
	int r;

	if (++layer->entries > ENTRIES_MAX)
		return refuse("more than %d entries", ENTRIES_MAX);
	str_escape(name ? name : "(a name that is no text)", shown, sizeof shown);
	if (!name || strlen(name) >= sizeof path || !normal_path(strcpy(path, name)))
		return refuse("%s leads out of the layer: refused", shown);
	switch (whiteout_kind(path)) {
	case WHITEOUT_NONE:
		return write_entry(layer, entry, path);
	case WHITEOUT_IGNORED:
		return 0;
	case WHITEOUT_WRONG:
		return refuse("%s is a wrong whiteout", shown);
	default:
		r = whiteouts_add(&layer->whiteouts, path);
		return r < 0 ? refuse("%s: %s", shown, strerror(-r)) : 0;
	}
}

static int unpack(struct layer *layer)
{
	struct archive_entry *entry;
	const char *path = "";
	int r, error = 0;

	if (blob_source_open(&layer->source, layer->from) != ARCHIVE_OK)
		return refuse("%s", blob_source_error(&layer->source, layer->from));
	while ((r = archive_read_next_header(layer->from, &entry)) == ARCHIVE_OK && error == 0)
		error = take_entry(layer, entry);
	if (error < 0)
		return error;
	if (r != ARCHIVE_EOF)
		return refuse("%s", blob_source_error(&layer->source, layer->from));
	error = whiteouts_make(&layer->whiteouts, say_opaque, &path);
	if (error < 0)
		return refuse("%s: %s", path, strerror(-error));
	/* Modes and times of folders are set in the end. */
	if (archive_write_close(layer->to) != ARCHIVE_OK)
		return refuse("%s", archive_error_string(layer->to));
	return 0;
}

static void layer_destroy(struct layer *layer)
{
	if (!layer)
		return;
	whiteouts_finish(&layer->whiteouts);
	archive_read_free(layer->from);
	blob_source_finish(&layer->source);
	archive_write_free(layer->to);
	free(layer);
}

static bool set_up_archives(const struct layer *layer)
{
	const int flags = ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME |
			  ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT |
			  ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS;

	return layer->from && layer->to && archive_read_support_format_tar(layer->from) == ARCHIVE_OK &&
	       archive_write_disk_set_options(layer->to, flags) == ARCHIVE_OK;
}

static struct layer *layer_create(void)
{
	struct layer *layer = calloc(1, sizeof *layer);

	if (!layer)
		return NULL;
	layer->from = archive_read_new();
	layer->to = archive_write_disk_new();
	if (!set_up_archives(layer) || blob_source_init(&layer->source, UNPACKED_MAX) < 0) {
		layer_destroy(layer);
		return NULL;
	}
	return layer;
}

int main(void)
{
	struct layer *layer;
	int r;

	(void)setlocale(LC_CTYPE, "C.UTF-8"); /* names of archives are UTF-8, where they are not bytes */
	layer = layer_create();
	r = layer ? confine(UNPACK_FOLDER_FD) : -ENOMEM;
	if (r < 0)
		(void)refuse("torpor-unpack cannot begin: %s", strerror(-r));
	else
		(void)unpack(layer);
	layer_destroy(layer);
	return EXIT_SUCCESS;
}
