/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "id-ranges.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "cleanup.h"
#include "id-place.h"

struct id_ranges {
	const char *state_dir;
	char *path; /* of the record; owned */
	const struct lookup *lookup;
	uint32_t first, last;

	pthread_mutex_t writer; /* of who adds something, until it is on disk: a start of another site, and the
				   loop, do not wait for that */
	pthread_mutex_t mutex;  /* guards what follows */
	struct id_record record;
};

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
	if (asprintf(&ranges->path, "%s/" ID_RECORD_NAME, state_dir) < 0)
		ranges->path = NULL;
	r = ranges->path ? id_record_read(&ranges->record, ranges->path, line) : -ENOMEM;
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
	id_record_finish(&ranges->record);
	free(ranges->path);
	pthread_mutex_destroy(&ranges->writer);
	pthread_mutex_destroy(&ranges->mutex);
	free(ranges);
}

const char *id_ranges_path(const struct id_ranges *ranges)
{
	return ranges->path;
}

/* Whether its ids may be another's: the site is gone, and nothing that belongs to them is left. */
static bool is_free(const struct id_ranges *ranges, const struct id_entry *entry)
{
	autofree char *path = NULL;

	return !entry->held && lookup_find(ranges->lookup, UNIT_SITE, entry->site, &path) == -ENOENT &&
	       !id_places_exist(entry->places);
}

/* Ids of which the record says nothing: those of sites that are gone come last. */
static int find_unused(const struct id_ranges *ranges, enum id_kind kind, uint32_t *ret)
{
	uint32_t count = id_kind_count(kind);
	uint32_t begin = kind == ID_RANGE ? ranges->first + ID_RANGE_COUNT : ranges->first;
	uint32_t n = kind == ID_RANGE ? (ranges->last - begin + 1) / ID_RANGE_COUNT : ID_RANGE_COUNT;
	autofree bool *taken = calloc(n, sizeof *taken);

	if (!taken)
		return -ENOMEM;
	for (size_t i = 0; i < ranges->record.n; i++) {
		const struct id_entry *entry = &ranges->record.entries[i];
		uint64_t end = (uint64_t)entry->first + id_kind_count(entry->kind);

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
	for (size_t i = 0; i < ranges->record.n; i++) {
		const struct id_entry *entry = &ranges->record.entries[i];

		if (entry->kind != kind || entry->first < ranges->first ||
		    entry->first + id_kind_count(kind) - 1 > ranges->last || !is_free(ranges, entry))
			continue;
		*ret = entry->first;
		id_record_remove(&ranges->record, i);
		return 0;
	}
	return -ENOSPC;
}

static int add_entry(struct id_ranges *ranges, enum id_kind kind, const char *site, uint32_t *ret)
{
	struct id_entry *entry;
	int r = find_unused(ranges, kind, ret);

	if (r == -ENOSPC)
		r = find_left(ranges, kind, ret);
	if (r < 0)
		return r;
	entry = id_record_insert(&ranges->record, kind, site);
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
		text = id_record_format(&ranges->record);
	pthread_mutex_unlock(&ranges->mutex);
	if (r < 0)
		return r;
	r = id_record_write(ranges->state_dir, text);
	if (r < 0) {
		pthread_mutex_lock(&ranges->mutex);
		id_record_remove(&ranges->record, id_record_find(&ranges->record, kind, site, &found));
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
	at = id_record_find(&ranges->record, kind, site, &found);
	if (found) {
		ranges->record.entries[at].held = true;
		*ret = ranges->record.entries[at].first;
	}
	pthread_mutex_unlock(&ranges->mutex);
	if (found)
		return 0;
	pthread_mutex_lock(&ranges->writer);
	r = add(ranges, kind, site, ret);
	pthread_mutex_unlock(&ranges->writer);
	return r;
}

/* Puts other places into the place of an entry's, which are *places then. Called with the mutex. */
static void swap_places(struct id_record *record, enum id_kind kind, const char *site, char **places)
{
	bool found;
	size_t at = id_record_find(record, kind, site, &found);
	char *old = found ? record->entries[at].places : NULL;

	if (found)
		record->entries[at].places = *places;
	*places = old;
}

/* Called with the writer's mutex. */
static int add_place(struct id_ranges *ranges, enum id_kind kind, const char *site, const char *path)
{
	autofree char *places = NULL, *text = NULL;
	bool found;
	size_t at;
	int r = -ENOENT;

	pthread_mutex_lock(&ranges->mutex);
	at = id_record_find(&ranges->record, kind, site, &found);
	if (found)
		r = id_places_join(ranges->record.entries[at].places, path, &places);
	if (r > 0) {
		swap_places(&ranges->record, kind, site, &places);
		text = id_record_format(&ranges->record);
	}
	pthread_mutex_unlock(&ranges->mutex);
	if (r <= 0)
		return r;
	r = id_record_write(ranges->state_dir, text);
	if (r < 0) {
		pthread_mutex_lock(&ranges->mutex);
		swap_places(&ranges->record, kind, site, &places);
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
		size_t at = id_record_find(&ranges->record, kinds[i], site, &found);

		if (found)
			ranges->record.entries[at].held = false;
	}
	pthread_mutex_unlock(&ranges->mutex);
}
