/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "capability.h"
#include "limit.h"
#include "spec.h"
#include "value.h"
#include "words.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void test_bool(void **state)
{
	static const char *const yes[] = {"1", "yes", "YES", "y", "true", "t", "on", "On"};
	static const char *const no[] = {"0", "no", "n", "false", "F", "off"};
	static const char *const bad[] = {"", "2", "yess", "enable", "yes "};
	bool value;

	(void)state;
	for (size_t i = 0; i < COUNT(yes); i++) {
		value = false;
		assert_int_equal(value_parse_bool(yes[i], &value), 0);
		assert_true(value);
	}
	for (size_t i = 0; i < COUNT(no); i++) {
		value = true;
		assert_int_equal(value_parse_bool(no[i], &value), 0);
		assert_false(value);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(value_parse_bool(bad[i], &value), -EINVAL);
}

static void test_integer(void **state)
{
	int64_t value = 7;

	(void)state;
	assert_int_equal(value_parse_integer("-20", -20, 19, &value), 0);
	assert_int_equal(value, -20);
	assert_int_equal(value_parse_integer("+19", -20, 19, &value), 0);
	assert_int_equal(value, 19);
	assert_int_equal(value_parse_integer("20", -20, 19, &value), -ERANGE);
	assert_int_equal(value_parse_integer("99999999999999999999", -20, INT64_MAX, &value), -ERANGE);
	assert_int_equal(value_parse_integer("", -20, 19, &value), -EINVAL);
	assert_int_equal(value_parse_integer("-", -20, 19, &value), -EINVAL);
	assert_int_equal(value_parse_integer("--1", -20, 19, &value), -EINVAL);
	assert_int_equal(value_parse_integer("0x10", -20, 19, &value), -EINVAL);
	assert_int_equal(value_parse_integer(" 1", -20, 19, &value), -EINVAL);
	assert_int_equal(value, 19);
}

static void test_span(void **state)
{
	static const struct {
		const char *text;
		uint64_t us;
	} good[] = {
		{"0", 0},
		{"20", 20000000},
		{"5min 20s", 320000000},
		{"5min20s", 320000000},
		{"1.5h", 5400000000},
		{"0.5", 500000},
		{".5s", 500000},
		{"1 day", 86400000000},
		{"2 weeks 1 s", 1209601000000},
		{"850us", 850},
		{"7 \xc2\xb5s", 7},
		{"7 \xce\xbcs", 7},
		{"1M", 2629800000000},
		{"1m", 60000000},
		{"1y", 31557600000000},
		{"infinity", SPEC_INFINITY},
		{"1.000001s", 1000001},
		{"584542y", 18446742619200000000ULL},
	};
	static const char *const bad[] = {"",     " ", "-1",   "1x",  "s",  "infinity 1",
					  "1s2x", ".", "1..5", "1e3", "1,5"};
	static const char *const range[] = {"600000y", "18446744073709551616us", "584542y 1y"};
	uint64_t us;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		char buf[VALUE_SPAN_BYTES];
		uint64_t again;

		assert_int_equal(value_parse_span(good[i].text, 1000000, &us), 0);
		assert_int_equal(us, good[i].us);
		assert_int_equal(value_parse_span(value_format_span(us, buf), 1000000, &again), 0);
		assert_int_equal(again, us);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(value_parse_span(bad[i], 1000000, &us), -EINVAL);
	for (size_t i = 0; i < COUNT(range); i++)
		assert_int_equal(value_parse_span(range[i], 1000000, &us), -ERANGE);
}

static void test_size(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"0", 0},
		{"4096", 4096},
		{"64M", 64 << 20},
		{"1.5G", 1610612736},
		{"1 K", 1024},
		{"3B", 3},
		{"2T", 2199023255552},
		{"15E", 17293822569102704640ULL},
		{"infinity", SPEC_INFINITY},
	};
	static const char *const bad[] = {"", "-1", "1KB", "K", "50%", "1k", "1 M M", "1M "};
	uint64_t bytes;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		char buf[VALUE_SPAN_BYTES];
		uint64_t again;

		assert_int_equal(value_parse_size(good[i].text, &bytes), 0);
		assert_int_equal(bytes, good[i].bytes);
		assert_int_equal(value_parse_size(value_format_size(bytes, buf), &again), 0);
		assert_int_equal(again, bytes);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(value_parse_size(bad[i], &bytes), -EINVAL);
	assert_int_equal(value_parse_size("16E", &bytes), -ERANGE);
	assert_int_equal(value_parse_size("18446744073709551614", &bytes), -ERANGE);
}

