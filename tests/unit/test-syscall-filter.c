/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "key.h"
#include "syscall-filter.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* What assignments, separated by '|', come to. */
static const char *add_all(struct arena *arena, const char *assignments)
{
	struct setting setting = {.arena = arena};
	const char *filter = NULL;
	char text[512];

	for (const char *at = assignments; *at; at += strspn(at, "|")) {
		size_t length = strcspn(at, "|");

		assert_true(length < sizeof text);
		memcpy(text, at, length);
		text[length] = '\0';
		if (syscall_filter_add(&setting, text, &filter) < 0)
			fail_msg("%s: %s", text, setting.message);
		at += length;
	}
	return filter;
}

static void test_add(void **state)
{
	static const char *const cases[][2] = {
		{"read", "read"},
		{"read\t write  ", "read write"},
		{"read|write", "read write"},
		{"~read write", "~read ~write"},
		{"~ @mount:EPERM", "~@mount:EPERM"},
		{"@system-service|~@mount:EPERM @swap:kill|ptrace",
		 "@system-service ~@mount:EPERM ~@swap:kill ptrace"},
		{"~", "~"},
		{"~|~", "~"},
		{"~|~read", "~read"},
		{"~|read", "~ read"},
		{"~|read|~", "~ read"},
		{"read|~", "read"},
		{"~acct:1", "~acct:1"},
	};
	struct arena arena;

	(void)state;
	arena_init(&arena);
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(add_all(&arena, cases[i][0]), cases[i][1]);
	arena_finish(&arena);
}

static void test_next(void **state)
{
	static const struct syscall_word words[] = {
		{.name = "@system-service"},
		{.deny = true, .has_error = true, .error = EPERM, .name = "@mount"},
		{.deny = true, .has_error = true, .error = SYSCALL_KILL, .name = "@swap"},
		{.deny = true, .has_error = true, .error = 0, .name = "sync"},
		{.deny = true, .name = "fsync"},
		{.name = "ptrace"},
	};
	const char *filter = "@system-service ~@mount:EPERM ~@swap:kill ~sync:0 ~fsync ptrace";
	struct syscall_word word;

	(void)state;
	for (size_t i = 0; i < COUNT(words); i++) {
		assert_true(syscall_filter_next(&filter, &word));
		assert_string_equal(word.name, words[i].name);
		assert_int_equal(word.deny, words[i].deny);
		assert_int_equal(word.has_error, words[i].has_error);
		assert_int_equal(word.error, words[i].error);
	}
	assert_false(syscall_filter_next(&filter, &word));
	filter = "~";
	assert_true(syscall_filter_next(&filter, &word));
	assert_true(word.deny && !*word.name);
	assert_false(syscall_filter_next(&filter, &word));
}

/* What is written is read again to the same. */
static void test_write(void **state)
{
	static const char *const cases[][2] = {
		{"read", "Key=read\n"},
		{"read write ~sync ~fsync:EIO open", "Key=read write\nKey=~sync fsync:EIO\nKey=open\n"},
		{"~", "Key=~\n"},
		{"~ read", "Key=~\nKey=read\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[256] = "";
		FILE *out = fmemopen(text, sizeof text, "w");

		syscall_filter_write("Key", cases[i][0], out);
		fclose(out);
		assert_string_equal(text, cases[i][1]);
	}
}

static void test_errors(void **state)
{
	char text[64] = "";
	FILE *out = fmemopen(text, sizeof text, "w");
	int error = 0;

	(void)state;
	assert_int_equal(syscall_error_parse("kill", &error), 0);
	assert_int_equal(error, SYSCALL_KILL);
	assert_int_equal(syscall_error_parse("EIO", &error), 0);
	assert_int_equal(error, EIO);
	assert_int_equal(syscall_error_parse("KILL", &error), -EINVAL);
	for (int i = 0; i < 3; i++)
		syscall_error_write((const int[]){SYSCALL_KILL, EIO, 4000}[i], out);
	fclose(out);
	assert_string_equal(text, "killEIO4000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
