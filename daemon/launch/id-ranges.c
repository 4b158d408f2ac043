/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "id-ranges.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "str.h"

#define RECORD_NAME      "ids"
#define RECORD_NEW_NAME  "ids.new"
#define RECORD_BYTES_MAX (64 * 1024 * 1024)
#define RECORD_HEAD                                                                                            \
	"# The user and group ids of sites, written by torpord: FIRST COUNT SITE [PLACE...]\n"                 \
	"# To take a line out gives its ids to another site: only when no file of theirs is left.\n"

/* One line of the record. */
struct entry {
	uint32_t first;
	uint8_t kind; /* enum id_kind */
	bool held;    /* acquired by a site that has not been released */
	char *site;   /* owned */
	char *places; /* owned; as in the record, " PATH PATH..."; NULL: none */
};

struct id_ranges {
	const char *state_dir;
	char *path; /* of the record; owned */
	const struct lookup *lookup;
	uint32_t first, last;

	pthread_mutex_t writer; /* of who adds something, until it is on disk: a start of another site, and the
				   loop, do not wait for that */
	pthread_mutex_t mutex;  /* guards what follows */
	struct entry *entries;  /* by site and kind */
	size_t n, size;
};

static uint32_t count_of(enum id_kind kind)
{
	return kind == ID_RANGE ? ID_RANGE_COUNT : 1;
}

static int compare(const struct entry *entry, const char *site, enum id_kind kind)
{
	int order = strcmp(entry->site, site);

	return order ? order : (int)entry->kind - (int)kind;
}

