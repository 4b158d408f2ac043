/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cni-result.h"

static const char whole[] =
	"{\"cniVersion\": \"1.0.0\", \"interfaces\": [{\"name\": \"lan0\", \"mac\": \"aa:bb:cc:dd:ee:ff\"},"
	"{\"name\": \"eth0\", \"mac\": \"aa:bb:cc:dd:ee:00\", \"sandbox\": \"/run/x\"}],"
	"\"ips\": [{\"address\": \"10.88.0.2/16\", \"gateway\": \"10.88.0.1\", \"interface\": 1},"
	"{\"address\": \"fd00::2/64\"}], \"routes\": [{\"dst\": \"0.0.0.0/0\", \"gw\": \"10.88.0.1\"}, "
	"{\"dst\": \"::/0\"}],"
	"\"dns\": {\"nameservers\": [\"10.88.0.1\", \"fd00::1\"], \"domain\": \"example.com\","
	"\"search\": [\"a.example.com\", \"b\"], \"options\": [\"ndots:2\"]}}";

static json_t *load(const char *text)
{
	json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);

	if (!json)
		fail_msg("no JSON: %s", text);
	return json;
}

static void test_whole(void **state)
{
	json_t *result = load(whole), *report, *expected;
	char message[128] = "", *text;

	(void)state;
	assert_int_equal(cni_result_check(result, message, sizeof message), 0);
	text = cni_result_resolv_conf(result);
	assert_string_equal(text, "nameserver 10.88.0.1\nnameserver fd00::1\ndomain example.com\n"
				  "search a.example.com b\noptions ndots:2\n");
	free(text);
	report = cni_result_report(result);
	expected =
		load("{\"interfaces\": [{\"name\": \"eth0\", \"mac\": \"aa:bb:cc:dd:ee:00\"}],"
		     "\"addresses\": [{\"address\": \"10.88.0.2/16\", \"gateway\": \"10.88.0.1\","
		     "\"interface\": \"eth0\"}, {\"address\": \"fd00::2/64\"}],"
		     "\"routes\": [{\"to\": \"0.0.0.0/0\", \"via\": \"10.88.0.1\"}, {\"to\": \"::/0\"}],"
		     "\"nameservers\": [\"10.88.0.1\", \"fd00::1\"], \"search\": [\"a.example.com\", \"b\"]}");
	assert_true(json_equal(report, expected));
	json_decref(expected);
	json_decref(report);
	json_decref(result);
}

