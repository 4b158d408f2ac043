/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cache.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "spec.h"
#include "str.h"

#define BUCKETS 256

struct entry {
	struct entry *next;
	struct unit_set set;
	char name[];
};

struct spec_cache {
	struct entry *buckets[BUCKETS]; /* owned */
};

/* FNV-1a. */
static size_t bucket_of(const char *name)
{
	uint32_t hash = 2166136261U;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619U;
	return hash % BUCKETS;
}

void unit_set_finish(struct unit_set *set)
{
	for (size_t i = 0; i < set->n_units; i++)
		unit_unref(set->units[i]);
	free(set->units);
	*set = (struct unit_set){0};
}

const struct unit_set *cache_find(const struct spec_cache *cache, const char *name)
{
	for (const struct entry *at = cache->buckets[bucket_of(name)]; at; at = at->next)
		if (str_equal(at->name, name))
			return &at->set;
	return NULL;
}

int cache_add(struct spec_cache *cache, const char *name, struct unit_set *set, const struct unit_set **ret)
{
	struct entry **bucket = &cache->buckets[bucket_of(name)];
	size_t size = strlen(name) + 1;
	struct entry *entry = malloc(sizeof *entry + size);

	if (!entry)
		return -ENOMEM;
	*entry = (struct entry){.next = *bucket, .set = *set};
	memcpy(entry->name, name, size);
	*set = (struct unit_set){0};
	*bucket = entry;
	*ret = &entry->set;
	return 0;
}

struct spec_cache *spec_cache_create(void)
{
	return calloc(1, sizeof(struct spec_cache));
}

void spec_cache_clear(struct spec_cache *cache)
{
	for (size_t i = 0; i < BUCKETS; i++)
		while (cache->buckets[i]) {
			struct entry *entry = cache->buckets[i];

			cache->buckets[i] = entry->next;
			unit_set_finish(&entry->set);
			free(entry);
		}
}

void spec_cache_destroy(struct spec_cache *cache)
{
	if (!cache)
		return;
	spec_cache_clear(cache);
	free(cache);
}
