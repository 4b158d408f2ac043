/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arena.h"
#include "dump.h"
#include "field.h"
#include "reply.h"
#include "state.h"
#include "terminal.h"

/* A colour, a C1 control, a bidirectional override, DEL, a newline, and a letter that may stay. */
#define HOSTILE "\033[31m\302\2332J\u202e\177\n\u00e4"
#define ESCAPED "\\x1b[31m\\xc2\\x9b2J\\xe2\\x80\\xae\\x7f\\x0a\u00e4"

static struct arena arena;

static void reads_fields(void **state)
{
	json_t *object = json_pack("{s:s, s:i, s:i, s:f, s:b, s:n, s:[s,i,s]}", "text", HOSTILE, "number", 7,
				   "negative", -7, "real", 0.25, "yes", 1, "null", "list", HOSTILE, 3, "b");
	uint64_t number = 99;
	double real;

	(void)state;
	assert_string_equal(field_text(&arena, object, "text"), ESCAPED);
	assert_string_equal(field_raw(object, "text"), HOSTILE);
	assert_true(field_u64(object, "number", &number));
	assert_int_equal(number, 7);
	assert_true(field_double(object, "real", &real) && field_double(object, "number", &real));
	assert_true(field_is(object, "yes", true) && !field_is(object, "yes", false) &&
		    !field_is(object, "no", false));
	assert_string_equal(field_count(&arena, object, "number"), "7");
	assert_string_equal(field_joined(&arena, object, "list"), ESCAPED ", b");
	assert_string_equal(field_print(&arena, json_object_get(object, "list")),
			    "[\"\\u001B[31m\\xc2\\x9b2J\\xe2\\x80"
			    "\\xae\\x7f\\n\u00e4\",3,\"b\"]");
	json_decref(object);
}

static void takes_nothing_for_granted(void **state)
{
	static const char *const objects[] = {
		"{}",
		"[]",
		"3",
		"\"text\"",
		"null",
		"{\"key\": null}",
		"{\"key\": []}",
		"{\"key\": {}}",
		"{\"key\": -1}",
		"{\"key\": true}",
	};

	(void)state;
	for (size_t i = 0; i <= sizeof objects / sizeof objects[0]; i++) {
		/* The last round: no object at all. */
		json_t *object = i < sizeof objects / sizeof objects[0]
					 ? json_loads(objects[i], JSON_DECODE_ANY, NULL)
					 : NULL;
		uint64_t number = 99;

		assert_null(field_text(&arena, object, "key"));
		assert_null(field_count(&arena, object, "key"));
		assert_null(field_bytes(&arena, object, "key"));
		assert_null(field_joined(&arena, object, "key"));
		assert_false(field_u64(object, "key", &number));
		assert_int_equal(number, 99);
		assert_string_equal(field_file_error(&arena, object), "refused");
		json_decref(object);
	}
	assert_null(field_print(&arena, NULL));
}

static void tells_file_errors(void **state)
{
	json_t *error = json_pack("{s:s, s:i, s:s}", "file", "/a\nb.site", "line", 12, "message", "no key");

	(void)state;
	assert_string_equal(field_file_error(&arena, error), "/a\\x0ab.site:12: no key");
	json_object_del(error, "line");
	assert_string_equal(field_file_error(&arena, error), "/a\\x0ab.site: no key");
	json_object_del(error, "file");
	assert_string_equal(field_file_error(&arena, error), "no key");
	json_decref(error);
}

static void tells_failed_steps(void **state)
{
	static const struct {
		const char *object, *text;
	} cases[] = {
		{"{\"step\": \"exec\", \"message\": \"no \\u001bfile\"}", "failed at step exec: no \\x1bfile"},
		{"{\"step\": \"exec\", \"message\": \"failed at step exec: no file\"}",
		 "failed at step exec: no file"},
		{"{\"step\": \"exec\", \"errno\": 2}", "failed at step exec: No such file or directory"},
		{"{\"step\": \"\", \"message\": \"exited with 1\"}", "exited with 1"},
		{"{\"step\": 3, \"errno\": 9223372036854775807}", "for a reason that is not known"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		json_t *object = json_loads(cases[i].object, 0, NULL);

		assert_string_equal(field_failed_step(&arena, object), cases[i].text);
		json_decref(object);
	}
	assert_non_null(field_failed_step(&arena, NULL));
}

static void dumps_printable_json(void **state)
{
	json_t *object = json_pack("{s:s}", HOSTILE, HOSTILE "\U0001f600"), *again;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	dump_print(object, false, out);
	fclose(out);
	for (size_t i = 0; i + 1 < size; i++)
		assert_in_range(text[i], ' ', '~');
	assert_int_equal(text[size - 1], '\n');
	again = json_loads(text, 0, NULL);
	assert_true(json_equal(object, again));
	json_decref(again);
	json_decref(object);
	free(text);
}

static void counts_states(void **state)
{
	json_t *counts = json_pack("{s:i, s:i, s:i, s:i, s:i, s:s}", "cold", 988, "frozen", 3, "awake", 12,
				   "failed", 0, HOSTILE, 1, "starting", "many");

	(void)state;
	assert_string_equal(state_format_counts(&arena, counts), MARK_GREEN
			    "12 awake" MARK_PLAIN ", " MARK_BLUE "3 frozen" MARK_PLAIN ", " MARK_PLAIN
			    "988 cold" MARK_PLAIN ", " MARK_PLAIN "1 " ESCAPED MARK_PLAIN);
	assert_null(state_format_counts(&arena, NULL));
	json_decref(counts);
}

static void classifies_replies(void **state)
{
	static const struct {
		const char *message;
		enum exit_code code;
	} cases[] = {
		{"{\"parameters\": {}}", EXIT_OK},
		{"{}", EXIT_OK},
		{"{\"error\": null}", EXIT_OK},
		{"{\"error\": \"io.torpor.NoSuchSite\"}", EXIT_NO_SITE},
		{"{\"error\": \"io.torpor.PermissionDenied\"}", EXIT_DENIED},
		{"{\"error\": \"org.varlink.service.PermissionDenied\"}", EXIT_DENIED},
		{"{\"error\": \"io.torpor.NoSuchState\", \"parameters\": 3}", EXIT_USAGE},
		{"{\"error\": \"io.torpor.StartFailed\", \"parameters\": []}", EXIT_FAILED},
		{"{\"error\": \"\"}", EXIT_FAILED},
		{"{\"error\": {}}", EXIT_FAILED},
		{"{\"error\": false}", EXIT_FAILED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct reply reply;

		reply_init(&reply, json_loads(cases[i].message, 0, NULL));
		assert_int_equal(reply_exit_code(&reply), cases[i].code);
		if (reply.error)
			assert_non_null(reply_describe(&arena, &reply, NULL));
		reply_finish(&reply);
	}
}

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_finish(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_fields),       cmocka_unit_test(takes_nothing_for_granted),
		cmocka_unit_test(tells_file_errors),  cmocka_unit_test(dumps_printable_json),
		cmocka_unit_test(tells_failed_steps), cmocka_unit_test(counts_states),
		cmocka_unit_test(classifies_replies),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
