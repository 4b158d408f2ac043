/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "binding.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define UN_HEAD      offsetof(struct sockaddr_un, sun_path)

/* A listener of a case: "tcp 127.0.0.1:80", "udp 53", "seq /x", and what it is bound by: "port 8080" or an
 * address.
 */
struct listener_case {
	const char *address, *bind;
};

#define LISTENERS_MAX 4

struct fixture {
	struct site_spec spec;
	struct listener_spec listeners[LISTENERS_MAX];
	struct address binds[LISTENERS_MAX];
};

static const struct {
	const char *name;
	int type;
} types[] = {{"tcp ", SOCK_STREAM}, {"udp ", SOCK_DGRAM}, {"seq ", SOCK_SEQPACKET}};

/* Cuts the type off the text. */
static int type_of(const char **text)
{
	for (size_t i = 0; i < COUNT(types); i++)
		if (strncmp(*text, types[i].name, 4) == 0) {
			*text += 4;
			return types[i].type;
		}
	fail_msg("%s: no type", *text);
	return -1;
}

static void parse(const char *text, int type, struct address *ret)
{
	const char *message;

	*ret = (struct address){0};
	if (strncmp(text, "port ", 5) == 0 ? address_parse_port(text + 5, type, ret, &message) < 0
					   : address_parse(text, type, ret, &message) < 0)
		fail_msg("%s: %s", text, message);
}

static void make(struct fixture *fixture, const struct listener_case *cases)
{
	*fixture = (struct fixture){.spec = {.name = "a", .listeners = fixture->listeners}};
	for (unsigned i = 0; i < LISTENERS_MAX && cases[i].address; i++) {
		const char *text = cases[i].address;
		int type = type_of(&text);

		parse(text, type, &fixture->listeners[i].address);
		if (cases[i].bind) {
			parse(cases[i].bind, type, &fixture->binds[i]);
			fixture->listeners[i].bind = &fixture->binds[i];
		}
		fixture->spec.n_listeners++;
	}
}

/* What binding_find() is handed for a site. */
static int find_bind(const struct site_spec *spec, int type, const void *sockaddr, size_t length)
{
	struct address binds[SPEC_LISTENERS_MAX];

	for (unsigned i = 0; i < spec->n_listeners; i++)
		binds[i] = *listener_bind(&spec->listeners[i]);
	return binding_find(binds, spec->n_listeners, type, sockaddr, length);
}

/* In a block of exactly its length: a sanitizer sees each byte that is read past it. */
static int find(const struct fixture *fixture, int type, const void *sockaddr, size_t length)
{
	void *exact = malloc(length);
	int found;

	if (length > 0)
		memcpy(exact, sockaddr, length);
	found = find_bind(&fixture->spec, type, exact, length);
	free(exact);
	return found;
}

static int find_text(const struct fixture *fixture, const char *text)
{
	int type = type_of(&text);
	struct address address;

	parse(text, type, &address);
	return find(fixture, type, address.sockaddr, address.length);
}

struct find_case {
	const char *bind;
	int expected;
};

static void assert_finds(const struct listener_case *listeners, const struct find_case *cases, size_t n)
{
	struct fixture fixture;

	make(&fixture, listeners);
	for (size_t i = 0; i < n; i++) {
		int found = find_text(&fixture, cases[i].bind);

		if (found != (cases[i].expected < 0 ? -ENOENT : cases[i].expected))
			fail_msg("%s: found %d", cases[i].bind, found);
	}
}

#define ASSERT_FINDS(listeners, ...)                                                                           \
	do {                                                                                                   \
		static const struct find_case cases[] = {__VA_ARGS__};                                         \
                                                                                                               \
		assert_finds(listeners, cases, COUNT(cases));                                                  \
	} while (0)

