/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cni-result.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "str.h"

#define ENTRIES_MAX 256 /* of a list */
#define WORD_MAX    253 /* a domain's length */

/* Whether one value has the right form. */
typedef bool test_fn(const char *text);

struct field {
	const char *name;
	test_fn *test;
	const char *expected;
	bool required;
};

static bool is_address(const char *text)
{
	unsigned char buf[16];

	return inet_pton(AF_INET, text, buf) == 1 || inet_pton(AF_INET6, text, buf) == 1;
}

static bool is_prefix(const char *text)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	unsigned char buf[16];
	uint64_t length;

	if (!slash || (size_t)(slash - text) >= sizeof address || str_to_u64(slash + 1, &length) < 0)
		return false;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	return (inet_pton(AF_INET, address, buf) == 1 && length <= 32) ||
	       (inet_pton(AF_INET6, address, buf) == 1 && length <= 128);
}

static bool consists_of(const char *text, const char *more, size_t max)
{
	size_t length = strlen(text);

	for (size_t i = 0; i < length; i++)
		if (!strchr(more, text[i]) &&
		    !strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", text[i]))
			return false;
	return length > 0 && length <= max;
}

static bool is_interface(const char *text)
{
	return consists_of(text, "._-@+=", IFNAMSIZ - 1);
}

static bool is_hardware_address(const char *text)
{
	return !*text || consists_of(text, ":", 64);
}

static bool is_path(const char *text)
{
	return strlen(text) < 4096;
}

static bool is_domain(const char *text)
{
	return consists_of(text, "._-", WORD_MAX);
}

static bool is_domain_or_empty(const char *text)
{
	return !*text || is_domain(text);
}

static bool is_option(const char *text)
{
	return consists_of(text, "._-:", WORD_MAX);
}

static const struct field interface_fields[] = {
	{"name", is_interface, "the name of an interface", true},
	{"mac", is_hardware_address, "a hardware address", false},
	{"sandbox", is_path, "a path", false},
	{0},
};
static const struct field ip_fields[] = {
	{"address", is_prefix, "an address and the length of its prefix", true},
	{"gateway", is_address, "an address", false},
	{0},
};
static const struct field route_fields[] = {
	{"dst", is_prefix, "an address and the length of its prefix", true},
	{"gw", is_address, "an address", false},
	{0},
};

static int refuse(char *message, size_t size, const char *list, size_t i, const char *name,
		  const char *expected)
{
	if (name)
		snprintf(message, size, "%s[%zu].%s: expected %s", list, i, name, expected);
	else
		snprintf(message, size, "%s[%zu]: expected %s", list, i, expected);
	return -EBADMSG;
}

/* null is what Go writes for what is not there. */
static bool absent(const json_t *value)
{
	return !value || json_is_null(value);
}

static int check_list(const json_t *list, const char *name, char *message, size_t size)
{
	if (absent(list) || (json_is_array(list) && json_array_size(list) <= ENTRIES_MAX))
		return 0;
	snprintf(message, size, "%s: expected a list of at most %d", name, ENTRIES_MAX);
	return -EBADMSG;
}

static int check_objects(const json_t *result, const char *name, const struct field *fields, char *message,
			 size_t size)
{
	const json_t *list = json_object_get(result, name);

	if (check_list(list, name, message, size) < 0)
		return -EBADMSG;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);

		if (!json_is_object(item))
			return refuse(message, size, name, i, NULL, "an object");
		for (const struct field *field = fields; field->name; field++) {
			const json_t *value = json_object_get(item, field->name);
			const char *text = json_string_value(value);

			if (absent(value) ? field->required : !text || !field->test(text))
				return refuse(message, size, name, i, field->name, field->expected);
		}
	}
	return 0;
}

/* ips[].interface is an index into interfaces. */
static int check_indices(const json_t *result, char *message, size_t size)
{
	const json_t *ips = json_object_get(result, "ips");
	size_t n = json_array_size(json_object_get(result, "interfaces"));

	for (size_t i = 0; i < json_array_size(ips); i++) {
		const json_t *index = json_object_get(json_array_get(ips, i), "interface");

		if (!absent(index) && (!json_is_integer(index) || json_integer_value(index) < -1 ||
				       json_integer_value(index) >= (json_int_t)n))
			return refuse(message, size, "ips", i, "interface", "the index of an interface");
	}
	return 0;
}

static int check_words(const json_t *dns, const char *name, test_fn *test, const char *expected, char *message,
		       size_t size)
{
	const json_t *list = json_object_get(dns, name);

	if (check_list(list, name, message, size) < 0)
		return -EBADMSG;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text || !test(text))
			return refuse(message, size, name, i, NULL, expected);
	}
	return 0;
}