/* Where the entry is, or would be. */
static size_t find(const struct id_ranges *ranges, enum id_kind kind, const char *site, bool *found)
{
	size_t low = 0, high = ranges->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (compare(&ranges->entries[middle], site, kind) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*found = low < ranges->n && compare(&ranges->entries[low], site, kind) == 0;
	return low;
}

static void free_entry(struct entry *entry)
{
	free(entry->site);
	free(entry->places);
}

static void remove_at(struct id_ranges *ranges, size_t at)
{
	free_entry(&ranges->entries[at]);
	ranges->n--;
	memmove(&ranges->entries[at], &ranges->entries[at + 1], (ranges->n - at) * sizeof *ranges->entries);
}

/* A new entry in its place. NULL when out of memory. */
static struct entry *insert(struct id_ranges *ranges, enum id_kind kind, const char *site)
{
	char *copy = strdup(site);
	struct entry *grown;
	bool found;
	size_t at;

	if (ranges->n == ranges->size) {
		size_t size = ranges->size ? ranges->size * 2 : 16;

		grown = realloc(ranges->entries, size * sizeof *grown);
		if (grown) {
			ranges->entries = grown;
			ranges->size = size;
		}
	}
	if (!copy || ranges->n == ranges->size) {
		free(copy);
		return NULL;
	}
	at = find(ranges, kind, site, &found);
	memmove(&ranges->entries[at + 1], &ranges->entries[at], (ranges->n - at) * sizeof *ranges->entries);
	ranges->n++;
	ranges->entries[at] = (struct entry){.kind = (uint8_t)kind, .site = copy};
	return &ranges->entries[at];
}

/* The record. */

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

static int read_line(struct id_ranges *ranges, char *line)
{
	const char *at = line;
	uint64_t first, count;
	struct entry *entry;
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
	(void)find(ranges, count == 1 ? ID_SINGLE : ID_RANGE, at, &found);
	if (!str_valid_name(at) || found)
		return -EBADMSG;
	entry = insert(ranges, count == 1 ? ID_SINGLE : ID_RANGE, at);
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
static int read_record(struct id_ranges *ranges, unsigned *line)
{
	autofree char *text = NULL;
	char *rest, *at;
	size_t size;
	unsigned number = 0;
	int r = fd_read_file(AT_FDCWD, ranges->path, RECORD_BYTES_MAX, &text, &size);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (strlen(text) != size)
		r = -EBADMSG;
	for (rest = text; (at = strsep(&rest, "\n")) && r == 0;) {
		number++;
		if (*at && *at != '#')
			r = read_line(ranges, at);
	}
	if (r < 0)
		*line = number;
	return r;
}

/* The record as it is to be, a new string; NULL when out of memory. Called with the mutex. */
static char *format_record(const struct id_ranges *ranges)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	bool failed;

	if (!out)
		return NULL;
	fputs(RECORD_HEAD, out);
	for (size_t i = 0; i < ranges->n; i++) {
		const struct entry *entry = &ranges->entries[i];

		fprintf(out, "%u %u %s%s\n", entry->first, count_of(entry->kind), entry->site,
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
static int write_record(const struct id_ranges *ranges, const char *text)
{
	autoclose int dir_fd = -EBADF, fd = -EBADF;
	int r = text ? fd_make_directories(ranges->state_dir) : -ENOMEM;

	if (r < 0)
		return r;
	dir_fd = open(ranges->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return -errno;
	fd = openat(dir_fd, RECORD_NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, text, strlen(text));
	if (r == 0 &&
	    (fsync(fd) < 0 || renameat(dir_fd, RECORD_NEW_NAME, dir_fd, RECORD_NAME) < 0 || fsync(dir_fd) < 0))
		r = -errno;
	return r;
}

int id_ranges_open(const char *state_dir, const struct lookup *lookup, uint32_t first, uint32_t last,
		   struct id_ranges **ret, unsigned *line)
{
	struct id_ranges *ranges = calloc(1, sizeof *ranges);
	int r;

	if (!ranges)
		return -ENOMEM;
	ranges->state_dir = state_dir;
	ranges->lookup = lookup;
	ranges->first = first;
	ranges->last = last;
	pthread_mutex_init(&ranges->writer, NULL);
	pthread_mutex_init(&ranges->mutex, NULL);
	if (asprintf(&ranges->path, "%s/" RECORD_NAME, state_dir) < 0)
		ranges->path = NULL;
	r = ranges->path ? read_record(ranges, line) : -ENOMEM;
	if (r < 0) {
		id_ranges_close(ranges);
		return r;
	}
	*ret = ranges;
	return 0;
}

void id_ranges_close(struct id_ranges *ranges)
{
	if (!ranges)
		return;
	for (size_t i = 0; i < ranges->n; i++)
		free_entry(&ranges->entries[i]);
	free(ranges->entries);
	free(ranges->path);
	pthread_mutex_destroy(&ranges->writer);
	pthread_mutex_destroy(&ranges->mutex);
	free(ranges);
}

const char *id_ranges_path(const struct id_ranges *ranges)
{
	return ranges->path;
}

/* Places: paths without white space, control bytes or '%' in them, which are %XX. */

static int append_place(char **places, const char *path)
{
	autofree char *word = malloc(3 * strlen(path) + 1);
	char *joined, *to = word;

	if (!word)
		return -ENOMEM;
	for (const char *from = path; *from; from++)
		if (isgraph((unsigned char)*from) && *from != '%')
			*to++ = *from;
		else
			to += sprintf(to, "%%%02X", (unsigned char)*from);
	*to = '\0';
	if (asprintf(&joined, "%s %s", *places ? *places : "", word) < 0)
		return -ENOMEM;
	free(*places);
	*places = joined;
	return 0;
}

static void decode_place(char *word)
{
	char *to = word;

	for (const char *from = word; *from; from++) {
		unsigned byte;

		if (*from == '%' && sscanf(from + 1, "%2X", &byte) == 1) {
			*to++ = (char)byte;
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
}

/* Whether something is left of any of them, as far as can be told. */
static bool places_exist(const char *places)
{
	autofree char *copy = places ? strdup(places) : NULL;
	char *rest = copy, *word;
	struct stat st;

	if (places && !copy)
		return true;
	while ((word = strsep(&rest, " "))) {
		decode_place(word);
		if (*word && (lstat(word, &st) == 0 || (errno != ENOENT && errno != ENOTDIR)))
			return true;
	}
	return false;
}

/* Whether its ids may be another's: the site is gone, and nothing that belongs to them is left. */
static bool is_free(const struct id_ranges *ranges, const struct entry *entry)
{
	autofree char *path = NULL;

	return !entry->held && lookup_find(ranges->lookup, UNIT_SITE, entry->site, &path) == -ENOENT &&
	       !places_exist(entry->places);
}

/* Ids of which the record says nothing: those of sites that are gone come last. */
static int find_unused(const struct id_ranges *ranges, enum id_kind kind, uint32_t *ret)
{
	uint32_t count = count_of(kind);
	uint32_t begin = kind == ID_RANGE ? ranges->first + ID_RANGE_COUNT : ranges->first;
	uint32_t n = kind == ID_RANGE ? (ranges->last - begin + 1) / ID_RANGE_COUNT : ID_RANGE_COUNT;
	autofree bool *taken = calloc(n, sizeof *taken);

	if (!taken)
		return -ENOMEM;
	for (size_t i = 0; i < ranges->n; i++) {
		const struct entry *entry = &ranges->entries[i];
		uint64_t end = (uint64_t)entry->first + count_of(entry->kind);

		/* One of an earlier configuration may overlap two. */
		for (uint64_t at = entry->first / count * (uint64_t)count; at < end; at += count)
			if (at >= begin && (at - begin) / count < n)
				taken[(at - begin) / count] = true;
	}
	for (uint32_t i = 0; i < n; i++)
		if (!taken[i]) {
			*ret = begin + i * count;
			return 0;
		}
	return -ENOSPC;
}

/* Ids of a site that is gone; its entry goes with it. */
static int find_left(struct id_ranges *ranges, enum id_kind kind, uint32_t *ret)
{
	for (size_t i = 0; i < ranges->n; i++) {
		const struct entry *entry = &ranges->entries[i];

		if (entry->kind != kind || entry->first < ranges->first ||
		    entry->first + count_of(kind) - 1 > ranges->last || !is_free(ranges, entry))
			continue;
		*ret = entry->first;
		remove_at(ranges, i);
		return 0;
	}
	return -ENOSPC;
}

static int add_entry(struct id_ranges *ranges, enum id_kind kind, const char *site, uint32_t *ret)
{
	struct entry *entry;
	int r = find_unused(ranges, kind, ret);

	if (r == -ENOSPC)
		r = find_left(ranges, kind, ret);
	if (r < 0)
		return r;
	entry = insert(ranges, kind, site);
	if (!entry)
		return -ENOMEM;
	entry->first = *ret;
	entry->held = true;
	return 0;
}

/* Called with the writer's mutex. */
static int add(struct id_ranges *ranges, enum id_kind kind, const char *site, uint32_t *ret)
{
	autofree char *text = NULL;
	bool found;
	int r;

	pthread_mutex_lock(&ranges->mutex);
	r = add_entry(ranges, kind, site, ret);
	if (r == 0)
		text = format_record(ranges);
	pthread_mutex_unlock(&ranges->mutex);
	if (r < 0)
		return r;
	r = write_record(ranges, text);
	if (r < 0) {
		pthread_mutex_lock(&ranges->mutex);
		remove_at(ranges, find(ranges, kind, site, &found));
		pthread_mutex_unlock(&ranges->mutex);
	}
	return r;
}

int id_ranges_acquire(struct id_ranges *ranges, enum id_kind kind, const char *site, uint32_t *ret)
{
	bool found;
	size_t at;
	int r = 0;

	pthread_mutex_lock(&ranges->mutex);
	at = find(ranges, kind, site, &found);
	if (found) {
		ranges->entries[at].held = true;
		*ret = ranges->entries[at].first;
	}
	pthread_mutex_unlock(&ranges->mutex);
	if (found)
		return 0;
	pthread_mutex_lock(&ranges->writer);
	r = add(ranges, kind, site, ret);
	pthread_mutex_unlock(&ranges->writer);
	return r;
}

static bool has_place(const char *places, const char *one)
{
	size_t length = strlen(one);

	for (const char *at = places; at && (at = strstr(at, one)); at += length)
		if (at[length] == ' ' || at[length] == '\0')
			return true;
	return false;
}

/* Puts other places into the place of an entry's, which are *places then. Called with the mutex. */
static void swap_places(struct id_ranges *ranges, enum id_kind kind, const char *site, char **places)
{
	bool found;
	size_t at = find(ranges, kind, site, &found);
	char *old = found ? ranges->entries[at].places : NULL;

	if (found)
		ranges->entries[at].places = *places;
	*places = old;
}

/* What an entry's places are to be, NULL where they are that already. Called with the mutex. */
static int join_places(const struct id_ranges *ranges, enum id_kind kind, const char *site, const char *path,
		       char **ret)
{
	autofree char *one = NULL;
	const char *places;
	bool found;
	size_t at = find(ranges, kind, site, &found);
	int r = found ? append_place(&one, path) : -ENOENT;

	if (r < 0)
		return r;
	places = ranges->entries[at].places;
	if (has_place(places, one))
		return 0;
	if (asprintf(ret, "%s%s", places ? places : "", one) < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* Called with the writer's mutex. */
static int add_place(struct id_ranges *ranges, enum id_kind kind, const char *site, const char *path)
{
	autofree char *places = NULL, *text = NULL;
	bool joined;
	int r;

	pthread_mutex_lock(&ranges->mutex);
	r = join_places(ranges, kind, site, path, &places);
	joined = r == 0 && places;
	if (joined) {
		swap_places(ranges, kind, site, &places);
		text = format_record(ranges);
	}
	pthread_mutex_unlock(&ranges->mutex);
	if (!joined)
		return r;
	r = write_record(ranges, text);
	if (r < 0) {
		pthread_mutex_lock(&ranges->mutex);
		swap_places(ranges, kind, site, &places);
		pthread_mutex_unlock(&ranges->mutex);
	}
	return r;
}

int id_ranges_add_place(struct id_ranges *ranges, enum id_kind kind, const char *site, const char *path)
{
	int r;

	pthread_mutex_lock(&ranges->writer);
	r = add_place(ranges, kind, site, path);
	pthread_mutex_unlock(&ranges->writer);
	return r;
}

void id_ranges_release(struct id_ranges *ranges, const char *site)
{
	static const enum id_kind kinds[] = {ID_RANGE, ID_SINGLE};

	pthread_mutex_lock(&ranges->mutex);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		bool found;
		size_t at = find(ranges, kinds[i], site, &found);

		if (found)
			ranges->entries[at].held = false;
	}
	pthread_mutex_unlock(&ranges->mutex);
}
