/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "blob.h"

#include <stdlib.h>
#include <string.h>

struct blob *blob_find(struct blob_pool *pool, const void *key, size_t key_bytes)
{
	struct blob *blob = NULL;

	HASH_FIND(hh, pool->blobs, key, key_bytes, blob);
	if (blob)
		blob->refs++;
	return blob;
}

static void blob_free(struct blob *blob)
{
	if (!blob)
		return;
	free(blob->key);
	free(blob->data);
	free(blob);
}

struct blob *blob_ref(struct blob *blob)
{
	blob->refs++;
	return blob;
}

struct blob *blob_add(struct blob_pool *pool, const void *key, size_t key_bytes, void *data, size_t data_bytes)
{
	struct blob *blob = calloc(1, sizeof *blob);

	if (!blob) {
		free(data);
		return NULL;
	}
	*blob = (struct blob){
		.pool = pool, .refs = 1, .key_bytes = key_bytes, .data = data, .data_bytes = data_bytes};
	if (key) {
		blob->key = malloc(key_bytes);
		if (!blob->key) {
			blob_free(blob);
			return NULL;
		}
		memcpy(blob->key, key, key_bytes);
		HASH_ADD_KEYPTR(hh, pool->blobs, blob->key, blob->key_bytes, blob);
	} else {
		HASH_ADD_KEYPTR(hh, pool->blobs, blob->data, blob->data_bytes, blob);
	}
	if (!blob->hh.tbl) {
		blob_free(blob);
		return NULL;
	}
	return blob;
}

void blob_unref(struct blob *blob)
{
	if (!blob || --blob->refs > 0)
		return;
	HASH_DELETE(hh, blob->pool->blobs, blob);
	blob_free(blob);
}
