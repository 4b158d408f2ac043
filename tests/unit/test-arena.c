/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "arena.h"

static int setup(void **state)
{
	static struct arena arena;

	arena_init(&arena);
	*state = &arena;
	return 0;
}

/* Nothing is left behind, by any test. */
static int teardown(void **state)
{
	arena_finish(*state);
	return live == 0 ? 0 : -1;
}

static void test_empty(void **state)
{
	struct arena *arena = *state;

	assert_int_equal(arena->used_bytes, 0);
	arena_finish(arena);
	arena_finish(arena);
	assert_null(arena->chunk);
}

/* Sizes around those of a chunk, strings in between: each block zeroed, aligned, and nobody else's. */
static void test_blocks(void **state)
{
	enum { BLOCKS = 3000 };
	static unsigned char *blocks[BLOCKS];
	static size_t sizes[BLOCKS];
	struct arena *arena = *state;
	size_t total = 0;

	srandom(1);
	for (int i = 0; i < BLOCKS; i++) {
		sizes[i] = (size_t)random() % (i % 50 ? 80 : 3000);
		if (i % 3 == 0) {
			char text[32];

			memset(text, 'x', sizeof text);
			blocks[i] = (unsigned char *)arena_strndup(arena, text, sizes[i] %= sizeof text);
			assert_non_null(blocks[i]);
			assert_int_equal(strlen((char *)blocks[i]), sizes[i]);
			sizes[i]++;
		} else {
			blocks[i] = arena_alloc(arena, sizes[i]);
			assert_non_null(blocks[i]);
			assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
			for (size_t at = 0; at < sizes[i]; at++)
				assert_int_equal(blocks[i][at], 0);
		}
		memset(blocks[i], i & 0xff, sizes[i]);
		total += sizes[i];
		assert_int_equal(arena->used_bytes, total);
	}
	for (int i = 0; i < BLOCKS; i++)
		for (size_t at = 0; at < sizes[i]; at++)
			assert_int_equal(blocks[i][at], i & 0xff);
}

static void test_strings(void **state)
{
	struct arena *arena = *state;
	const char *source = "abcdef";
	char *copy = arena_strdup(arena, source);

	assert_string_equal(copy, source);
	assert_ptr_not_equal(copy, source);
	assert_string_equal(arena_strdup(arena, ""), "");
	assert_string_equal(arena_strndup(arena, source, 3), "abc");
	assert_string_equal(arena_strndup(arena, source, 0), "");
	assert_string_equal(arena_printf(arena, "%s=%u%%", "CPU", 50U), "CPU=50%");
	assert_string_equal(arena_printf(arena, "%s", ""), "");
}

static void test_long_strings(void **state)
{
	struct arena *arena = *state;
	static char text[100000];

	memset(text, 'y', sizeof text - 1);
	assert_string_equal(arena_strdup(arena, text), text);
	assert_string_equal(arena_printf(arena, "%s", text), text);
}

static void test_out_of_memory(void **state)
{
	struct arena *arena = *state;

	assert_null(arena_alloc(arena, SIZE_MAX));
	assert_null(arena_alloc(arena, SIZE_MAX - 8));
	for (fail_at = 1; fail_at <= 4; fail_at++) {
		calls = fail_at - 1;
		assert_null(fail_at == 1   ? arena_alloc(arena, 10)
			    : fail_at == 2 ? arena_strdup(arena, "text")
			    : fail_at == 3 ? arena_strndup(arena, "text", 2)
					   : arena_printf(arena, "%d", 1));
	}
	/* The text is there, the arena's block for it is not. */
	calls = 0;
	fail_at = 2;
	assert_null(arena_printf(arena, "%d", 1));
	fail_at = 0;
	/* It goes on afterwards as if nothing had been asked. */
	assert_int_equal(arena->used_bytes, 0);
	assert_string_equal(arena_strdup(arena, "x"), "x");
	assert_int_equal(arena->used_bytes, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_blocks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_strings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
