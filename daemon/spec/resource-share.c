/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "resource-share.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "cleanup.h"
#include "defaults.h"
#include "key.h"
#include "pack.h"

static struct blob_pool pool;

static char *put(char *at, const char *text)
{
	return text ? stpcpy(at, text) + 1 : at;
}

static size_t length(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

/* What tells two apart: the struct without its pointers, which of them there are, and what they lead to. */
static char *make_key(const struct resource_spec *spec, size_t *ret_bytes)
{
	const bool there[] = {spec->allowed_cpus != NULL, spec->allowed_memory_nodes != NULL};
	size_t bytes = sizeof *spec + sizeof there + length(spec->allowed_cpus) +
		       length(spec->allowed_memory_nodes) + spec->n_io_limits * sizeof *spec->io_limits;
	struct resource_spec *numbers;
	char *key, *at;

	for (unsigned i = 0; i < spec->n_io_limits; i++)
		bytes += length(spec->io_limits[i].path);
	key = calloc(1, bytes);
	if (!key)
		return NULL;
	numbers = (void *)key;
	*numbers = *spec;
	numbers->allowed_cpus = numbers->allowed_memory_nodes = NULL;
	numbers->io_limits = NULL;
	at = mempcpy(key + sizeof *spec, there, sizeof there);
	at = put(put(at, spec->allowed_cpus), spec->allowed_memory_nodes);
	for (unsigned i = 0; i < spec->n_io_limits; i++) {
		const struct io_limit_spec limit = {.kind = spec->io_limits[i].kind,
						    .value = spec->io_limits[i].value};

		at = put(mempcpy(at, &limit, sizeof limit), spec->io_limits[i].path);
	}
	*ret_bytes = bytes;
	return key;
}

static void pack_parts(struct resource_spec *spec, struct pack *pack)
{
	struct site_spec holder = {.resources = spec};

	for (size_t i = 0; i < site_keys.n_keys; i++)
		if (site_keys.keys[i].through && site_keys.keys[i].type->copy)
			site_keys.keys[i].type->copy(&site_keys.keys[i], &holder, pack);
}

/* The struct and all it points to in one block. */
static struct resource_spec *copy(const struct resource_spec *from, size_t *ret_bytes)
{
	struct resource_spec counted = *from, *spec;
	struct pack pack = {.array_bytes = (sizeof *spec + 7) & ~(size_t)7};

	pack_parts(&counted, &pack);
	*ret_bytes = pack.array_bytes + pack.string_bytes;
	pack.block = malloc(*ret_bytes);
	if (!pack.block)
		return NULL;
	spec = (void *)pack.block;
	*spec = *from;
	pack.strings_at = pack.array_bytes;
	pack.array_bytes = (sizeof *spec + 7) & ~(size_t)7;
	pack.string_bytes = 0;
	pack_parts(spec, &pack);
	return spec;
}

int resource_share(const struct resource_spec *from, struct site_spec *spec)
{
	const struct resource_spec *defaults = defaults_site()->resources;
	autofree char *key = NULL;
	struct resource_spec *data;
	struct blob *blob;
	size_t key_bytes, bytes;

	if (memcmp(from, defaults, sizeof *defaults) == 0) {
		spec->resources = defaults;
		return 0;
	}
	key = make_key(from, &key_bytes);
	blob = key ? blob_find(&pool, key, key_bytes) : NULL;
	if (key && !blob) {
		data = copy(from, &bytes);
		blob = data ? blob_add(&pool, key, key_bytes, data, bytes) : NULL;
	}
	if (!blob)
		return -ENOMEM;
	spec->resource_blob = blob;
	spec->resources = blob->data;
	return 0;
}
