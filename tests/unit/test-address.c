/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "address.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void test_normal_forms(void **state)
{
	static const struct {
		const char *text, *normal;
		int family;
		unsigned port;
	} good[] = {
		{"127.0.0.1:80", "127.0.0.1:80", AF_INET, 80},
		{"0.0.0.0:65535", "0.0.0.0:65535", AF_INET, 65535},
		{"[::1]:80", "[::1]:80", AF_INET6, 80},
		{"[0:0:0:0:0:0:0:0]:8080", "[::]:8080", AF_INET6, 8080},
		{"[::ffff:1.2.3.4]:1", "[::ffff:1.2.3.4]:1", AF_INET6, 1},
		{"[fe80::1%lo]:80", "[fe80::1%lo]:80", AF_INET6, 80},
		{"[fe80::1%1]:80", "[fe80::1%lo]:80", AF_INET6, 80},
		{"/run/x.sock", "/run/x.sock", AF_UNIX, 0},
		{"//run///x y", "/run/x y", AF_UNIX, 0},
		{"@name", "@name", AF_UNIX, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		char buf[ADDRESS_TEXT_BYTES];
		struct address address, again;
		const char *message;

		memset(&address, 0xff, sizeof address);
		if (address_parse(good[i].text, SOCK_STREAM, &address, &message) < 0)
			fail_msg("%s: %s", good[i].text, message);
		assert_int_equal(address_family(&address), good[i].family);
		assert_int_equal(address_port(&address), good[i].port);
		assert_int_equal(address.type, SOCK_STREAM);
		assert_string_equal(address_format(&address, buf), good[i].normal);
		assert_int_equal(address_parse(buf, SOCK_STREAM, &again, &message), 0);
		assert_memory_equal(&address, &again, sizeof address);
		assert_true(address_equal(&address, &again));
		again.type = SOCK_DGRAM;
		assert_false(address_equal(&address, &again));
	}
}

static void test_port(void **state)
{
	char buf[ADDRESS_TEXT_BYTES];
	struct address address;
	const char *message;
	bool inet6 = access("/proc/net/if_inet6", F_OK) == 0;

	(void)state;
	assert_int_equal(address_parse("8080", SOCK_STREAM, &address, &message), 0);
	assert_string_equal(address_format(&address, buf), inet6 ? "[::]:8080" : "0.0.0.0:8080");
}

static void test_refusals(void **state)
{
	static const char *const bad[] = {
		"",
		"0",
		"65536",
		"-1",
		"99999999999999999999",
		"1.2.3.4",
		"1.2.3.4:",
		"1.2.3.4:0",
		"1.2.3:80",
		"localhost:80",
		"[::1]",
		"[::1]80",
		"[::1]:",
		"[::1",
		"[]:80",
		"[1.2.3.4]:80",
		"[fe80::1%nosuchif]:80",
		"[fe80::1%0]:80",
		"[fe80::1%]:80",
		"::1:80",
		"relative/path",
		"/",
		"/a/",
		"/a/../b",
		"/a/.",
		"/..",
		"@",
		"8080 ",
		" 8080",
		"/a\tb",
		"vsock:2:1",
		"80:80",
	};
	char path[128];
	struct address address, before;
	const char *message;

	(void)state;
	memset(&address, 7, sizeof address);
	before = address;
	for (size_t i = 0; i < COUNT(bad); i++) {
		message = NULL;
		if (address_parse(bad[i], SOCK_STREAM, &address, &message) != -EINVAL)
			fail_msg("'%s' is taken", bad[i]);
		assert_non_null(message);
		assert_memory_equal(&address, &before, sizeof address);
	}
	assert_int_equal(address_parse("80", SOCK_SEQPACKET, &address, &message), -EINVAL);
	/* 107 bytes fit, and 106 after "@". */
	memset(path, 'a', sizeof path);
	path[0] = '/';
	path[108] = '\0';
	assert_int_equal(address_parse(path, SOCK_STREAM, &address, &message), -EINVAL);
	path[107] = '\0';
	assert_int_equal(address_parse(path, SOCK_STREAM, &address, &message), 0);
	assert_string_equal(address_path(&address), path);
	path[0] = '@';
	assert_int_equal(address_parse(path, SOCK_STREAM, &address, &message), 0);
	assert_null(address_path(&address));
}

/* What the kernel says of a bound socket equals what was parsed. */
static void test_from_fd(void **state)
{
	static const char *const texts[] = {"127.0.0.1:0", "[::1]:0", "@torpor-test-address",
					    "/tmp/torpor-test-address.sock"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		char text[ADDRESS_TEXT_BYTES], buf[ADDRESS_TEXT_BYTES];
		struct address address, bound;
		const char *message;
		int fd;

		/* A port that parses, and then the one that the kernel chooses. */
		stpcpy(stpcpy(text, texts[i]), strchr(texts[i], ':') ? "1" : "");
		assert_int_equal(address_parse(text, SOCK_STREAM, &address, &message), 0);
		if (strchr(texts[i], ':'))
			memset(address.sockaddr + 2, 0, 2);
		fd = socket(address_family(&address), SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (address_path(&address))
			unlink(address_path(&address));
		if (fd < 0 || bind(fd, (void *)address.sockaddr, address.length) < 0) {
			/* A host without IPv6. */
			assert_int_equal(address_family(&address), AF_INET6);
			continue;
		}
		assert_int_equal(address_from_fd(fd, &bound), 0);
		if (strchr(texts[i], ':'))
			memcpy(address.sockaddr + 2, bound.sockaddr + 2, 2);
		assert_memory_equal(&address, &bound, sizeof address);
		address_format(&bound, buf);
		assert_int_equal(address_parse(buf, SOCK_STREAM, &address, &message), 0);
		assert_true(address_equal(&address, &bound));
		if (address_path(&address))
			unlink(address_path(&address));
		close(fd);
	}
}

static void test_from_other_fds(void **state)
{
	char buf[ADDRESS_TEXT_BYTES];
	struct address address;
	int fds[2];

	(void)state;
	assert_int_equal(address_from_fd(-1, &address), -EBADF);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(address_from_fd(fds[0], &address), -ENOTSOCK);
	close(fds[0]);
	close(fds[1]);
	fds[0] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(address_from_fd(fds[0], &address), 0);
	assert_int_equal(address.type, SOCK_DGRAM);
	assert_null(address_path(&address));
	assert_string_equal(address_format(&address, buf), "");
	close(fds[0]);
	fds[0] = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fds[0] >= 0) {
		assert_int_equal(address_from_fd(fds[0], &address), -EAFNOSUPPORT);
		close(fds[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_normal_forms),   cmocka_unit_test(test_port),
		cmocka_unit_test(test_refusals),       cmocka_unit_test(test_from_fd),
		cmocka_unit_test(test_from_other_fds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