/* One listener, and what means it. */
static void test_one_inet(void **state)
{
	static const struct listener_case any[] = {{"tcp [::]:80", NULL}, {0}},
					  any4[] = {{"tcp 0.0.0.0:80", NULL}, {0}},
					  local[] = {{"tcp 127.0.0.1:80", NULL}, {0}},
					  local6[] = {{"tcp [::1]:80", NULL}, {0}},
					  one[] = {{"tcp 10.0.0.1:80", NULL}, {0}},
					  one6[] = {{"tcp [fd00::1]:80", NULL}, {0}};

	(void)state;
	ASSERT_FINDS(any, {"tcp [::]:80", 0}, {"tcp 0.0.0.0:80", 0}, {"tcp 127.0.0.1:80", 0},
		     {"tcp [::1]:80", 0}, {"tcp 10.0.0.1:80", 0}, {"tcp [::]:81", -1}, {"udp [::]:80", -1},
		     {"tcp @80", -1});
	ASSERT_FINDS(any4, {"tcp [::]:80", 0}, {"tcp 0.0.0.0:80", 0}, {"tcp [fd00::1]:80", 0},
		     {"tcp 10.0.0.1:80", 0}, {"tcp 0.0.0.0:8080", -1}, {"udp 0.0.0.0:80", -1});
	ASSERT_FINDS(local, {"tcp [::]:80", 0}, {"tcp 0.0.0.0:80", 0}, {"tcp 127.0.0.1:80", 0},
		     {"tcp 127.0.0.2:80", 0}, {"tcp [::1]:80", 0}, {"tcp [::ffff:127.0.0.1]:80", 0},
		     {"tcp [::ffff:127.3.2.1]:80", 0}, {"tcp 10.0.0.1:80", -1}, {"tcp [fd00::1]:80", -1},
		     {"tcp 128.0.0.1:80", -1});
	ASSERT_FINDS(local6, {"tcp 127.0.0.1:80", 0}, {"tcp [::1]:80", 0}, {"tcp 0.0.0.0:80", 0},
		     {"tcp [fd00::1]:80", -1}, {"tcp 10.0.0.1:80", -1});
	ASSERT_FINDS(one, {"tcp 10.0.0.1:80", 0}, {"tcp [::ffff:10.0.0.1]:80", 0}, {"tcp [::]:80", 0},
		     {"tcp 0.0.0.0:80", 0}, {"tcp 10.0.0.2:80", -1}, {"tcp 127.0.0.1:80", -1},
		     {"tcp [::ffff:0.0.0.0]:80", 0}, {"tcp [::10.0.0.1]:80", -1});
	ASSERT_FINDS(one6, {"tcp [fd00::1]:80", 0}, {"tcp [fd00::2]:80", -1}, {"tcp [::1]:80", -1},
		     {"tcp 0.0.0.0:80", 0});
}

/* What fits best of several, whatever their order. */
static void test_best(void **state)
{
	static const struct listener_case both[] = {{"tcp [::]:80", NULL}, {"tcp 0.0.0.0:80", NULL}, {0}},
					  turned[] = {{"tcp 0.0.0.0:80", NULL}, {"tcp [::]:80", NULL}, {0}},
					  locals[] = {{"tcp [::1]:80", NULL}, {"tcp 127.0.0.1:80", NULL}, {0}},
					  many[] = {{"tcp 10.0.0.1:80", NULL},
						    {"tcp [fd00::1]:80", NULL},
						    {"tcp 127.0.0.2:80", NULL},
						    {"udp [::]:80", NULL}},
					  wide[] = {{"tcp 127.0.0.2:80", NULL},
						    {"tcp [::1]:80", NULL},
						    {"tcp 0.0.0.0:80", NULL},
						    {0}};

	(void)state;
	ASSERT_FINDS(both, {"tcp [::]:80", 0}, {"tcp 0.0.0.0:80", 1}, {"tcp 127.0.0.1:80", 1},
		     {"tcp [::1]:80", 0}, {"tcp [::ffff:10.0.0.1]:80", 1}, {"tcp [fd00::1]:80", 0});
	ASSERT_FINDS(turned, {"tcp [::]:80", 1}, {"tcp 0.0.0.0:80", 0}, {"tcp 127.0.0.1:80", 0},
		     {"tcp [::1]:80", 1});
	ASSERT_FINDS(locals, {"tcp [::1]:80", 0}, {"tcp 127.0.0.1:80", 1}, {"tcp 127.0.0.9:80", 1},
		     {"tcp [::]:80", 0}, {"tcp 0.0.0.0:80", 1});
	ASSERT_FINDS(many, {"tcp 0.0.0.0:80", 0}, {"tcp [::]:80", 1}, {"tcp 127.0.0.1:80", 2},
		     {"tcp [::1]:80", 2}, {"tcp [fd00::1]:80", 1}, {"udp 10.0.0.1:80", 3},
		     {"tcp 10.0.0.9:80", -1});
	ASSERT_FINDS(wide, {"tcp 127.0.0.1:80", 2}, {"tcp 127.0.0.2:80", 0}, {"tcp [::1]:80", 1},
		     {"tcp [::]:80", 1}, {"tcp 0.0.0.0:80", 2}, {"tcp [fd00::1]:80", 2});
}

