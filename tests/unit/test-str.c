/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "str.h"

static void test_suffix(void **state)
{
	(void)state;
	assert_true(str_has_suffix("a.site", ".site"));
	assert_false(str_has_suffix(".site", ".site"));
	assert_false(str_has_suffix("site", ".site"));
	assert_false(str_has_suffix("a.site.d", ".site"));
	assert_false(str_has_suffix("", ".site"));
}

static const struct {
	const char *text, *escaped;
} escapes[] = {
	{"", ""},
	{"plain text ~", "plain text ~"},
	{"back\\slash \"quoted\"", "back\\slash \"quoted\""},
	/* control bytes */
	{"\x01\t\n\r\x1b[31m\x1f", "\\x01\\x09\\x0a\\x0d\\x1b[31m\\x1f"},
	{"a\x7f", "a\\x7f"},
	/* C1, as bytes and as UTF-8 */
	{"\x9b"
	 "31m",
	 "\\x9b31m"},
	{"\xc2\x80|\xc2\x9b|\xc2\x9f|\xc2\xa0", "\\xc2\\x80|\\xc2\\x9b|\\xc2\\x9f|\xc2\xa0"},
	/* sequences of each length, at their limits */
	{"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\xb4", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\xb4"},
	{"\xdf\xbf \xe0\xa0\x80 \xef\xbf\xbd \xf0\x90\x80\x80",
	 "\xdf\xbf \xe0\xa0\x80 \xef\xbf\xbd \xf0\x90\x80\x80"},
	{"\xf4\x8f\xbf\xbf \xf4\x90\x80\x80", "\xf4\x8f\xbf\xbf \\xf4\\x90\\x80\\x80"},
	/* not UTF-8: lone, cut, overlong, surrogates, lengths that do not exist */
	{"\x80 \xbf", "\\x80 \\xbf"},
	{"\xc3", "\\xc3"},
	{"\xc3(", "\\xc3("},
	{"\xe2\x82", "\\xe2\\x82"},
	{"\xe2\x82z", "\\xe2\\x82z"},
	{"\xf0\x9f\x98", "\\xf0\\x9f\\x98"},
	{"\xc0\xaf \xc1\xbf", "\\xc0\\xaf \\xc1\\xbf"},
	{"\xe0\x9f\xbf", "\\xe0\\x9f\\xbf"},
	{"\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf"},
	{"\xed\xa0\x80 \xed\xbf\xbf", "\\xed\\xa0\\x80 \\xed\\xbf\\xbf"},
	{"\xf8\x88\x80\x80\x80 \xfe \xff", "\\xf8\\x88\\x80\\x80\\x80 \\xfe \\xff"},
	/* U+202A..202E and 2066..2069 turn the line round, 200E, 200F and 061C are their marks */
	{"\xe2\x80\xaa|\xe2\x80\xae|\xe2\x81\xa6|\xe2\x81\xa9",
	 "\\xe2\\x80\\xaa|\\xe2\\x80\\xae|\\xe2\\x81\\xa6|\\xe2\\x81\\xa9"},
	{"\xe2\x80\x8e|\xe2\x80\x8f|\xd8\x9c", "\\xe2\\x80\\x8e|\\xe2\\x80\\x8f|\\xd8\\x9c"},
	/* U+2028, 2029: line ends of a kind; FEFF and tags (E0000 to E007F): unseen */
	{"\xe2\x80\xa8|\xe2\x80\xa9|\xef\xbb\xbf", "\\xe2\\x80\\xa8|\\xe2\\x80\\xa9|\\xef\\xbb\\xbf"},
	{"\xf3\xa0\x80\x80|\xf3\xa0\x81\xbf", "\\xf3\\xa0\\x80\\x80|\\xf3\\xa0\\x81\\xbf"},
	/* their neighbours are letters like others */
	{"\xe2\x80\x90|\xe2\x80\xa7|\xe2\x80\xaf|\xe2\x81\xaa",
	 "\xe2\x80\x90|\xe2\x80\xa7|\xe2\x80\xaf|\xe2\x81\xaa"},
};

static void test_escape(void **state)
{
	char out[256];

	(void)state;
	for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
		assert_int_equal(str_escape(escapes[i].text, out, sizeof out), strlen(escapes[i].escaped));
		assert_string_equal(out, escapes[i].escaped);
	}
}

/* Nothing that is written is ever half of an escape or of a character, and no byte past the end is touched. */
static void test_escape_cut(void **state)
{
	static const struct {
		const char *text;
		size_t size, length;
	} cuts[] = {
		{"abc", 0, 0},
		{"abc", 1, 0},
		{"abc", 3, 2},
		{"abc", 4, 3},
		{"a\nb", 5, 1},
		{"a\nb", 6, 5},
		{"a\nb", 7, 6},
		{"a\xe2\x82\xac", 4, 1},
		{"a\xe2\x82\xac", 5, 4},
		{"\xc2\x9b", 8, 4},
		{"\xc2\x9b", 9, 8},
		{"\xf0\x9f\x98\xb4", 4, 0},
		{"\xf0\x9f\x98\xb4", 5, 4},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
		char whole[64], out[64];

		str_escape(cuts[i].text, whole, sizeof whole);
		memset(out, '#', sizeof out);
		assert_int_equal(str_escape(cuts[i].text, out, cuts[i].size), cuts[i].length);
		assert_memory_equal(out, whole, cuts[i].length);
		if (cuts[i].size > 0)
			assert_int_equal(out[cuts[i].length], '\0');
		for (size_t at = cuts[i].size; at < sizeof out; at++)
			assert_int_equal(out[at], '#');
	}
}

