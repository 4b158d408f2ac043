/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "sandbox-kinds.h"

static struct shared_root roots[2];

static struct sandbox_kind make_kind(const char *text, bool private_users)
{
	/* Only its bytes are looked at. */
	return (struct sandbox_kind){
		.list = (const void *)text, .list_bytes = 4, .private_users = private_users};
}

static void use(struct sandbox_kinds *kinds, const char *text)
{
	struct sandbox_kind kind = make_kind(text, false);

	assert_int_equal(sandbox_kinds_use(kinds, &roots[0], &kind), 0);
}

static bool knows(struct sandbox_kinds *kinds, const char *text)
{
	struct sandbox_kind kind = make_kind(text, false);

	return sandbox_kinds_find(kinds, &roots[0], &kind) != NULL;
}

static void the_most_recent_is_the_first(void **state)
{
	struct sandbox_kinds kinds = {0};

	(void)state;
	use(&kinds, "aaaa");
	use(&kinds, "bbbb");
	assert_int_equal(kinds.n, 2);
	assert_memory_equal(kinds.known[0].kind.list, "bbbb", 4);
	use(&kinds, "aaaa");
	assert_int_equal(kinds.n, 2);
	assert_memory_equal(kinds.known[0].kind.list, "aaaa", 4);
	assert_memory_equal(kinds.known[1].kind.list, "bbbb", 4);
	sandbox_kinds_finish(&kinds);
	assert_int_equal(kinds.n, 0);
}

static void what_differs_is_another_kind(void **state)
{
	struct sandbox_kind plain = make_kind("aaaa", false), private = make_kind("aaaa", true);
	struct sandbox_kinds kinds = {0};

	(void)state;
	assert_int_equal(sandbox_kinds_use(&kinds, &roots[0], &plain), 0);
	assert_null(sandbox_kinds_find(&kinds, &roots[0], &private));
	assert_null(sandbox_kinds_find(&kinds, &roots[1], &plain));
	assert_int_equal(sandbox_kinds_use(&kinds, &roots[0], &private), 0);
	assert_int_equal(sandbox_kinds_use(&kinds, &roots[1], &plain), 0);
	assert_int_equal(kinds.n, 3);
	assert_ptr_equal(sandbox_kinds_find(&kinds, &roots[1], &plain), &kinds.known[0]);
	sandbox_kinds_finish(&kinds);
}

static void one_too_many_takes_the_place_of_the_oldest(void **state)
{
	struct sandbox_kinds kinds = {0};
	char text[5];

	(void)state;
	for (int i = 0; i <= SANDBOX_KINDS_MAX; i++) {
		snprintf(text, sizeof text, "k%03d", i);
		use(&kinds, text);
	}
	assert_int_equal(kinds.n, SANDBOX_KINDS_MAX);
	assert_false(knows(&kinds, "k000"));
	assert_true(knows(&kinds, "k001"));
	assert_true(knows(&kinds, text));
	sandbox_kinds_finish(&kinds);
}

static void who_is_not_asked_for_is_forgotten(void **state)
{
	struct sandbox_kinds kinds = {0};

	(void)state;
	use(&kinds, "rare");
	for (int i = 0; i < SANDBOX_KINDS_STARTS; i++)
		use(&kinds, "many");
	assert_true(knows(&kinds, "rare"));
	use(&kinds, "many");
	assert_false(knows(&kinds, "rare"));
	assert_true(knows(&kinds, "many"));
	sandbox_kinds_finish(&kinds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_most_recent_is_the_first),
		cmocka_unit_test(what_differs_is_another_kind),
		cmocka_unit_test(one_too_many_takes_the_place_of_the_oldest),
		cmocka_unit_test(who_is_not_asked_for_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
