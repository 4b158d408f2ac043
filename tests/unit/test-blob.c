/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "blob.h"

static int setup(void **state)
{
	static struct blob_pool pool;

	pool = (struct blob_pool){0};
	calls = fail_at = 0;
	live = 0;
	*state = &pool;
	return 0;
}

/* Nothing is left behind, by any test. */
static int teardown(void **state)
{
	struct blob_pool *pool = *state;

	fail_at = 0;
	return pool->blobs || live != 0 ? -1 : 0;
}

static void *copy(const char *text)
{
	return strdup(text);
}

static struct blob *add(struct blob_pool *pool, const char *key, const char *text)
{
	return blob_add(pool, key, strlen(key), copy(text), strlen(text) + 1);
}

static struct blob *find(struct blob_pool *pool, const char *key)
{
	return blob_find(pool, key, strlen(key));
}

static void test_add_and_find(void **state)
{
	struct blob_pool *pool = *state;
	char key[] = "key";
	struct blob *blob;

	assert_null(find(pool, "key"));
	blob = add(pool, key, "data");
	assert_int_equal(blob->refs, 1);
	assert_int_equal(blob->data_bytes, 5);
	assert_string_equal(blob->data, "data");
	memset(key, '#', 3); /* the key was copied */
	assert_ptr_equal(find(pool, "key"), blob);
	assert_int_equal(blob->refs, 2);
	assert_null(find(pool, "###"));
	assert_null(find(pool, "ke"));
	assert_null(find(pool, "keys"));
	blob_unref(blob);
	assert_ptr_equal(find(pool, "key"), blob);
	blob_unref(blob);
	blob_unref(blob);
	assert_null(find(pool, "key"));
}

static void test_references(void **state)
{
	struct blob_pool *pool = *state;
	struct blob *blob = add(pool, "key", "data");

	assert_ptr_equal(blob_ref(blob), blob);
	assert_int_equal(blob->refs, 2);
	blob_unref(blob);
	assert_string_equal(blob->data, "data");
	blob_unref(blob);
	blob_unref(NULL);
	assert_null(pool->blobs);
}

/* Content without a key is found by itself, whatever its bytes. */
static void test_own_key(void **state)
{
	struct blob_pool *pool = *state;
	static const char content[] = "a\0b\0c";
	char *data = malloc(sizeof content);
	struct blob *blob;

	memcpy(data, content, sizeof content);
	blob = blob_add(pool, NULL, 0, data, sizeof content);
	assert_non_null(blob);
	assert_ptr_equal(blob->data, data);
	assert_null(blob->key);
	assert_ptr_equal(blob_find(pool, content, sizeof content), blob);
	assert_null(blob_find(pool, content, sizeof content - 1));
	assert_null(blob_find(pool, "a\0b\0d", sizeof content));
	blob_unref(blob);
	blob_unref(blob);
}

/* Bytes after a NUL tell keys apart. */
static void test_binary_keys(void **state)
{
	struct blob_pool *pool = *state;
	struct blob *one = blob_add(pool, "k\0one", 5, copy("1"), 2),
		    *two = blob_add(pool, "k\0two", 5, copy("2"), 2);

	assert_ptr_not_equal(one, two);
	assert_string_equal(blob_find(pool, "k\0two", 5)->data, "2");
	blob_unref(two);
	blob_unref(two);
	blob_unref(one);
}

static void test_pools_apart(void **state)
{
	struct blob_pool *pool = *state, other = {0};
	struct blob *here = add(pool, "key", "here"), *there;

	assert_null(find(&other, "key"));
	there = add(&other, "key", "there");
	assert_string_equal(there->data, "there");
	blob_unref(here);
	assert_null(pool->blobs);
	assert_ptr_equal(find(&other, "key"), there);
	blob_unref(there);
	blob_unref(there);
	assert_null(other.blobs);
}

#define MANY 200 /* more than a hash of uthash begins with */

/* The n-th allocation fails, for every n: NULL, its data freed, and the others still to be found. */
static void test_out_of_memory(void **state)
{
	struct blob_pool *pool = *state;
	bool reached = true;

	for (size_t n = 1; reached; n++) {
		struct blob *blobs[MANY];
		unsigned missing = 0;

		calls = 0;
		for (int i = 0; i < MANY; i++) {
			char key[16], *data;

			snprintf(key, sizeof key, "key-%d", i);
			fail_at = 0;
			data = copy(key);
			fail_at = n;
			calls--; /* not that one */
			blobs[i] = i % 2 ? blob_add(pool, key, strlen(key) + 1, data, strlen(key) + 1)
					 : blob_add(pool, NULL, 0, data, strlen(key) + 1);
			missing += !blobs[i];
		}
		reached = calls >= n;
		fail_at = 0;
		/* A hash that cannot grow its table goes on with the one it has. */
		assert_true(missing <= reached);
		for (int i = 0; i < MANY; i++) {
			char key[16];
			struct blob *found;

			snprintf(key, sizeof key, "key-%d", i);
			found = blob_find(pool, key, strlen(key) + 1);
			assert_ptr_equal(found, blobs[i]);
			if (found)
				assert_string_equal(found->data, key);
			blob_unref(found);
			blob_unref(blobs[i]);
		}
		assert_null(pool->blobs);
		assert_int_equal(live, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_add_and_find, setup, teardown),
		cmocka_unit_test_setup_teardown(test_references, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_key, setup, teardown),
		cmocka_unit_test_setup_teardown(test_binary_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pools_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