static void test_declared(void **state)
{
	static const struct listener_case
		port[] = {{"tcp [::]:443", "port 8443"}, {0}},
		unix_port[] = {{"tcp /run/a.sock", "port 8000"}, {"tcp [::]:80", NULL}, {0}},
		address[] = {{"tcp [::]:443", "127.0.0.1:8443"}, {0}},
		to_unix[] = {{"tcp [::]:443", "/run/a.sock"}, {0}},
		change[] = {{"tcp [::]:80", "port 81"}, {"tcp [::]:81", "port 80"}, {0}},
		mixed[] = {{"tcp [::]:443", "port 8443"}, {"tcp [::]:444", "127.0.0.1:8443"}, {0}},
		pair[] = {{"tcp [::]:53", "port 5353"}, {"udp [::]:53", "port 5353"}, {0}};

	(void)state;
	ASSERT_FINDS(port, {"tcp 0.0.0.0:8443", 0}, {"tcp [::]:8443", 0}, {"tcp 10.9.8.7:8443", 0},
		     {"tcp [fd00::1]:8443", 0}, {"tcp [::1]:8443", 0}, {"tcp [::]:443", -1},
		     {"udp [::]:8443", -1});
	ASSERT_FINDS(unix_port, {"tcp 127.0.0.1:8000", 0}, {"tcp [::]:8000", 0}, {"tcp /run/a.sock", -1},
		     {"udp [::]:8000", -1}, {"tcp [::]:80", 1});
	ASSERT_FINDS(address, {"tcp 127.0.0.1:8443", 0}, {"tcp 0.0.0.0:8443", 0}, {"tcp [::1]:8443", 0},
		     {"tcp 10.9.8.7:8443", -1}, {"tcp [::]:443", -1});
	ASSERT_FINDS(to_unix, {"tcp /run/a.sock", 0}, {"tcp [::]:443", -1});
	ASSERT_FINDS(change, {"tcp [::]:80", 1}, {"tcp [::]:81", 0});
	ASSERT_FINDS(mixed, {"tcp 127.0.0.1:8443", 1}, {"tcp 0.0.0.0:8443", 0}, {"tcp 10.0.0.1:8443", 0},
		     {"tcp [::1]:8443", 0});
	ASSERT_FINDS(pair, {"tcp [::]:5353", 0}, {"udp [::]:5353", 1}, {"udp [::]:53", -1});
}

static void test_scope(void **state)
{
	static const struct listener_case links[] = {
		{"tcp [fe80::1%1]:80", NULL}, {"tcp [fe80::1%2]:80", NULL}, {0}};

	(void)state;
	ASSERT_FINDS(links, {"tcp [fe80::1%1]:80", 0}, {"tcp [fe80::1%2]:80", 1}, {"tcp [fe80::1]:80", 0},
		     {"tcp [fe80::1%3]:80", 0}, {"tcp [fe80::2%1]:80", -1});
}

/* A unix address with this path, its end included or not. */
static int find_path(const struct fixture *fixture, int type, const char *path, size_t bytes)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	assert_true(bytes <= sizeof un.sun_path);
	memcpy(un.sun_path, path, bytes);
	return find(fixture, type, &un, UN_HEAD + bytes);
}

static void test_paths(void **state)
{
	static const struct listener_case listeners[] = {
		{"tcp /run/a.sock", NULL}, {"udp /run/b.sock", NULL}, {"seq /tmp/c.sock", NULL}, {0}};
	static const char *const same[] = {"/run/a.sock",   "//run///a.sock",  "/run/./a.sock",
					   "/./run/a.sock", "/var/run/a.sock", "/var//run/a.sock"};
	static const char *const others[] = {"run/a.sock",
					     "a.sock",
					     "/run/a.sock/",
					     "/run/a.sock/.",
					     "/run/x/../a.sock",
					     "/../run/a.sock",
					     "/run/a.sockx",
					     "/run/a.soc",
					     "/run",
					     "/",
					     "//",
					     ".",
					     "/var/runs/a.sock",
					     "/var/a.sock",
					     "/run/a.sock\n",
					     "/var/run",
					     "/.",
					     "/run/b.sock"};
	struct fixture fixture;

	(void)state;
	make(&fixture, listeners);
	for (size_t i = 0; i < COUNT(same); i++) {
		assert_int_equal(find_path(&fixture, SOCK_STREAM, same[i], strlen(same[i])), 0);
		assert_int_equal(find_path(&fixture, SOCK_STREAM, same[i], strlen(same[i]) + 1), 0);
		assert_int_equal(find_path(&fixture, SOCK_DGRAM, same[i], strlen(same[i])), -ENOENT);
	}
	for (size_t i = 0; i < COUNT(others); i++)
		if (find_path(&fixture, SOCK_STREAM, others[i], strlen(others[i])) != -ENOENT)
			fail_msg("'%s' means the listener", others[i]);
	assert_int_equal(find_path(&fixture, SOCK_DGRAM, "/run/b.sock", 12), 1);
	assert_int_equal(find_path(&fixture, SOCK_SEQPACKET, "/var/tmp/c.sock", 15), 2);
	/* What comes after the end of the path is nothing. */
	assert_int_equal(find_path(&fixture, SOCK_STREAM, "/run/a.sock\0/x", 15), 0);
	/* Cut short at every byte. */
	for (size_t n = 0; n < strlen("/run/a.sock"); n++)
		assert_int_equal(find_path(&fixture, SOCK_STREAM, "/run/a.sock", n), -ENOENT);
}

