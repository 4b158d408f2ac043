/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "syscall-group.h"

/* Each member of each group is a call of some machine or a group; none stands there twice. */
static void test_table(void **state)
{
	char name[SYSCALL_NAME_BYTES], other[SYSCALL_NAME_BYTES];

	(void)state;
	for (const struct syscall_group *group = syscall_groups; group->name; group++) {
		const char *at = group->calls;

		assert_true(group->name[0] == '@' && strlen(group->name) < SYSCALL_NAME_BYTES);
		assert_ptr_equal(syscall_group_find(group->name), group);
		assert_true(*group->help);
		assert_true(strlen(group->calls) > 0);
		while (syscall_next(&at, name)) {
			const char *rest = at;

			if (*name == '@' ? !syscall_group_find(name) : syscall_number(name) == -EINVAL)
				fail_msg("%s in %s", name, group->name);
			while (syscall_next(&rest, other))
				if (strcmp(name, other) == 0)
					fail_msg("%s twice in %s", name, group->name);
		}
	}
}

/* @known is all that there is: a call that it lacks would be absent where the unit's list should refuse it. */
static void test_known(void **state)
{
	const struct syscall_group *known = syscall_group_find("@known");

	(void)state;
	for (int number = 0; number < 512; number++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);

		/* A libseccomp that is newer than this table may know more. */
		if (name && number < 457 && !syscall_group_has(known, name))
			fail_msg("%d %s", number, name);
		free(name);
	}
	for (const struct syscall_group *group = syscall_groups; group->name; group++) {
		const char *at = group->calls;
		char name[SYSCALL_NAME_BYTES];

		while (syscall_next(&at, name))
			if (*name != '@' && !syscall_group_has(known, name))
				fail_msg("%s of %s", name, group->name);
	}
}

static void test_hazards(void **state)
{
	const char *at = SYSCALL_HAZARDS;
	char name[SYSCALL_NAME_BYTES];
	unsigned n = 0;

	(void)state;
	for (; syscall_next(&at, name); n++) {
		assert_true(syscall_number(name) >= 0);
		assert_false(syscall_group_has(syscall_group_find(SYSCALL_GROUP_CONTAINER), name));
	}
	assert_int_equal(n, 12);
}

static void test_has(void **state)
{
	const struct syscall_group *service = syscall_group_find("@system-service");

	(void)state;
	assert_true(syscall_group_has(service, "umask"));
	assert_true(syscall_group_has(service, "read"));    /* of @basic-io */
	assert_true(syscall_group_has(service, "seccomp")); /* of @sandbox in @default */
	assert_false(syscall_group_has(service, "mount"));
	assert_false(syscall_group_has(service, "basic-io"));
}

static void test_number(void **state)
{
	(void)state;
	assert_int_equal(syscall_number("openat2"), 437);
	assert_int_equal(syscall_number("mseal"), 462);
	assert_int_equal(syscall_number("chown32"), -ENOSYS);
	assert_int_equal(syscall_number("socketcall"), -ENOSYS);
	assert_int_equal(syscall_number("opne"), -EINVAL);
	assert_int_equal(syscall_number(""), -EINVAL);
	assert_int_equal(syscall_number("@mount"), -EINVAL);
}

static void test_next(void **state)
{
	const char *list = "  one two  abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz three ";
	char name[SYSCALL_NAME_BYTES];

	(void)state;
	assert_true(syscall_next(&list, name));
	assert_string_equal(name, "one");
	assert_true(syscall_next(&list, name));
	assert_string_equal(name, "two");
	assert_true(syscall_next(&list, name));
	assert_int_equal(strlen(name), SYSCALL_NAME_BYTES - 1);
	assert_true(syscall_next(&list, name));
	assert_string_equal(name, "three");
	assert_false(syscall_next(&list, name));
	assert_false(syscall_next(&list, name));
}

static void test_nearest(void **state)
{
	char buf[SYSCALL_NAME_BYTES];

	(void)state;
	assert_string_equal(syscall_nearest("opne", buf), "open");
	assert_string_equal(syscall_nearest("@moutn", buf), "@mount");
	assert_string_equal(syscall_nearest("fchmodat3", buf), "fchmodat");
	assert_null(syscall_nearest("qwertyuiop", buf));
	assert_null(syscall_nearest("@qwertyuiop", buf));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),   cmocka_unit_test(test_known),  cmocka_unit_test(test_hazards),
		cmocka_unit_test(test_has),     cmocka_unit_test(test_number), cmocka_unit_test(test_next),
		cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
