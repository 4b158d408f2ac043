/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "id-record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "str.h"

#define RECORD_NEW_NAME  ID_RECORD_NAME ".new"
#define RECORD_BYTES_MAX (64 * 1024 * 1024)
#define RECORD_HEAD                                                                                            \
	"# The user and group ids of sites, written by torpord: FIRST COUNT SITE [PLACE...]\n"                 \
	"# To take a line out gives its ids to another site: only when no file of theirs is left.\n"

uint32_t id_kind_count(enum id_kind kind)
{
	return kind == ID_RANGE ? ID_RANGE_COUNT : 1;
}

static int compare(const struct id_entry *entry, const char *site, enum id_kind kind)
{
	int order = strcmp(entry->site, site);

	return order ? order : (int)entry->kind - (int)kind;
}

size_t id_record_find(const struct id_record *record, enum id_kind kind, const char *site, bool *found)
{
	size_t low = 0, high = record->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (compare(&record->entries[middle], site, kind) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*found = low < record->n && compare(&record->entries[low], site, kind) == 0;
	return low;
}

static void free_entry(struct id_entry *entry)
{
	free(entry->site);
	free(entry->places);
}

void id_record_remove(struct id_record *record, size_t at)
{
	free_entry(&record->entries[at]);
	record->n--;
	memmove(&record->entries[at], &record->entries[at + 1], (record->n - at) * sizeof *record->entries);
}

struct id_entry *id_record_insert(struct id_record *record, enum id_kind kind, const char *site)
{
	char *copy = strdup(site);
	struct id_entry *grown;
	bool found;
	size_t at;

	if (record->n == record->size) {
		size_t size = record->size ? record->size * 2 : 16;

		grown = realloc(record->entries, size * sizeof *grown);
		if (grown) {
			record->entries = grown;
			record->size = size;
		}
	}
	if (!copy || record->n == record->size) {
		free(copy);
		return NULL;
	}
	at = id_record_find(record, kind, site, &found);
	memmove(&record->entries[at + 1], &record->entries[at], (record->n - at) * sizeof *record->entries);
	record->n++;
	record->entries[at] = (struct id_entry){.kind = (uint8_t)kind, .site = copy};
	return &record->entries[at];
}

static int read_number(const char **at, uint64_t max, uint64_t *ret)
{
	const char *from = *at;
	char text[24] = "";
	size_t n = strcspn(from, " ");

	if (n == 0 || n >= sizeof text || from[n] != ' ')
		return -EBADMSG;
	memcpy(text, from, n);
	*at = from + n + 1;
	return str_to_u64(text, ret) < 0 || *ret > max ? -EBADMSG : 0;
}

static int read_line(struct id_record *record, char *line)
{
	const char *at = line;
	uint64_t first, count;
	struct id_entry *entry;
	size_t name;
	bool found;
	char *rest;

	if (read_number(&at, UINT32_MAX, &first) < 0 || read_number(&at, ID_RANGE_COUNT, &count) < 0 ||
	    (count != 1 && count != ID_RANGE_COUNT) || first + count > UINT32_MAX)
		return -EBADMSG;
	name = strcspn(at, " ");
	rest = (char *)at + name;
	if (*rest) {
		*rest++ = '\0';
		if (*rest != '/')
			return -EBADMSG;
	}
	(void)id_record_find(record, count == 1 ? ID_SINGLE : ID_RANGE, at, &found);
	if (!str_valid_name(at) || found)
		return -EBADMSG;
	entry = id_record_insert(record, count == 1 ? ID_SINGLE : ID_RANGE, at);
	if (!entry)
		return -ENOMEM;
	entry->first = (uint32_t)first;
	if (*rest && asprintf(&entry->places, " %s", rest) < 0) {
		entry->places = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* A record that was not written to its end is never in place: every line of it has to be whole. */
int id_record_read(struct id_record *record, const char *path, unsigned *line)
{
	autofree char *text = NULL;
	char *rest, *at;
	size_t size;
	unsigned number = 0;
	int r = fd_read_file(AT_FDCWD, path, RECORD_BYTES_MAX, &text, &size);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (strlen(text) != size)
		r = -EBADMSG;
	for (rest = text; (at = strsep(&rest, "\n")) && r == 0;) {
		number++;
		if (*at && *at != '#')
			r = read_line(record, at);
	}
	if (r < 0)
		*line = number;
	return r;
}

char *id_record_format(const struct id_record *record)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	bool failed;

	if (!out)
		return NULL;
	fputs(RECORD_HEAD, out);
	for (size_t i = 0; i < record->n; i++) {
		const struct id_entry *entry = &record->entries[i];

		fprintf(out, "%u %u %s%s\n", entry->first, id_kind_count(entry->kind), entry->site,
			entry->places ? entry->places : "");
	}
	failed = ferror(out);
	if (fclose(out) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}

/* All of it anew, in place at once: whatever happens, the old record is there, or the new one. */
int id_record_write(const char *state_dir, const char *text)
{
	autoclose int dir_fd = -EBADF, fd = -EBADF;
	int r = text ? fd_make_directories(state_dir) : -ENOMEM;

	if (r < 0)
		return r;
	dir_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return -errno;
	fd = openat(dir_fd, RECORD_NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, text, strlen(text));
	if (r == 0 && (fsync(fd) < 0 || renameat(dir_fd, RECORD_NEW_NAME, dir_fd, ID_RECORD_NAME) < 0 ||
		       fsync(dir_fd) < 0))
		r = -errno;
	return r;
}

void id_record_finish(struct id_record *record)
{
	for (size_t i = 0; i < record->n; i++)
		free_entry(&record->entries[i]);
	free(record->entries);
	*record = (struct id_record){0};
}
