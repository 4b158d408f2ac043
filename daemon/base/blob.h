/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <uthash.h>

/* Content that many plans share: a compiled seccomp program, a list of mount operations. Kept once per distinct
 * key, counted, freed with its last user. */
struct blob {
	UT_hash_handle hh;
	struct blob_pool *pool;
	unsigned refs;
	size_t key_bytes, data_bytes;
	char *key;  /* owned: what the content was made from; NULL: the content is its own key */
	void *data; /* owned; aligned for any type */
};

struct blob_pool {
	struct blob *blobs; /* by key */
};

/* The blob made from this key, with one more reference; NULL when there is none. */
struct blob *blob_find(struct blob_pool *pool, const void *key, size_t key_bytes);

struct blob *blob_ref(struct blob *blob);

/* A new blob with one reference. key is copied; NULL makes the data its own key. data is taken over (also on
 * failure). NULL when out of memory. */
struct blob *blob_add(struct blob_pool *pool, const void *key, size_t key_bytes, void *data, size_t data_bytes);

/* Gives one reference up. NULL is fine. */
void blob_unref(struct blob *blob);
