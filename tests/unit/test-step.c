/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "step.h"

/* Every step has a name of its own: lower-case words, as `torporctl status` shows them. */
static void test_names(void **state)
{
	(void)state;
	for (enum launch_step step = 0; step < LAUNCH_STEPS; step++) {
		const char *name = launch_step_name(step);

		if (!name)
			fail_msg("step %d has no name", (int)step);
		assert_true(*name >= 'a' && *name <= 'z');
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
		for (enum launch_step other = 0; other < step; other++)
			assert_string_not_equal(launch_step_name(other), name);
	}
	assert_string_equal(launch_step_name(STEP_CGROUP), "cgroup");
	assert_string_equal(launch_step_name(STEP_UNIT_MOUNTS), "unit-mounts");
	assert_string_equal(launch_step_name(STEP_EXEC), "exec");
}

/* A number out of a broken result is not followed. */
static void test_out_of_range(void **state)
{
	(void)state;
	assert_string_equal(launch_step_name(LAUNCH_STEPS), "unknown");
	assert_string_equal(launch_step_name((enum launch_step) - 1), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
