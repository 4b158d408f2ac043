/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "refused.h"

/* The log, counted. */
static unsigned errors, others;
static char last[1200];

void __wrap_log_message(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

void __wrap_log_message(int level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(last, sizeof last, format, args);
	va_end(args);
	if (level == LOG_ERR)
		errors++;
	else
		others++;
}

static int setup(void **state)
{
	static struct refused *table;

	table = NULL;
	errors = others = 0;
	*state = &table;
	return 0;
}

static int teardown(void **state)
{
	refused_clear_all(*state);
	return 0;
}

static void set(struct refused **table, const char *name, int error, const char *file, unsigned line,
		const char *message)
{
	struct diag diag;

	diag_set(&diag, error, file, line, "%s", message);
	refused_set(table, "site", name, error, &diag);
	memset(&diag, 'x', sizeof diag); /* it has its own copy */
}

static void assert_refused(struct refused *table, const char *name, int error, const char *file, unsigned line,
			   const char *message)
{
	struct refused *refused = refused_find(table, name);

	assert_non_null(refused);
	assert_string_equal(refused->name, name);
	assert_int_equal(refused->error, error);
	assert_string_equal(refused->diag.file, file);
	assert_int_equal(refused->diag.line, line);
	assert_string_equal(refused->diag.message, message);
}

static void test_set_and_clear(void **state)
{
	struct refused **table = *state;

	assert_null(refused_find(*table, "a"));
	refused_clear(table, "site", "a");
	assert_int_equal(errors + others, 0);
	set(table, "a", -EINVAL, "/etc/torpor/sites/a.site", 3, "unknown key");
	set(table, "b", -EADDRINUSE, "/etc/torpor/sites/b.site", 0, "taken");
	assert_int_equal(errors, 2);
	assert_refused(*table, "a", -EINVAL, "/etc/torpor/sites/a.site", 3, "unknown key");
	assert_refused(*table, "b", -EADDRINUSE, "/etc/torpor/sites/b.site", 0, "taken");
	assert_null(refused_find(*table, "c"));
	assert_null(refused_find(*table, ""));
	refused_clear(table, "site", "a");
	assert_null(refused_find(*table, "a"));
	assert_non_null(refused_find(*table, "b"));
	assert_int_equal(others, 1);
}

/* One line a text: a file that is looked at again and again does not fill the log. */
static void test_said_once(void **state)
{
	struct refused **table = *state;

	for (int i = 0; i < 3; i++)
		set(table, "a", -EINVAL, "a.site", 3, "unknown key");
	assert_int_equal(errors, 1);
	assert_string_equal(last, "site a: a.site:3: unknown key");
	set(table, "b", -EINVAL, "a.site", 3, "unknown key");
	assert_int_equal(errors, 2);
	refused_clear(table, "site", "a");
	set(table, "a", -EINVAL, "a.site", 3, "unknown key");
	assert_int_equal(errors, 3);
}

/* Whatever differs, the newer one is remembered and said. */
static void test_replaced(void **state)
{
	struct refused **table = *state;

	set(table, "a", -EINVAL, "a.site", 3, "unknown key");
	set(table, "a", -EINVAL, "a.site", 4, "unknown key");
	assert_refused(*table, "a", -EINVAL, "a.site", 4, "unknown key");
	set(table, "a", -EINVAL, "a.site", 4, "not a number");
	assert_refused(*table, "a", -EINVAL, "a.site", 4, "not a number");
	set(table, "a", -EINVAL, "a.site.d/x.conf", 4, "not a number");
	assert_refused(*table, "a", -EINVAL, "a.site.d/x.conf", 4, "not a number");
	assert_int_equal(errors, 4);
	set(table, "a", -EADDRINUSE, "a.site.d/x.conf", 4, "not a number");
	assert_refused(*table, "a", -EADDRINUSE, "a.site.d/x.conf", 4, "not a number");
	assert_int_equal(HASH_COUNT(*table), 1);
}

static void test_many(void **state)
{
	struct refused **table = *state;
	char name[16];

	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "site-%d", i);
		set(table, name, -EINVAL, "x", (unsigned)i, "message");
	}
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "site-%d", i);
		assert_refused(*table, name, -EINVAL, "x", (unsigned)i, "message");
	}
	refused_clear_all(table);
	assert_null(*table);
	refused_clear_all(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_set_and_clear, setup, teardown),
		cmocka_unit_test_setup_teardown(test_said_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