static void test_percent(void **state)
{
	char buf[VALUE_SPAN_BYTES];
	uint64_t value;

	(void)state;
	assert_int_equal(value_parse_percent("80%", &value), 0);
	assert_int_equal(value, 8000);
	assert_int_equal(value_parse_percent("12.5%", &value), 0);
	assert_int_equal(value, 1250);
	assert_string_equal(value_format_percent(value, buf), "12.5%");
	assert_int_equal(value_parse_percent("0.25%", &value), 0);
	assert_int_equal(value, 25);
	assert_string_equal(value_format_percent(value, buf), "0.25%");
	assert_string_equal(value_format_percent(5, buf), "0.05%");
	assert_string_equal(value_format_percent(40000, buf), "400%");
	assert_int_equal(value_parse_percent("80", &value), -EINVAL);
	assert_int_equal(value_parse_percent("-1%", &value), -EINVAL);
	assert_int_equal(value_parse_percent("1.255%", &value), -EINVAL);
	assert_int_equal(value_parse_percent("%", &value), -EINVAL);
	assert_int_equal(value_parse_percent("99999999999999999999%", &value), -ERANGE);
}

static void test_mode(void **state)
{
	mode_t mode;

	(void)state;
	assert_int_equal(value_parse_mode("0660", 07777, &mode), 0);
	assert_int_equal(mode, 0660);
	assert_int_equal(value_parse_mode("1777", 07777, &mode), 0);
	assert_int_equal(value_parse_mode("1777", 0777, &mode), -ERANGE);
	assert_int_equal(value_parse_mode("0888", 07777, &mode), -EINVAL);
	assert_int_equal(value_parse_mode("", 07777, &mode), -EINVAL);
	assert_int_equal(value_parse_mode("u+x", 07777, &mode), -EINVAL);
	assert_int_equal(value_parse_mode("7777777777777777777777777", 07777, &mode), -ERANGE);
}

static void test_signal(void **state)
{
	char buf[VALUE_SIGNAL_BYTES];
	int signal;

	(void)state;
	assert_int_equal(value_parse_signal("SIGTERM", &signal), 0);
	assert_int_equal(signal, SIGTERM);
	assert_int_equal(value_parse_signal("INT", &signal), 0);
	assert_int_equal(signal, SIGINT);
	assert_int_equal(value_parse_signal("15", &signal), 0);
	assert_string_equal(value_format_signal(signal, buf), "SIGTERM");
	assert_int_equal(value_parse_signal("RTMIN+1", &signal), 0);
	assert_int_equal(signal, SIGRTMIN + 1);
	assert_string_equal(value_format_signal(signal, buf), "SIGRTMIN+1");
	assert_int_equal(value_parse_signal("SIGRTMAX-2", &signal), 0);
	assert_int_equal(signal, SIGRTMAX - 2);
	assert_int_equal(value_parse_signal("RTMIN", &signal), 0);
	assert_int_equal(signal, SIGRTMIN);
	assert_int_equal(value_parse_signal("RTMIN+31", &signal), -ERANGE);
	assert_int_equal(value_parse_signal("RTMIN-1", &signal), -EINVAL);
	assert_int_equal(value_parse_signal("0", &signal), -ERANGE);
	assert_int_equal(value_parse_signal("32", &signal), -ERANGE);
	assert_int_equal(value_parse_signal("65", &signal), -ERANGE);
	assert_int_equal(value_parse_signal("sigterm", &signal), -EINVAL);
	assert_int_equal(value_parse_signal("", &signal), -EINVAL);
	for (int i = 1; i <= SIGRTMAX; i++) {
		if (i > SIGSYS && i < SIGRTMIN)
			continue;
		assert_int_equal(value_parse_signal(value_format_signal(i, buf), &signal), 0);
		assert_int_equal(signal, i);
	}
}

static void test_errno(void **state)
{
	static const struct {
		const char *text;
		int number;
	} good[] = {{"EPERM", EPERM},
		    {"ENOSYS", ENOSYS},
		    {"EHWPOISON", EHWPOISON},
		    {"EAGAIN", EAGAIN},
		    {"EWOULDBLOCK", EAGAIN},
		    {"EDEADLOCK", EDEADLOCK},
		    {"ENOTSUP", EOPNOTSUPP},
		    {"EOPNOTSUPP", EOPNOTSUPP},
		    {"0", 0},
		    {"1", 1},
		    {"4095", 4095}};
	static const char *const bad[] = {"", "eperm", "PERM", "EPERM ", "-1", "4096", "1x", "0x1", "kill"};
	int number;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(value_parse_errno(good[i].text, &number), 0);
		assert_int_equal(number, good[i].number);
	}
	number = -7;
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(value_parse_errno(bad[i], &number), -EINVAL);
		assert_int_equal(number, -7);
	}
}

