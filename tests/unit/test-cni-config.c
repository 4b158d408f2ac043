/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cni-config.h"
#include "scratch.h"

#define ONE "\"cniVersion\": \"1.0.0\", \"name\": \"lan\""

static int parse(const char *text, struct cni_network *network, struct diag *diag)
{
	*diag = (struct diag){0};
	return cni_network_parse(text, strlen(text), "lan.conflist", network, diag);
}

static void test_list(void **state)
{
	struct cni_network network;
	struct diag diag;

	(void)state;
	assert_int_equal(parse("{" ONE ", \"plugins\": [{\"type\": \"bridge\"}, {\"type\": \"portmap\"}]}",
			       &network, &diag),
			 0);
	assert_string_equal(network.name, "lan");
	assert_string_equal(network.version, "1.0.0");
	assert_string_equal(network.file, "lan.conflist");
	assert_int_equal(json_array_size(network.plugins), 2);
	assert_string_equal(cni_network_type(&network, 1), "portmap");
	cni_network_finish(&network);
	cni_network_finish(&network);
}

/* The old form: the network is its only plugin. */
static void test_single(void **state)
{
	struct cni_network network;
	struct diag diag;

	(void)state;
	assert_int_equal(parse("{" ONE ", \"type\": \"ptp\", \"mtu\": 1400}", &network, &diag), 0);
	assert_int_equal(json_array_size(network.plugins), 1);
	assert_string_equal(cni_network_type(&network, 0), "ptp");
	cni_network_finish(&network);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *message;
		unsigned line;
	} cases[] = {
		{"", "expected JSON", 1},
		{"{\n\"name\": lan}", "expected JSON", 2},
		{"[]", "expected a JSON object", 0},
		{"{\"cniVersion\": \"1.0.0\", \"name\": \"a\", \"name\": \"b\"}", "expected JSON", 1},
		{"{\"cniVersion\": \"1.0.0\"}", "expected \"name\"", 0},
		{"{\"cniVersion\": \"1.0.0\", \"name\": \"../x\"}", "expected \"name\"", 0},
		{"{\"cniVersion\": \"1.0.0\", \"name\": 1}", "expected \"name\"", 0},
		{"{\"name\": \"lan\", \"type\": \"x\"}", "expected \"cniVersion\"", 0},
		{"{\"name\": \"lan\", \"cniVersion\": \"2.0.0\", \"type\": \"x\"}", "\"2.0.0\" is not known",
		 0},
		{"{\"name\": \"lan\", \"cniVersion\": 1, \"type\": \"x\"}", "expected \"cniVersion\"", 0},
		{"{" ONE "}", "expected \"plugins\"", 0},
		{"{" ONE ", \"plugins\": []}", "expected \"plugins\"", 0},
		{"{" ONE ", \"plugins\": {\"type\": \"a\"}}", "expected \"plugins\"", 0},
		{"{" ONE ", \"plugins\": [\"a\"]}", "plugin 1: expected an object", 0},
		{"{" ONE ", \"plugins\": [{\"type\": \"a\"}, {\"type\": \"/bin/sh\"}]}", "plugin 2: expected",
		 0},
		{"{" ONE ", \"plugins\": [{\"type\": \"..\"}]}", "plugin 1: expected", 0},
		{"{" ONE ", \"plugins\": [{}]}", "plugin 1: expected", 0},
		{"{" ONE ", \"type\": 7}", "plugin 1: expected", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct cni_network network = {.name = (char *)"untouched"};
		struct diag diag;

		assert_int_equal(parse(cases[i].text, &network, &diag), -EINVAL);
		if (!strstr(diag.message, cases[i].message))
			fail_msg("%s: %s", cases[i].text, diag.message);
		assert_int_equal(diag.line, cases[i].line);
		assert_string_equal(network.name, "untouched");
	}
}