/* Whatever the bytes, what comes out is printable: no control, and unchanged when it is escaped again. */
static void test_escape_any_bytes(void **state)
{
	(void)state;
	srandom(1);
	for (int round = 0; round < 20000; round++) {
		char text[24], once[128], twice[128];
		size_t length = (size_t)random() % (sizeof text - 1);

		for (size_t i = 0; i < length; i++)
			text[i] = (char)(random() % 4 ? 0x80 + random() % 0x80 : 1 + random() % 0x7f);
		text[length] = '\0';
		str_escape(text, once, sizeof once);
		for (const char *at = once; *at; at++)
			assert_true((unsigned char)*at >= 0x20 && *at != 0x7f);
		str_escape(once, twice, sizeof twice);
		assert_string_equal(once, twice);
	}
}

static void test_valid_name(void **state)
{
	static const char *const good[] = {"a", "Z", "0", "example.com", "a:b-c_d.e@f",
					   "_", ":", "@", "a..b",        "a-"};
	static const char *const bad[] = {"",      ".",     "..",       ".a",  "-a",  "a/b",  "a b", "a\n",
					  "a\x1b", "a\x7f", "\xc3\xa9", "a,b", "a%b", "a\\b", "a+b", "a~"};
	char name[NAME_BYTES_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(str_valid_name(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(str_valid_name(bad[i]));
	memset(name, 'a', sizeof name);
	name[NAME_BYTES_MAX] = '\0';
	assert_true(str_valid_name(name));
	name[NAME_BYTES_MAX] = 'a';
	name[NAME_BYTES_MAX + 1] = '\0';
	assert_false(str_valid_name(name));
}

static void test_to_u64(void **state)
{
	static const struct {
		const char *text;
		int error;
		uint64_t value;
	} cases[] = {
		{"0", 0, 0},
		{"007", 0, 7},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"99999999999999999999999", -ERANGE, 0},
		{"", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
		{"1K", -EINVAL, 0},
		{"max", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint64_t value = 4711;

		assert_int_equal(str_to_u64(cases[i].text, &value), cases[i].error);
		assert_int_equal(value, cases[i].error ? 4711 : cases[i].value);
	}
}

static void test_span(void **state)
{
	static const struct {
		uint64_t us;
		const char *text;
	} cases[] = {
		{0, "0us"},
		{850, "850us"},
		{999, "999us"},
		{1000, "1.0ms"},
		{12345, "12.3ms"},
		{999999, "999.9ms"}, /* never "1000.0ms" */
		{1000000, "1.0s"},
		{4200000, "4.2s"},
		{59999999, "59.9s"},
		{60000000, "1min 0s"},
		{200000000, "3min 20s"},
		{3599999999, "59min 59s"},
		{3600000000, "1h 0min"},
		{7500000000, "2h 5min"},
		{86399999999, "23h 59min"},
		{86400000000, "1d 0h"},
		{356400000000, "4d 3h"},
		{UINT64_MAX, "213503982d 8h"},
	};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_ptr_equal(str_format_span(cases[i].us, buf, sizeof buf), buf);
		assert_string_equal(buf, cases[i].text);
	}
	assert_string_equal(str_format_span(12345, buf, 4), "12.");
}

static void test_bytes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0B"},
		{812, "812B"},
		{1023, "1023B"},
		{1024, "1.0K"},
		{1741, "1.7K"},
		{1048575, "1.0M"}, /* never "1024.0K" */
		{1048576, "1.0M"},
		{69206016, "66.0M"},
		{2254857830, "2.1G"},
		{1ULL << 40, "1.0T"},
		{1ULL << 50, "1.0P"},
		{1ULL << 60, "1.0E"},
		{UINT64_MAX, "16.0E"},
	};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_ptr_equal(str_format_bytes(cases[i].bytes, buf, sizeof buf), buf);
		assert_string_equal(buf, cases[i].text);
	}
}

static void test_path_within(void **state)
{
	static const struct {
		const char *path, *folder;
		bool within;
	} cases[] = {
		{"/a", "/a", true}, {"/a/b", "/a", true},  {"/a/b/c", "/a/b", true}, {"/", "/", true},
		{"/a", "/", true},  {"/ab", "/a", false},  {"/a-b", "/a", false},    {"/a", "/a/b", false},
		{"/", "/a", false}, {"/b/a", "/a", false}, {"/a", "/A", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(str_path_within(cases[i].path, cases[i].folder), cases[i].within);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suffix),      cmocka_unit_test(test_escape),
		cmocka_unit_test(test_escape_cut),  cmocka_unit_test(test_escape_any_bytes),
		cmocka_unit_test(test_valid_name),  cmocka_unit_test(test_to_u64),
		cmocka_unit_test(test_span),        cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_path_within),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