static void test_cpus(void **state)
{
	char cpus[VALUE_CPUS_BYTES] = "";

	(void)state;
	assert_int_equal(value_parse_cpus("0-3 8", cpus), 0);
	assert_string_equal(cpus, "0-3,8");
	assert_int_equal(value_parse_cpus("4,7,5", cpus), 0);
	assert_string_equal(cpus, "0-5,7-8");
	assert_int_equal(value_parse_cpus("3-1", cpus), -ERANGE);
	assert_int_equal(value_parse_cpus("8192", cpus), -ERANGE);
	assert_int_equal(value_parse_cpus("a", cpus), -EINVAL);
	assert_int_equal(value_parse_cpus("-1", cpus), -EINVAL);
	assert_int_equal(value_parse_cpus("1-", cpus), -EINVAL);
	assert_string_equal(cpus, "0-5,7-8");
	cpus[0] = '\0';
	assert_int_equal(value_parse_cpus(" , ", cpus), -EINVAL);
}

static void test_user(void **state)
{
	static const char *const good[] = {"www-data", "_x", "0", "4294967294", "a.b", "machine$", "A1"};
	static const char *const bad[] = {
		"",         "4294967295",          "-a", ".a", "a b", "a:b", "a/b", "a\tb", "a$b",
		"\xc3\xa9", "12345678901234567890"};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(value_valid_user(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(value_valid_user(bad[i]));
}

static void test_path(void **state)
{
	char path[8192] = "//a/./b///c/";

	(void)state;
	assert_int_equal(value_normalize_path(path), 0);
	assert_string_equal(path, "/a/b/c");
	strcpy(path, "/.//");
	assert_int_equal(value_normalize_path(path), 0);
	assert_string_equal(path, "/");
	strcpy(path, "/a/..b/...");
	assert_int_equal(value_normalize_path(path), 0);
	assert_string_equal(path, "/a/..b/...");
	strcpy(path, "/a/../b");
	assert_int_equal(value_normalize_path(path), -EINVAL);
	strcpy(path, "/..");
	assert_int_equal(value_normalize_path(path), -EINVAL);
	strcpy(path, "a");
	assert_int_equal(value_normalize_path(path), -EINVAL);
	strcpy(path, "");
	assert_int_equal(value_normalize_path(path), -EINVAL);
	strcpy(path, "/a\tb");
	assert_int_equal(value_normalize_path(path), -EINVAL);
	memset(path, 'a', sizeof path);
	path[0] = '/';
	path[4096] = '\0';
	assert_int_equal(value_normalize_path(path), -ERANGE);
	path[4095] = '\0';
	assert_int_equal(value_normalize_path(path), 0);
}

static void test_limits(void **state)
{
	uint64_t soft, hard;

	(void)state;
	assert_int_equal(limit_parse(RLIMIT_NOFILE, "1024:4096", &soft, &hard), 0);
	assert_int_equal(soft, 1024);
	assert_int_equal(hard, 4096);
	assert_int_equal(limit_parse(RLIMIT_CORE, "infinity", &soft, &hard), 0);
	assert_int_equal(hard, SPEC_INFINITY);
	assert_int_equal(limit_parse(RLIMIT_AS, "1G:infinity", &soft, &hard), 0);
	assert_int_equal(soft, 1 << 30);
	assert_int_equal(limit_parse(RLIMIT_CPU, "1min 500ms", &soft, &hard), 0);
	assert_int_equal(soft, 61);
	assert_int_equal(limit_parse(RLIMIT_RTTIME, "500", &soft, &hard), 0);
	assert_int_equal(soft, 500);
	assert_int_equal(limit_parse(RLIMIT_RTTIME, "1s", &soft, &hard), 0);
	assert_int_equal(soft, 1000000);
	assert_int_equal(limit_parse(RLIMIT_NICE, "+5", &soft, &hard), 0);
	assert_int_equal(soft, 15);
	assert_int_equal(limit_parse(RLIMIT_NICE, "-20", &soft, &hard), 0);
	assert_int_equal(soft, 40);
	assert_int_equal(limit_parse(RLIMIT_NICE, "41", &soft, &hard), -ERANGE);
	assert_int_equal(limit_parse(RLIMIT_NOFILE, "4096:1024", &soft, &hard), -ERANGE);
	assert_int_equal(limit_parse(RLIMIT_NOFILE, "1K", &soft, &hard), -EINVAL);
	assert_int_equal(limit_parse(RLIMIT_NOFILE, "", &soft, &hard), -EINVAL);
	assert_int_equal(limit_parse(RLIMIT_NOFILE, ":1", &soft, &hard), -EINVAL);
	assert_int_equal(limit_parse(RLIMIT_NOFILE, "1:2:3", &soft, &hard), -EINVAL);
}

static void test_capabilities(void **state)
{
	uint64_t all = (1ULL << 41) - 1, mask = 0;
	const char *wrong;
	size_t length;

	(void)state;
	assert_int_equal(capability_parse("CAP_CHOWN cap_kill", &mask, &wrong, &length), 0);
	assert_int_equal(mask, 1 << 0 | 1 << 5);
	assert_int_equal(capability_parse("CAP_NET_BIND_SERVICE", &mask, &wrong, &length), 0);
	assert_int_equal(mask, 1 << 0 | 1 << 5 | 1 << 10);
	assert_int_equal(capability_parse("~CAP_KILL", &mask, &wrong, &length), 0);
	assert_int_equal(mask, 1 << 0 | 1 << 10);
	assert_int_equal(capability_parse("CAP_KILL CAP_NONE", &mask, &wrong, &length), -EINVAL);
	assert_int_equal(length, 8);
	assert_memory_equal(wrong, "CAP_NONE", 8);
	assert_int_equal(mask, 1 << 0 | 1 << 10);
	assert_int_equal(capability_parse("KILL", &mask, &wrong, &length), -EINVAL);
	assert_int_equal(capability_parse("5", &mask, &wrong, &length), -EINVAL);
	assert_int_equal(capability_parse("~", &mask, &wrong, &length), 0);
	assert_int_equal(mask, all);
	mask = 0;
	assert_int_equal(capability_parse("~CAP_CHOWN", &mask, &wrong, &length), 0);
	assert_int_equal(mask, all & ~1ULL);
}

static void assert_words(const char *text, enum words_flags flags, size_t count, const char *const *expected)
{
	const char *message;
	struct arena arena;
	char *word;

	arena_init(&arena);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(words_next(&text, flags, &arena, &word, &message), 1);
		assert_string_equal(word, expected[i]);
	}
	assert_int_equal(words_next(&text, flags, &arena, &word, &message), 0);
	arena_finish(&arena);
}

static void test_words(void **state)
{
	static const char *const bad[] = {"\"a",   "'a",   "a\\",   "\\q",     "\\x4",        "\\x00",
					  "\\400", "\\00", "\\u00", "\\ud800", "\\U00110000", "\\:"};

	(void)state;
	assert_words("", 0, 0, NULL);
	assert_words(" a  b\t'c d' \"e f\" g\"h i\"j ''", 0, 6,
		     (const char *const[]){"a", "b", "c d", "e f", "gh ij", ""});
	assert_words(
		"\\x41\\101 \\s\\n\\t \\\\ \\\" \\' \\u00e9 \"it's\" 'say \"x\"' \\;", 0, 9,
		(const char *const[]){"AA", " \n\t", "\\", "\"", "'", "\xc3\xa9", "it's", "say \"x\"", ";"});
	assert_words("/a\\:b:/c", WORDS_COLON, 1, (const char *const[]){"/a:b\x1f/c"});
	for (size_t i = 0; i < COUNT(bad); i++) {
		const char *text = bad[i], *message = NULL;
		struct arena arena;
		char *word;

		arena_init(&arena);
		assert_int_equal(words_next(&text, 0, &arena, &word, &message), -EINVAL);
		assert_non_null(message);
		arena_finish(&arena);
	}
}

/* Every byte, and every pair of those that mean something. */
static void test_quote(void **state)
{
	static const char special[] = "a \\\"'%$:;#\n\xc3";
	enum words_flags flags[] = {0, WORDS_COLON};

	(void)state;
	for (int i = 1; i < 256 + (int)(sizeof special * sizeof special); i++) {
		char word[3] = {(char)i};

		if (i >= 256) {
			word[0] = special[(i - 256) % (int)sizeof special];
			word[1] = special[(i - 256) / (int)sizeof special];
		}
		for (size_t f = 0; f < COUNT(flags); f++) {
			char *text = NULL;
			size_t size;
			FILE *out = open_memstream(&text, &size);

			if (word[0] == WORDS_SEPARATOR && flags[f] == WORDS_COLON) {
				fclose(out);
				free(text);
				continue;
			}
			words_quote(word, flags[f], out);
			fclose(out);
			assert_words(text, flags[f], 1, (const char *const[]){word});
			free(text);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bool),         cmocka_unit_test(test_integer),
		cmocka_unit_test(test_span),         cmocka_unit_test(test_size),
		cmocka_unit_test(test_percent),      cmocka_unit_test(test_mode),
		cmocka_unit_test(test_signal),       cmocka_unit_test(test_errno),
		cmocka_unit_test(test_cpus),         cmocka_unit_test(test_user),
		cmocka_unit_test(test_path),         cmocka_unit_test(test_limits),
		cmocka_unit_test(test_capabilities), cmocka_unit_test(test_words),
		cmocka_unit_test(test_quote),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