/* As many bytes as the kernel takes, with no NUL behind them. */
static void test_long_paths(void **state)
{
	char path[2][108], text[256];
	const struct listener_case listeners[] = {{text, NULL}, {0}};
	struct fixture fixture;

	(void)state;
	memset(path, 'x', sizeof path);
	memcpy(path[0], "/run/", 5);
	path[0][107] = '\0';
	snprintf(text, sizeof text, "tcp %.107s", path[0]);
	make(&fixture, listeners);
	assert_int_equal(find_path(&fixture, SOCK_STREAM, path[0], 108), 0);
	assert_int_equal(find_path(&fixture, SOCK_STREAM, path[0], 107), 0);
	assert_int_equal(find_path(&fixture, SOCK_STREAM, path[0], 106), -ENOENT);
	path[0][107] = 'x';
	assert_int_equal(find_path(&fixture, SOCK_STREAM, path[0], 108), -ENOENT);
	/* 107 bytes and a slash too many. */
	memcpy(path[1], "//run/", 6);
	assert_int_equal(find_path(&fixture, SOCK_STREAM, path[1], 108), 0);
	memset(path[1], '/', 108);
	assert_int_equal(find_path(&fixture, SOCK_STREAM, path[1], 108), -ENOENT);
	memset(path[1], 0, 108);
	assert_int_equal(find_path(&fixture, SOCK_STREAM, path[1], 108), -ENOENT);
}

static void test_abstract(void **state)
{
	static const struct listener_case listeners[] = {{"tcp @name", NULL}, {"udp @name", NULL}, {0}};
	struct fixture fixture;

	(void)state;
	make(&fixture, listeners);
	assert_int_equal(find_path(&fixture, SOCK_STREAM, "\0name", 5), 0);
	assert_int_equal(find_path(&fixture, SOCK_DGRAM, "\0name", 5), 1);
	assert_int_equal(find_path(&fixture, SOCK_SEQPACKET, "\0name", 5), -ENOENT);
	/* A NUL at the end belongs to the name. */
	assert_int_equal(find_path(&fixture, SOCK_STREAM, "\0name", 6), -ENOENT);
	assert_int_equal(find_path(&fixture, SOCK_STREAM, "\0nam", 4), -ENOENT);
	assert_int_equal(find_path(&fixture, SOCK_STREAM, "\0names", 6), -ENOENT);
	assert_int_equal(find_path(&fixture, SOCK_STREAM, "\0", 1), -ENOENT);
	assert_int_equal(find_path(&fixture, SOCK_STREAM, "", 0), -ENOENT);
	assert_int_equal(find_path(&fixture, SOCK_STREAM, "@name", 5), -ENOENT);
}

/* Every length of every family, from nothing to more than the kernel takes. */
static void test_lengths(void **state)
{
	static const struct listener_case listeners[] = {{"tcp [::]:80", NULL},
							 {"tcp 0.0.0.0:80", NULL},
							 {"tcp /run/a.sock", NULL},
							 {"tcp @name", NULL}};
	unsigned char bytes[200];
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/run/a.sock"};
	struct fixture fixture;

	(void)state;
	make(&fixture, listeners);
	for (size_t n = 0; n <= sizeof bytes; n++) {
		bool inet = n >= sizeof in && n <= BINDING_SOCKADDR_BYTES,
		     /* without the scope, as of RFC 2133, will do */
			inet6 = n >= 24 && n <= BINDING_SOCKADDR_BYTES,
		     local = n >= UN_HEAD + strlen(un.sun_path) && n <= sizeof un;

		memset(bytes, 0, sizeof bytes);
		memcpy(bytes, &in, sizeof in);
		assert_int_equal(find(&fixture, SOCK_STREAM, bytes, n), inet ? 1 : -ENOENT);
		memcpy(bytes, &in6, sizeof in6);
		assert_int_equal(find(&fixture, SOCK_STREAM, bytes, n), inet6 ? 0 : -ENOENT);
		memcpy(bytes, &un, sizeof un);
		assert_int_equal(find(&fixture, SOCK_STREAM, bytes, n), local ? 2 : -ENOENT);
	}
	assert_int_equal(find_bind(&fixture.spec, SOCK_STREAM, bytes, SIZE_MAX), -ENOENT);
	assert_int_equal(find_bind(&fixture.spec, SOCK_STREAM, NULL, 0), -ENOENT);
}

