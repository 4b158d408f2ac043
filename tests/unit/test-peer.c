/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "peer.h"

static void inet(void **state)
{
	struct in6_addr in6;
	struct in_addr in;
	struct peer peer;
	char text[128];

	(void)state;
	assert_int_equal(inet_pton(AF_INET, "10.1.2.3", &in), 1);
	peer_set_inet(&peer, &in, sizeof in, htons(54321));
	assert_string_equal(peer_format(&peer, text, sizeof text), "10.1.2.3:54321");
	assert_int_equal(inet_pton(AF_INET6, "fe80::1", &in6), 1);
	peer_set_inet(&peer, &in6, sizeof in6, htons(1));
	assert_string_equal(peer_format(&peer, text, sizeof text), "[fe80::1]:1");
	assert_int_equal(inet_pton(AF_INET6, "::ffff:10.1.2.3", &in6), 1);
	peer_set_inet(&peer, &in6, sizeof in6, htons(2));
	assert_string_equal(peer_format(&peer, text, sizeof text), "10.1.2.3:2");
}

static void of_a_unix_socket(void **state)
{
	struct peer peer;
	char text[128], expected[128];
	int fds[2];

	(void)state;
	assert_return_code(prctl(PR_SET_NAME, "\033[31m"), errno);
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), errno);
	assert_return_code(peer_of_socket(fds[0], &peer), errno);
	snprintf(expected, sizeof expected, "pid %d, uid %u", getpid(), getuid());
	assert_string_equal(peer_format(&peer, text, sizeof text), expected);
	peer_read_command(&peer);
	snprintf(expected, sizeof expected, "pid %d (\\x1b[31m), uid %u", getpid(), getuid());
	assert_string_equal(peer_format(&peer, text, sizeof text), expected);
	/* The longest that the kernel keeps. */
	assert_return_code(prctl(PR_SET_NAME, "fifteen-letters"), errno);
	peer_read_command(&peer);
	snprintf(expected, sizeof expected, "pid %d (fifteen-letters), uid %u", getpid(), getuid());
	assert_string_equal(peer_format(&peer, text, sizeof text), expected);
	close(fds[0]);
	close(fds[1]);
}

static void not_known(void **state)
{
	struct peer peer = {0};
	char text[128];
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_string_equal(peer_format(&peer, text, sizeof text), "unknown");
	peer.family = AF_UNIX;
	peer_read_command(&peer);
	assert_string_equal(peer_format(&peer, text, sizeof text), "unknown");
	peer.has_uid = true;
	peer.uid = 33;
	assert_string_equal(peer_format(&peer, text, sizeof text), "uid 33");
	assert_int_equal(peer_of_socket(fd, &peer), -ENOTCONN);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inet),
		cmocka_unit_test(of_a_unix_socket),
		cmocka_unit_test(not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