/* What is too much, and what would exhaust the stack. */
static void test_bounds(void **state)
{
	char text[CNI_PLUGINS_MAX * 16 + 256], deep[10000];
	struct cni_network network;
	struct diag diag;
	int n = snprintf(text, sizeof text, "{" ONE ", \"plugins\": [");

	(void)state;
	for (int i = 0; i < CNI_PLUGINS_MAX + 1; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, "%s{\"type\": \"a\"}", i ? "," : "");
	snprintf(text + n, sizeof text - (size_t)n, "]}");
	assert_int_equal(parse(text, &network, &diag), -EINVAL);
	memset(deep, '[', sizeof deep - 1);
	deep[sizeof deep - 1] = '\0';
	assert_int_equal(parse(deep, &network, &diag), -EINVAL);
	assert_int_equal(cni_network_parse("{\"name\": \"a\0b\"}", 15, "x", &network, &diag), -EINVAL);
}

static void test_requests(void **state)
{
	struct cni_network network;
	struct diag diag;
	json_t *previous = json_pack("{s:s}", "cniVersion", "1.0.0"), *request;
	const char *text =
		"{" ONE ", \"disableCheck\": true, \"plugins\": [{\"type\": \"a\", \"name\": \"x\"},"
		"{\"type\": \"b\", \"capabilities\": {\"portMappings\": true}, \"deep\": {\"kept\": [1]}}]}";

	(void)state;
	assert_int_equal(parse(text, &network, &diag), 0);
	request = cni_network_request(&network, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(request, "name")), "lan");
	assert_string_equal(json_string_value(json_object_get(request, "cniVersion")), "1.0.0");
	assert_string_equal(json_string_value(json_object_get(request, "type")), "a");
	assert_int_equal(json_object_size(request), 3);
	json_decref(request);
	request = cni_network_request(&network, 1, previous);
	assert_null(json_object_get(request, "capabilities"));
	assert_true(json_equal(json_object_get(request, "prevResult"), previous));
	assert_non_null(json_object_get(json_object_get(request, "deep"), "kept"));
	json_decref(request);
	/* The configuration itself is as it was. */
	assert_string_equal(json_string_value(json_object_get(json_array_get(network.plugins, 0), "name")),
			    "x");
	assert_non_null(json_object_get(json_array_get(network.plugins, 1), "capabilities"));
	json_decref(previous);
	cni_network_finish(&network);
}

static void test_saved(void **state)
{
	struct cni_network network, again;
	struct diag diag;
	json_t *saved;
	char *text;

	(void)state;
	assert_int_equal(parse("{" ONE ", \"type\": \"ptp\", \"mtu\": 1400}", &network, &diag), 0);
	saved = cni_network_save(&network);
	text = json_dumps(saved, 0);
	assert_int_equal(parse(text, &again, &diag), 0);
	assert_true(json_equal(again.plugins, network.plugins));
	free(text);
	json_decref(saved);
	cni_network_finish(&again);
	cni_network_finish(&network);
}