static int check_dns(const json_t *dns, char *message, size_t size)
{
	const json_t *domain = json_object_get(dns, "domain");
	int r;

	if (absent(dns))
		return 0;
	if (!json_is_object(dns) ||
	    (!absent(domain) && (!json_is_string(domain) || !is_domain_or_empty(json_string_value(domain))))) {
		snprintf(message, size, "dns: expected an object, with a domain or none");
		return -EBADMSG;
	}
	r = check_words(dns, "nameservers", is_address, "an address", message, size);
	if (r == 0)
		r = check_words(dns, "search", is_domain, "a domain", message, size);
	if (r == 0)
		r = check_words(dns, "options", is_option, "an option of resolv.conf", message, size);
	return r;
}

int cni_result_check(const json_t *result, char *message, size_t size)
{
	int r;

	if (!json_is_object(result)) {
		snprintf(message, size, "expected a JSON object");
		return -EBADMSG;
	}
	r = check_objects(result, "interfaces", interface_fields, message, size);
	if (r == 0)
		r = check_objects(result, "ips", ip_fields, message, size);
	if (r == 0)
		r = check_indices(result, message, size);
	if (r == 0)
		r = check_objects(result, "routes", route_fields, message, size);
	return r < 0 ? r : check_dns(json_object_get(result, "dns"), message, size);
}

static void print_words(const json_t *list, const char *before, const char *between, FILE *out)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		fprintf(out, "%s%s", i == 0 ? before : between, json_string_value(json_array_get(list, i)));
	if (json_array_size(list) > 0)
		putc('\n', out);
}

char *cni_result_resolv_conf(const json_t *result)
{
	const json_t *dns = json_object_get(result, "dns"), *servers = json_object_get(dns, "nameservers");
	const char *domain = json_string_value(json_object_get(dns, "domain"));
	char *text = NULL;
	size_t size;
	FILE *out;

	errno = 0;
	if (json_array_size(servers) == 0)
		return NULL;
	out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	print_words(servers, "nameserver ", "\nnameserver ", out);
	/* Of domain and search the last one counts: resolv.conf(5). */
	if (domain && *domain)
		fprintf(out, "domain %s\n", domain);
	print_words(json_object_get(dns, "search"), "search ", " ", out);
	print_words(json_object_get(dns, "options"), "options ", " ", out);
	if (fclose(out) == 0)
		return text;
	free(text);
	errno = ENOMEM;
	return NULL;
}

/* In the container: not a bridge, nor the other end of a pair, which are in the host's network. */
static bool is_inside(const json_t *interface)
{
	const char *sandbox = json_string_value(json_object_get(interface, "sandbox"));

	return sandbox && *sandbox;
}

static void set_text(json_t *object, const char *key, const json_t *value)
{
	const char *text = json_string_value(value);

	if (text && *text)
		json_object_set_new(object, key, json_string(text));
}

static json_t *report_interfaces(const json_t *interfaces)
{
	json_t *array = json_array();

	for (size_t i = 0; i < json_array_size(interfaces); i++) {
		const json_t *from = json_array_get(interfaces, i);
		json_t *object = is_inside(from) ? json_object() : NULL;

		if (!object)
			continue;
		set_text(object, "name", json_object_get(from, "name"));
		set_text(object, "mac", json_object_get(from, "mac"));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *report_addresses(const json_t *ips, const json_t *interfaces)
{
	json_t *array = json_array();

	for (size_t i = 0; i < json_array_size(ips); i++) {
		const json_t *from = json_array_get(ips, i), *index = json_object_get(from, "interface");
		json_t *object = json_object();

		set_text(object, "address", json_object_get(from, "address"));
		set_text(object, "gateway", json_object_get(from, "gateway"));
		if (json_is_integer(index) && json_integer_value(index) >= 0)
			set_text(object, "interface",
				 json_object_get(json_array_get(interfaces, (size_t)json_integer_value(index)),
						 "name"));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *report_routes(const json_t *routes)
{
	json_t *array = json_array();

	for (size_t i = 0; i < json_array_size(routes); i++) {
		const json_t *from = json_array_get(routes, i);
		json_t *object = json_object();

		set_text(object, "to", json_object_get(from, "dst"));
		set_text(object, "via", json_object_get(from, "gw"));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *list_or_empty(const json_t *list)
{
	return json_is_array(list) ? json_deep_copy(list) : json_array();
}

json_t *cni_result_report(const json_t *result)
{
	const json_t *interfaces = json_object_get(result, "interfaces"), *dns = json_object_get(result, "dns");

	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "interfaces", report_interfaces(interfaces), "addresses",
			 report_addresses(json_object_get(result, "ips"), interfaces), "routes",
			 report_routes(json_object_get(result, "routes")), "nameservers",
			 list_or_empty(json_object_get(dns, "nameservers")), "search",
			 list_or_empty(json_object_get(dns, "search")));
}

const char *cni_error_message(const json_t *answer, char *buf, size_t size)
{
	const char *message = json_string_value(json_object_get(answer, "msg")),
		   *details = json_string_value(json_object_get(answer, "details"));

	if (!message || !*message)
		return NULL;
	snprintf(buf, size, "%s%s%s", message, details && *details ? ": " : "", details ? details : "");
	return buf;
}
