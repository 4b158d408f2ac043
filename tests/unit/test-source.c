/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "source.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void assert_reads(const char *word, const char *first, const char *second)
{
	struct source_rule rules[SOURCE_NAMED_MAX];
	char text[SOURCE_TEXT_BYTES];

	assert_int_equal(source_parse(word, true, rules), second ? 2 : 1);
	assert_string_equal(source_format(&rules[0], text), first);
	assert_true(rules[0].deny);
	if (second)
		assert_string_equal(source_format(&rules[1], text), second);
}

static void test_syntax(void **state)
{
	static const char *const bad[] = {
		"",    "10.0.0.0/33", "::/129", "10.0.0",      "10.0.0.0/",    "10.0.0.0/a",  "10.0.0.0/8/8",
		"Any", "all",         "/8",     "localhost/8", "fe80::1%eth0", "10.0.0.0/-1", "2001:db8::1::"};
	struct source_rule rules[SOURCE_NAMED_MAX];

	(void)state;
	assert_reads("10.0.0.0/8", "10.0.0.0/8", NULL);
	assert_reads("10.11.12.13/9", "10.0.0.0/9", NULL);
	assert_reads("127.0.0.1", "127.0.0.1/32", NULL);
	assert_reads("0.0.0.0/0", "0.0.0.0/0", NULL);
	assert_reads("2001:db8::1", "2001:db8::1/128", NULL);
	assert_reads("2001:db8:ffff::/33", "2001:db8:8000::/33", NULL);
	assert_reads("any", "0.0.0.0/0", "::/0");
	assert_reads("localhost", "127.0.0.0/8", "::1/128");
	assert_reads("link-local", "169.254.0.0/16", "fe80::/64");
	assert_reads("multicast", "224.0.0.0/4", "ff00::/8");
	for (size_t i = 0; i < COUNT(bad); i++)
		if (source_parse(bad[i], false, rules) != -EINVAL)
			fail_msg("'%s' is taken", bad[i]);
}

static void test_order(void **state)
{
	struct source_rule rules[4];
	static const struct {
		const char *address;
		bool allowed;
	} cases[] = {
		{"10.1.2.3", false},   {"10.9.0.1", true},         {"192.0.2.1", true},
		{"2001:db8::1", true}, {"::ffff:10.1.2.3", false}, {"::ffff:10.9.0.1", true},
	};

	(void)state;
	assert_int_equal(source_parse("10.0.0.0/8", true, &rules[0]), 1);
	assert_int_equal(source_parse("10.9.0.0/16", false, &rules[1]), 1);
	for (size_t i = 0; i < COUNT(cases); i++) {
		int family = strchr(cases[i].address, ':') ? AF_INET6 : AF_INET;
		struct in6_addr address;

		assert_int_equal(inet_pton(family, cases[i].address, &address), 1);
		assert_int_equal(source_allowed(rules, 2, family, &address), cases[i].allowed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_syntax), cmocka_unit_test(test_order)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
