/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include "specifier.h"
#include "spec.h"

static const struct lookup lookup = {{"/e", "/r", "/l"}};

static struct specifier_context context_of(const char *listener)
{
	static struct address address;
	const char *message;

	assert_int_equal(address_parse(listener, SOCK_STREAM, &address, &message), 0);
	return (struct specifier_context){
		.lookup = &lookup,
		.name = "example.com",
		.user = "alice",
		.group = "100",
		.first = &address,
		.owner_known = true,
	};
}

static void assert_expands(const struct specifier_context *context, const char *text, const char *expected)
{
	char message[SPECIFIER_MESSAGE_BYTES] = "";
	struct arena arena;
	const char *result;

	arena_init(&arena);
	if (specifier_expand(context, text, &arena, &result, message) < 0)
		fail_msg("%s: %s", text, message);
	assert_string_equal(result, expected);
	arena_finish(&arena);
}

static void assert_refuses(const struct specifier_context *context, const char *text, const char *part)
{
	char message[SPECIFIER_MESSAGE_BYTES] = "";
	struct arena arena;
	const char *result;

	arena_init(&arena);
	assert_int_equal(specifier_expand(context, text, &arena, &result, message), -EINVAL);
	if (!strstr(message, part))
		fail_msg("'%s' does not say '%s'", message, part);
	arena_finish(&arena);
}

static void test_values(void **state)
{
	struct specifier_context context = context_of("127.0.0.1:8080");

	(void)state;
	assert_expands(&context, "plain", "plain");
	assert_expands(&context, "", "");
	assert_expands(&context, "%n", "example.com.site");
	assert_expands(&context, "/srv/%i/%N%p%%i", "/srv/example.com/example.comexample.com%i");
	assert_expands(&context, "%t %E %S %C %L %T %V", "/r /e /var/lib /var/cache /var/log /tmp /var/tmp");
	assert_expands(&context, "%u:%g", "alice:100");
	assert_expands(&context, "%r %R", "127.0.0.1:8080 127.0.0.1:8080");
	context = context_of("/run//x.sock");
	assert_expands(&context, "%r %R", "/run/x.sock unix:/run/x.sock");
	context = context_of("[::1]:80");
	assert_expands(&context, "%r %R", "[::1]:80 [::1]:80");
}

static void test_host(void **state)
{
	struct specifier_context context = context_of("80");
	struct utsname name;
	char message[SPECIFIER_MESSAGE_BYTES];
	struct arena arena;
	const char *id;

	(void)state;
	assert_int_equal(uname(&name), 0);
	assert_expands(&context, "%H", name.nodename);
	assert_expands(&context, "%v", name.release);
	name.nodename[strcspn(name.nodename, ".")] = '\0';
	assert_expands(&context, "%l", name.nodename);
	arena_init(&arena);
	if (specifier_expand(&context, "%b", &arena, &id, message) == 0)
		assert_int_equal(strlen(id), 32);
	else
		assert_non_null(strstr(message, "%b is not known"));
	arena_finish(&arena);
}

static void test_refusals(void **state)
{
	struct specifier_context context = context_of("80");

	(void)state;
	assert_refuses(&context, "%f", "unknown specifier %f");
	assert_refuses(&context, "100%", "a lone %");
	assert_refuses(&context, "% x", "a lone %");
	context.group = NULL;
	assert_refuses(&context, "%g", "%g needs a Group=");
	context.user = NULL;
	assert_expands(&context, "%u", "nobody");
	context.owner_known = false;
	assert_refuses(&context, "%u", "%u cannot be used here");
	context.first = NULL;
	assert_refuses(&context, "%r", "%r cannot be used here");
	assert_refuses(&context, "%R", "%R cannot be used here");
}

/* A short line cannot become a long one. */
static void test_size(void **state)
{
	struct specifier_context context = context_of("80");
	char name[201], text[4096];

	(void)state;
	memset(name, 'n', 200);
	name[200] = '\0';
	context.name = name;
	for (size_t i = 0; i < sizeof text - 2; i += 2)
		memcpy(text + i, "%i", 3);
	assert_refuses(&context, text, "more than 32768 bytes");
}

/* What the manual lists is what there is. */
static void test_table(void **state)
{
	struct specifier_context context = context_of("80");

	(void)state;
	for (int c = '!'; c < 0x7f; c++) {
		char text[] = {'%', (char)c, '\0'}, message[SPECIFIER_MESSAGE_BYTES] = "";
		const struct specifier_help *help = specifier_table;
		struct arena arena;
		const char *result;

		while (help->letter && help->letter != c)
			help++;
		arena_init(&arena);
		if (specifier_expand(&context, text, &arena, &result, message) < 0)
			assert_int_equal(help->letter != 0,
					 strstr(message, "is not known on this host") != NULL);
		else
			assert_int_equal(help->letter, c);
		arena_finish(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values), cmocka_unit_test(test_host),  cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_size),   cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