static void test_families(void **state)
{
	static const struct listener_case listeners[] = {
		{"tcp [::]:80", "port 80"}, {"tcp 0.0.0.0:80", NULL}, {0}};
	struct sockaddr_in in = {.sin_port = htons(80)};
	struct fixture fixture;

	(void)state;
	make(&fixture, listeners);
	for (unsigned family = 0; family <= 0xffff; family++) {
		in.sin_family = (sa_family_t)family;
		assert_int_equal(find_bind(&fixture.spec, SOCK_STREAM, &in, sizeof in),
				 family == AF_INET ? 0 : -ENOENT);
	}
	/* The kernel picks one. */
	in = (struct sockaddr_in){.sin_family = AF_INET};
	assert_int_equal(find(&fixture, SOCK_STREAM, &in, sizeof in), -ENOENT);
	fixture.spec.n_listeners = 0;
	in.sin_port = htons(80);
	assert_int_equal(find(&fixture, SOCK_STREAM, &in, sizeof in), -ENOENT);
}

static void test_same(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{"tcp 127.0.0.1:80", "tcp 127.0.0.1:80", true},
		{"tcp 127.0.0.1:80", "udp 127.0.0.1:80", false},
		{"tcp 127.0.0.1:80", "tcp 127.0.0.1:81", false},
		{"tcp 127.0.0.1:80", "tcp 127.0.0.2:80", false},
		{"tcp 127.0.0.1:80", "tcp [::ffff:127.0.0.1]:80", true},
		{"tcp 127.0.0.1:80", "tcp [::1]:80", false},
		{"tcp [::]:80", "tcp 0.0.0.0:80", false},
		{"tcp [fe80::1%1]:80", "tcp [fe80::1%2]:80", false},
		{"tcp port 80", "tcp port 80", true},
		{"tcp port 80", "tcp port 81", false},
		{"tcp port 80", "tcp [::]:80", true},
		{"tcp 0.0.0.0:80", "tcp port 80", true},
		{"tcp 0.0.0.0:81", "tcp port 80", false},
		{"tcp port 80", "tcp 127.0.0.1:80", false},
		{"tcp port 80", "tcp @80", false},
		{"tcp @a", "tcp @a", true},
		{"tcp @a", "tcp @ab", false},
		{"tcp /run/a", "tcp /run/a", true},
		{"tcp /run/a", "tcp /var/run/a", true},
		{"tcp /run/a", "tcp @run/a", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *one = cases[i].a, *other = cases[i].b;
		struct address a, b;
		int type = type_of(&one);

		parse(one, type, &a);
		type = type_of(&other);
		parse(other, type, &b);
		if (binding_same(&a, &b) != cases[i].same || binding_same(&b, &a) != cases[i].same)
			fail_msg("%s and %s", cases[i].a, cases[i].b);
	}
}

static void test_real_path(void **state)
{
	(void)state;
	assert_string_equal(binding_real_path("/var/run/a"), "/run/a");
	assert_string_equal(binding_real_path("/var/run"), "/run");
	assert_string_equal(binding_real_path("/var/tmp/a"), "/tmp/a");
	assert_string_equal(binding_real_path("/var/runs"), "/var/runs");
	assert_string_equal(binding_real_path("/run/var/run"), "/run/var/run");
	assert_string_equal(binding_real_path("/"), "/");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_inet),  cmocka_unit_test(test_best),
		cmocka_unit_test(test_declared),  cmocka_unit_test(test_scope),
		cmocka_unit_test(test_paths),     cmocka_unit_test(test_long_paths),
		cmocka_unit_test(test_abstract),  cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_families),  cmocka_unit_test(test_same),
		cmocka_unit_test(test_real_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
