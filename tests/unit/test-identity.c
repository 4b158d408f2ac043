/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cleanup.h"
#include "identity.h"

static void test_ids(void **state)
{
	struct identity none = IDENTITY_NONE, range = IDENTITY_NONE, single = IDENTITY_NONE;

	(void)state;
	range.first = 655360;
	single.single = 700000;
	assert_int_equal(identity_inside(&none, 33), 33);
	assert_int_equal(identity_on_host(&none, 33), 33);
	assert_int_equal(identity_inside(&range, 33), 33);
	assert_int_equal(identity_on_host(&range, 33), 655393);
	assert_int_equal(identity_inside(&range, PLAN_DYNAMIC_ID), PLAN_DYNAMIC_ID);
	assert_int_equal(identity_on_host(&range, PLAN_DYNAMIC_ID), 655360 + PLAN_DYNAMIC_ID);
	assert_int_equal(identity_inside(&single, PLAN_DYNAMIC_ID), 700000);
	assert_int_equal(identity_on_host(&single, PLAN_DYNAMIC_ID), 700000);
	assert_int_equal(identity_on_host(&single, 0), 0);
}

static void test_tmpfs_options(void **state)
{
	static const struct {
		const char *options, *expected;
	} cases[] = {
		{"", "uid=655360,gid=655360"},
		{"mode=0755,size=10%", "mode=0755,size=10%,uid=655360,gid=655360"},
		{"mode=0755,uid=33,gid=7,size=10%", "mode=0755,uid=33,gid=7,size=10%,uid=655393,gid=655367"},
		{"uid=61184,gid=1,gid=2", "uid=61184,gid=1,gid=2,uid=716544,gid=655362"},
		{"xuid=3,uid=x", "xuid=3,uid=x,uid=655360,gid=655360"},
	};
	struct identity identity = IDENTITY_NONE;

	(void)state;
	identity.first = 655360;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		autofree char *options = identity_tmpfs_options(&identity, cases[i].options);

		assert_string_equal(options, cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_ids), cmocka_unit_test(test_tmpfs_options)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