static void test_folder(void **state)
{
	struct scratch scratch;
	struct cni_network network;
	struct diag diag = {0};
	char folder[512];

	(void)state;
	scratch_init(&scratch);
	scratch_write(&scratch, "etc/net.d/10-b.conf",
		      "{\"cniVersion\": \"1.0.0\", \"name\": \"b\", \"type\": \"x\"}");
	scratch_write(&scratch, "etc/net.d/20-b.conflist",
		      "{\"cniVersion\": \"1.0.0\", \"name\": \"b\", \"type\": \"y\"}");
	scratch_write(&scratch, "etc/net.d/30-c.json",
		      "{\"cniVersion\": \"1.0.0\", \"name\": \"c\", \"type\": \"z\"}");
	scratch_write(&scratch, "etc/net.d/40-d.txt",
		      "{\"cniVersion\": \"1.0.0\", \"name\": \"d\", \"type\": \"z\"}");
	scratch_write(&scratch, "etc/net.d/.50-d.conf",
		      "{\"cniVersion\": \"1.0.0\", \"name\": \"d\", \"type\": \"z\"}");
	snprintf(folder, sizeof folder, "%s", scratch_path(&scratch, "etc/net.d"));
	assert_int_equal(cni_network_find(folder, "b", &network, &diag), 0);
	assert_string_equal(cni_network_type(&network, 0), "x"); /* the first by name */
	cni_network_finish(&network);
	assert_int_equal(cni_network_find(folder, "c", &network, &diag), 0);
	cni_network_finish(&network);
	assert_int_equal(cni_network_find(folder, "d", &network, &diag), -ENOENT);
	assert_non_null(strstr(diag.message, "no network d"));
	/* Somebody else's broken file is in nobody's way, but may be the one that is missed. */
	scratch_write(&scratch, "etc/net.d/00-a.conf", "{");
	assert_int_equal(cni_network_find(folder, "c", &network, &diag), 0);
	cni_network_finish(&network);
	assert_int_equal(cni_network_find(folder, "d", &network, &diag), -EINVAL);
	assert_non_null(strstr(diag.file, "00-a.conf"));
	assert_int_equal(cni_network_find(scratch_path(&scratch, "etc/none"), "d", &network, &diag), -ENOENT);
	assert_non_null(strstr(diag.message, "NetworkConfigPath="));
	scratch_finish(&scratch);
}

static void test_programs(void **state)
{
	struct scratch scratch;
	struct cni_network network;
	struct diag diag;
	char folders[1024], path[600];

	(void)state;
	scratch_init(&scratch);
	scratch_write(&scratch, "etc/one/a", "#!/bin/sh\n");
	scratch_write(&scratch, "etc/two/a", "#!/bin/sh\n");
	scratch_write(&scratch, "etc/two/b", "#!/bin/sh\n");
	snprintf(folders, sizeof folders, "%s:", scratch_path(&scratch, "etc/one"));
	strcat(folders, scratch_path(&scratch, "etc/two"));
	assert_int_equal(chmod(scratch_path(&scratch, "etc/one/a"), 0644), 0);
	assert_int_equal(chmod(scratch_path(&scratch, "etc/two/a"), 0755), 0);
	assert_int_equal(chmod(scratch_path(&scratch, "etc/two/b"), 0755), 0);
	assert_int_equal(cni_plugin_find(folders, "a", path, sizeof path), 0);
	assert_string_equal(path, scratch_path(&scratch, "etc/two/a"));
	assert_int_equal(cni_plugin_find(folders, "c", path, sizeof path), -ENOENT);
	assert_int_equal(cni_plugin_find(folders, "a", path, 8), -ENAMETOOLONG);

	assert_int_equal(parse("{" ONE ", \"type\": \"a\", \"ipam\": {\"type\": \"b\"}}", &network, &diag), 0);
	assert_int_equal(cni_network_check(&network, folders, &diag), 0);
	cni_network_finish(&network);
	assert_int_equal(parse("{" ONE ", \"type\": \"a\", \"ipam\": {}}", &network, &diag), 0);
	assert_int_equal(cni_network_check(&network, folders, &diag), 0);
	cni_network_finish(&network);
	assert_int_equal(parse("{" ONE ", \"type\": \"a\", \"ipam\": {\"type\": \"c\"}}", &network, &diag), 0);
	assert_int_equal(cni_network_check(&network, folders, &diag), -ENOENT);
	assert_non_null(strstr(diag.message, "no plugin c in "));
	cni_network_finish(&network);
	assert_int_equal(parse("{" ONE ", \"type\": \"a\", \"ipam\": {\"type\": \"../b\"}}", &network, &diag),
			 0);
	assert_int_equal(cni_network_check(&network, folders, &diag), -EINVAL);
	cni_network_finish(&network);
	scratch_finish(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),   cmocka_unit_test(test_single),   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bounds), cmocka_unit_test(test_requests), cmocka_unit_test(test_saved),
		cmocka_unit_test(test_folder), cmocka_unit_test(test_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