/* What Go's plugins write for what there is not. */
static void test_empty(void **state)
{
	static const char *const texts[] = {
		"{}",
		"{\"interfaces\": null, \"ips\": null, \"routes\": null, \"dns\": null}",
		"{\"interfaces\": [], \"ips\": [], \"dns\": {}}",
		"{\"dns\": {\"nameservers\": null, \"domain\": \"\", \"search\": []}}",
		"{\"interfaces\": [{\"name\": \"lo\", \"mac\": \"\", \"sandbox\": \"\"}], \"unknown\": [1]}",
	};
	char message[128];

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		json_t *result = load(texts[i]), *report;

		assert_int_equal(cni_result_check(result, message, sizeof message), 0);
		assert_null(cni_result_resolv_conf(result));
		assert_int_equal(errno, 0);
		report = cni_result_report(result);
		assert_int_equal(json_array_size(json_object_get(report, "addresses")), 0);
		assert_int_equal(json_array_size(json_object_get(report, "interfaces")), 0);
		json_decref(report);
		json_decref(result);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"[]", "expected a JSON object"},
		{"1", "expected a JSON object"},
		{"{\"interfaces\": {}}", "interfaces: expected a list"},
		{"{\"interfaces\": [1]}", "interfaces[0]: expected an object"},
		{"{\"interfaces\": [{\"mac\": \"00\"}]}", "interfaces[0].name: "},
		{"{\"interfaces\": [{\"name\": \"a/b\"}]}", "interfaces[0].name: "},
		{"{\"interfaces\": [{\"name\": \"sixteen-is-too-m\"}]}", "interfaces[0].name: "},
		{"{\"interfaces\": [{\"name\": \"a\\u001b[2J\"}]}", "interfaces[0].name: "},
		{"{\"interfaces\": [{\"name\": \"a\"}, {\"name\": \"b\", \"mac\": \"\\n\"}]}",
		 "interfaces[1].mac: "},
		{"{\"ips\": [{}]}", "ips[0].address: "},
		{"{\"ips\": [{\"address\": \"10.0.0.1\"}]}", "ips[0].address: "},
		{"{\"ips\": [{\"address\": \"10.0.0.1/33\"}]}", "ips[0].address: "},
		{"{\"ips\": [{\"address\": \"10.0.0.1/\"}]}", "ips[0].address: "},
		{"{\"ips\": [{\"address\": \"10.0.0.1/-1\"}]}", "ips[0].address: "},
		{"{\"ips\": [{\"address\": \"fd00::/129\"}]}", "ips[0].address: "},
		{"{\"ips\": [{\"address\": \"10.0.0.1/24\", \"gateway\": \"x\"}]}", "ips[0].gateway: "},
		{"{\"ips\": [{\"address\": \"10.0.0.1/24\", \"interface\": 0}]}", "ips[0].interface: "},
		{"{\"ips\": [{\"address\": \"10.0.0.1/24\", \"interface\": -2}]}", "ips[0].interface: "},
		{"{\"ips\": [{\"address\": \"10.0.0.1/24\", \"interface\": \"0\"}]}", "ips[0].interface: "},
		{"{\"routes\": [{\"dst\": \"default\"}]}", "routes[0].dst: "},
		{"{\"routes\": [{\"dst\": \"::/0\", \"gw\": 7}]}", "routes[0].gw: "},
		{"{\"dns\": []}", "dns: "},
		{"{\"dns\": {\"domain\": \"a b\"}}", "dns: "},
		{"{\"dns\": {\"nameservers\": [\"10.0.0.1\\nnameserver 6.6.6.6\"]}}", "nameservers[0]: "},
		{"{\"dns\": {\"nameservers\": [\"\"]}}", "nameservers[0]: "},
		{"{\"dns\": {\"search\": [\"a\", \"b\\nc\"]}}", "search[1]: "},
		{"{\"dns\": {\"options\": [\"\"]}}", "options[0]: "},
	};
	char message[128];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *result = load(cases[i].text);

		if (cni_result_check(result, message, sizeof message) != -EBADMSG)
			fail_msg("not refused: %s", cases[i].text);
		if (strncmp(message, cases[i].message, strlen(cases[i].message)) != 0)
			fail_msg("%s: %s", cases[i].text, message);
		json_decref(result);
	}
}

static void test_too_many(void **state)
{
	json_t *servers = json_array(), *result;
	char message[128];

	(void)state;
	for (int i = 0; i < 257; i++)
		json_array_append_new(servers, json_string("10.0.0.1"));
	result = json_pack("{s:{s:o}}", "dns", "nameservers", servers);
	assert_int_equal(cni_result_check(result, message, sizeof message), -EBADMSG);
	json_array_remove(servers, 0);
	assert_int_equal(cni_result_check(result, message, sizeof message), 0);
	json_decref(result);
}

static void test_errors(void **state)
{
	json_t *error = load("{\"code\": 7, \"msg\": \"no address\", \"details\": \"empty\"}");
	char text[128];

	(void)state;
	assert_string_equal(cni_error_message(error, text, sizeof text), "no address: empty");
	json_object_del(error, "details");
	assert_string_equal(cni_error_message(error, text, sizeof text), "no address");
	json_object_set_new(error, "msg", json_integer(1));
	assert_null(cni_error_message(error, text, sizeof text));
	assert_null(cni_error_message(NULL, text, sizeof text));
	json_decref(error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),    cmocka_unit_test(test_empty),  cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_many), cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
