/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "reaper.h"
#include "sockdiag.h"
#include "tally.h"

#define SOON_US UINT64_C(30000000) /* "just now" for a machine under load */

static int open_socket(const void *address, socklen_t length, int type, struct reaper_listener *ret)
{
	int fd = socket(*(const sa_family_t *)address, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_return_code(bind(fd, address, length), errno);
	if (type != SOCK_DGRAM)
		assert_return_code(listen(fd, 64), errno);
	*ret = (struct reaper_listener){.type = type, .length = sizeof ret->address};
	assert_return_code(getsockname(fd, (struct sockaddr *)&ret->address, &ret->length), errno);
	return fd;
}

static int open_ipv4(const char *address, int type, struct reaper_listener *ret)
{
	struct sockaddr_in in = {.sin_family = AF_INET};

	assert_int_equal(inet_pton(AF_INET, address, &in.sin_addr), 1);
	return open_socket(&in, sizeof in, type, ret);
}

static int open_ipv6(const char *address, int type, struct reaper_listener *ret)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	assert_int_equal(inet_pton(AF_INET6, address, &in6.sin6_addr), 1);
	return open_socket(&in6, sizeof in6, type, ret);
}

/* A client of the port of listener at 127.0.0.1, or of its unix address. */
static int connect_to(const struct reaper_listener *listener)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const void *address = &in;
	socklen_t length = sizeof in;
	int fd;

	memcpy(&in.sin_port, (const char *)&listener->address + offsetof(struct sockaddr_in, sin_port),
	       sizeof in.sin_port);
	if (listener->address.ss_family == AF_UNIX) {
		address = &listener->address;
		/* getsockname(2) counts a NUL that the longest path has no room for. */
		length = listener->length < sizeof(struct sockaddr_un) ? listener->length
								       : sizeof(struct sockaddr_un);
	}
	fd = socket(*(const sa_family_t *)address, listener->type | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_return_code(connect(fd, address, length), errno);
	return fd;
}

static int accept_from(int listener_fd)
{
	int fd = accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* Waits until fd has something to read, so that the kernel is done with what a peer sent. */
static void await_readable(int fd)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&pollfd, 1, 30000), 1);
}

static void look(const struct reaper_listener *listeners, struct tally *tallies, unsigned n)
{
	struct tally_table table = {0};
	struct sockdiag *diag;

	assert_int_equal(sockdiag_create(&diag), 0);
	for (unsigned i = 0; i < n; i++) {
		tally_init(&tallies[i]);
		assert_int_equal(tally_table_add(&table, &listeners[i], &tallies[i]), 0);
	}
	tally_table_scan(&table, diag);
	tally_table_finish(&table);
	sockdiag_destroy(diag);
}

static struct tally look_at(const struct reaper_listener *listener)
{
	struct tally tally;

	look(listener, &tally, 1);
	assert_true(tally.known);
	return tally;
}

#define assert_tally(value, open, wait, queue)                                                                 \
	do {                                                                                                   \
		struct tally _tally = (value);                                                                 \
		assert_int_equal(_tally.connections, open);                                                    \
		assert_int_equal(_tally.waiting, wait);                                                        \
		assert_int_equal(_tally.queued, queue);                                                        \
		assert_int_equal(_tally.attended, (open) > 0);                                                 \
		assert_int_equal(_tally.neglected, (wait) > 0 && (open) == 0);                                 \
	} while (0)

/* The life of a connection, to a listener of any stream kind. */
static void check_stream(int listener_fd, const struct reaper_listener *listener, bool dated)
{
	int client_fd, second_fd, server_fd;
	struct tally tally = look_at(listener);
	char byte;

	assert_tally(tally, 0, 0, 0);
	assert_true(tally.last_data_age_us == IDLE_NEVER);

	client_fd = connect_to(listener);
	second_fd = connect_to(listener);
	await_readable(listener_fd);
	assert_tally(look_at(listener), 0, 2, 0);

	server_fd = accept_from(listener_fd);
	tally = look_at(listener);
	assert_tally(tally, 1, 1, 0);
	if (dated)
		assert_true(tally.last_data_age_us < SOON_US);
	else
		assert_true(tally.last_data_age_us == IDLE_NEVER);

	assert_int_equal(write(client_fd, "x", 1), 1);
	await_readable(server_fd);
	assert_tally(look_at(listener), 1, 1, 1);
	assert_int_equal(read(server_fd, &byte, 1), 1);
	assert_tally(look_at(listener), 1, 1, 0);

	/* Closed by the client before it was accepted: it waits nevertheless. */
	close(second_fd);
	assert_tally(look_at(listener), 1, 1, 0);
	second_fd = accept_from(listener_fd);
	await_readable(second_fd);
	assert_int_equal(read(second_fd, &byte, 1), 0);
	close(second_fd);

	close(client_fd);
	await_readable(server_fd);
	assert_int_equal(read(server_fd, &byte, 1), 0);
	assert_tally(look_at(listener), 1, 0, 0);
	close(server_fd);
	assert_tally(look_at(listener), 0, 0, 0);
	close(listener_fd);
}

/* Which of a site's listeners it is. */
static void test_several(void **unused)
{
	struct reaper_listener listeners[3];
	struct tally_table table = {0};
	struct sockdiag *diag;
	struct tally tally;
	int fds[3], clients[3], server_fd;

	(void)unused;
	assert_int_equal(sockdiag_create(&diag), 0);
	tally_init(&tally);
	for (unsigned i = 0; i < 3; i++) {
		fds[i] = open_ipv4("127.0.0.1", SOCK_STREAM, &listeners[i]);
		assert_int_equal(tally_table_add(&table, &listeners[i], &tally), 0);
	}
	for (unsigned i = 1; i < 3; i++) {
		clients[i] = connect_to(&listeners[i]);
		await_readable(fds[i]);
	}
	server_fd = accept_from(fds[1]);
	tally_table_scan(&table, diag);
	assert_int_equal(tally.connections, 1);
	assert_int_equal(tally.waiting, 1);
	assert_int_equal(tally.attended, 2);
	assert_int_equal(tally.neglected, 4);
	tally_table_finish(&table);
	sockdiag_destroy(diag);
	close(server_fd);
	for (unsigned i = 0; i < 3; i++) {
		close(fds[i]);
		if (i > 0)
			close(clients[i]);
	}
}

static void test_tcp4(void **unused)
{
	struct reaper_listener listener;
	int fd = open_ipv4("127.0.0.1", SOCK_STREAM, &listener);

	(void)unused;
	check_stream(fd, &listener, true);
}

static void test_tcp4_wildcard(void **unused)
{
	struct reaper_listener listener;
	int fd = open_ipv4("0.0.0.0", SOCK_STREAM, &listener);

	(void)unused;
	check_stream(fd, &listener, true);
}

/* An IPv4 client of an IPv6 wildcard: in the kernel's IPv6 table, with a mapped address. */
static void test_tcp6_wildcard(void **unused)
{
	struct reaper_listener listener;
	int fd = open_ipv6("::", SOCK_STREAM, &listener);

	(void)unused;
	check_stream(fd, &listener, true);
}

static void test_tcp6_mapped(void **unused)
{
	struct reaper_listener listener;
	int fd = open_ipv6("::ffff:127.0.0.1", SOCK_STREAM, &listener);

	(void)unused;
	check_stream(fd, &listener, true);
}

static void test_unix_abstract(void **unused)
{
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct reaper_listener listener;

	(void)unused;
	for (unsigned i = 0; i < 2; i++) {
		int length = snprintf(un.sun_path + 1, sizeof un.sun_path - 1, "torpor-test-%d", getpid());

		check_stream(
			open_socket(&un,
				    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length),
				    types[i], &listener),
			&listener, false);
	}
}

static void test_unix_path(void **unused)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	char directory[] = "/tmp/torpor-test.XXXXXX", path[sizeof un.sun_path + 1] = "";
	struct reaper_listener listener;
	size_t length;

	(void)unused;
	assert_non_null(mkdtemp(directory));
	snprintf(un.sun_path, sizeof un.sun_path, "%s/s", directory);
	check_stream(open_socket(&un, sizeof un, SOCK_STREAM, &listener), &listener, false);
	unlink(un.sun_path);

	/* The longest path there is has no room for its NUL. */
	length = strlen(directory);
	memset(un.sun_path, 'x', sizeof un.sun_path);
	memcpy(un.sun_path, directory, length);
	un.sun_path[length] = '/';
	check_stream(open_socket(&un, sizeof un, SOCK_STREAM, &listener), &listener, false);
	memcpy(path, un.sun_path, sizeof un.sun_path);
	assert_return_code(unlink(path), errno);
	assert_return_code(rmdir(directory), errno);
}

/* Open connections that the kernel does not date, of a site whose requests may take so long. */
static unsigned undated(struct tally_table *table, struct sockdiag *diag,
			const struct reaper_listener *listener, uint64_t request_timeout_us)
{
	struct tally tally;

	tally_table_clear(table);
	tally_init(&tally);
	tally.request_timeout_us = request_timeout_us;
	assert_int_equal(tally_table_add(table, listener, &tally), 0);
	tally_table_scan(table, diag);
	assert_true(tally.known);
	return tally.undated;
}

/* A request may be under way for as long as it may take, from the first look, and anew from each answer. */
static void test_unix_undated(void **unused)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	char directory[] = "/tmp/torpor-test.XXXXXX";
	struct reaper_listener listener;
	struct tally_table table = {0};
	struct sockdiag *diag;
	int fd, client_fd, server_fd;
	char byte;

	(void)unused;
	assert_non_null(mkdtemp(directory));
	snprintf(un.sun_path, sizeof un.sun_path, "%s/s", directory);
	fd = open_socket(&un, sizeof un, SOCK_STREAM, &listener);
	assert_int_equal(sockdiag_create(&diag), 0);
	client_fd = connect_to(&listener);
	assert_int_equal(undated(&table, diag, &listener, IDLE_NEVER), 0); /* waits */
	server_fd = accept_from(fd);
	assert_int_equal(undated(&table, diag, &listener, IDLE_NEVER), 1);
	assert_int_equal(undated(&table, diag, &listener, 0), 0);
	assert_int_equal(undated(&table, diag, &listener, 1), 0);
	assert_int_equal(undated(&table, diag, &listener, IDLE_NEVER), 1);
	assert_int_equal(write(server_fd, "x", 1), 1);
	assert_int_equal(undated(&table, diag, &listener, 1), 1);
	assert_int_equal(read(client_fd, &byte, 1), 1);
	assert_int_equal(undated(&table, diag, &listener, 1), 0);
	tally_table_finish(&table);
	sockdiag_destroy(diag);
	close(client_fd);
	close(server_fd);
	close(fd);
	unlink(un.sun_path);
	rmdir(directory);
}

/* Sites are told apart: exact before wildcard, stream from datagram; who is not asked for leaves nothing. */
static void test_matching(void **unused)
{
	struct reaper_listener listeners[3], untracked;
	struct sockaddr_in in;
	struct tally tallies[3];
	int fds[4], clients[4];

	(void)unused;
	fds[0] = open_ipv4("127.0.0.1", SOCK_STREAM, &listeners[0]);
	fds[1] = open_ipv4("127.0.0.1", SOCK_STREAM, &listeners[1]);
	fds[2] = open_ipv4("127.0.0.1", SOCK_STREAM, &untracked);
	/* A wildcard on the port of the first: as far as the table goes, no such socket is needed. */
	listeners[2] = listeners[0];
	memcpy(&in, &listeners[2].address, sizeof in);
	in.sin_addr.s_addr = htonl(INADDR_ANY);
	memcpy(&listeners[2].address, &in, sizeof in);

	clients[0] = connect_to(&listeners[0]);
	clients[1] = connect_to(&listeners[1]);
	clients[2] = connect_to(&listeners[1]);
	clients[3] = connect_to(&untracked);
	for (unsigned i = 0; i < 3; i++)
		await_readable(fds[i]);
	look(listeners, tallies, 3);
	assert_tally(tallies[0], 0, 1, 0);
	assert_tally(tallies[1], 0, 2, 0);
	assert_tally(tallies[2], 0, 0, 0);
	look(&listeners[1], &tallies[1], 2);
	assert_tally(tallies[1], 0, 2, 0);
	assert_tally(tallies[2], 0, 1, 0);

	/* Two sites of one address both count. */
	listeners[2] = listeners[0];
	look(listeners, tallies, 3);
	assert_tally(tallies[0], 0, 1, 0);
	assert_tally(tallies[2], 0, 1, 0);
	for (unsigned i = 0; i < 4; i++)
		close(clients[i]);
	for (unsigned i = 0; i < 3; i++)
		close(fds[i]);
}

/* A network of its own for the thread, with a loopback that is up. Returns the one before, to be given to
 * leave_network(); needs root. */
static int enter_network(void)
{
	int before_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), fd;
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	assert_true(before_fd >= 0);
	if (unshare(CLONE_NEWNET) < 0) {
		print_message("skipped: no network namespace: %s\n", strerror(errno));
		close(before_fd);
		skip();
	}
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_return_code(ioctl(fd, SIOCSIFFLAGS, &request), errno);
	close(fd);
	return before_fd;
}

static void leave_network(int before_fd)
{
	assert_return_code(setns(before_fd, CLONE_NEWNET), errno);
	close(before_fd);
}

/* Gives lo an IPv6 address and waits for the kernel to say that it is there. */
static void add_address(const struct sockaddr_in6 *in6)
{
	struct sockaddr_nl events = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV6_IFADDR};
	struct { /* in6_ifreq, whose header does not go with netinet/in.h */
		struct in6_addr address;
		uint32_t prefix_length;
		int interface;
	} request = {in6->sin6_addr, 64, (int)in6->sin6_scope_id};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int events_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	char event[4096];

	assert_return_code(bind(events_fd, (struct sockaddr *)&events, sizeof events), errno);
	assert_return_code(ioctl(fd, SIOCSIFADDR, &request), errno);
	while (bind(fd, (const struct sockaddr *)in6, sizeof *in6) < 0) {
		assert_int_equal(errno, EADDRNOTAVAIL);
		await_readable(events_fd);
		assert_true(recv(events_fd, event, sizeof event, 0) > 0);
	}
	close(events_fd);
	close(fd);
}

/* Link-local addresses are apart on each interface. */
static void test_scope(void **unused)
{
	struct reaper_listener listener, other;
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	int before_fd = enter_network(), fd, client_fd;

	(void)unused;
	inet_pton(AF_INET6, "fe80::7", &in6.sin6_addr);
	in6.sin6_scope_id = if_nametoindex("lo");
	add_address(&in6);

	fd = open_socket(&in6, sizeof in6, SOCK_STREAM, &listener);
	client_fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(connect(client_fd, (struct sockaddr *)&listener.address, listener.length), errno);
	await_readable(fd);
	assert_tally(look_at(&listener), 0, 1, 0);

	/* The same address and port on another interface is another listener. */
	memcpy(&in6, &listener.address, sizeof in6);
	in6.sin6_scope_id += 1000;
	other = listener;
	memcpy(&other.address, &in6, sizeof in6);
	assert_tally(look_at(&other), 0, 0, 0);
	/* The wildcard has them all. */
	in6.sin6_addr = in6addr_any;
	in6.sin6_scope_id = 0;
	memcpy(&other.address, &in6, sizeof in6);
	assert_tally(look_at(&other), 0, 1, 0);
	close(client_fd);
	close(fd);
	leave_network(before_fd);
}

/* A unix socket that was accepted lives in the network of its client, out of sight if that is another; while it
 * waits, the listener shows it. */
static void test_unix_other_network(void **unused)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	char directory[] = "/tmp/torpor-test.XXXXXX";
	struct reaper_listener listener;
	int fd, client_fd, server_fd, before_fd;

	(void)unused;
	assert_non_null(mkdtemp(directory));
	snprintf(un.sun_path, sizeof un.sun_path, "%s/s", directory);
	fd = open_socket(&un, sizeof un, SOCK_STREAM, &listener);
	before_fd = enter_network();
	client_fd = connect_to(&listener);
	leave_network(before_fd);
	assert_tally(look_at(&listener), 0, 1, 0);
	server_fd = accept_from(fd);
	assert_tally(look_at(&listener), 0, 0, 0);
	close(server_fd);
	close(client_fd);
	close(fd);
	unlink(un.sun_path);
	rmdir(directory);
}

/* The program half-closes, closes with bytes unsent, and closes for good. */
static void test_tcp_closing(void **unused)
{
	struct reaper_listener listener;
	int fd = open_ipv4("127.0.0.1", SOCK_STREAM, &listener), client_fd, server_fd, small = 4096;
	char data[65536] = "";
	struct tally tally;

	(void)unused;
	client_fd = connect_to(&listener);
	server_fd = accept_from(fd);
	assert_return_code(shutdown(server_fd, SHUT_WR), errno);
	await_readable(client_fd);
	assert_tally(look_at(&listener), 1, 0, 0); /* FIN-WAIT-2, held */
	close(client_fd);
	close(server_fd);

	client_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(client_fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	assert_return_code(connect(client_fd, (struct sockaddr *)&listener.address, listener.length), errno);
	server_fd = accept_from(fd);
	while (send(server_fd, data, sizeof data, MSG_DONTWAIT) > 0)
		;
	assert_tally(look_at(&listener), 1, 0, 1);
	/* Closed: no connection, but its bytes are still under way, which dates the last use. */
	close(server_fd);
	tally = look_at(&listener);
	assert_tally(tally, 0, 0, 0);
	assert_true(tally.last_data_age_us < SOON_US);
	close(client_fd);
	close(fd);
}

/* Datagrams that wait, of a listener that the program has not read. */
static void check_datagrams(int fd, const struct reaper_listener *listener)
{
	int client_fd = connect_to(listener);
	char data[16];

	assert_tally(look_at(listener), 0, 0, 0);
	assert_int_equal(write(client_fd, "datagram", 8), 8);
	await_readable(fd);
	assert_tally(look_at(listener), 0, 1, 0);
	assert_int_equal(read(fd, data, sizeof data), 8);
	assert_tally(look_at(listener), 0, 0, 0);
	close(client_fd);
	close(fd);
}

static void test_datagrams(void **unused)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "\0torpor-datagrams"};
	struct reaper_listener listener;
	int fd;

	(void)unused;
	fd = open_ipv4("127.0.0.1", SOCK_DGRAM, &listener);
	check_datagrams(fd, &listener);
	fd = open_ipv4("0.0.0.0", SOCK_DGRAM, &listener);
	check_datagrams(fd, &listener);
	fd = open_ipv6("::", SOCK_DGRAM, &listener);
	check_datagrams(fd, &listener);
	fd = open_socket(&un, sizeof(sa_family_t) + 17, SOCK_DGRAM, &listener);
	check_datagrams(fd, &listener);
}

/* Kinds of sockets of which nothing can be known are not taken for idle. */
static void test_unsupported(void **unused)
{
	static const struct reaper_listener listeners[] = {
		{.type = SOCK_SEQPACKET, .length = sizeof(struct sockaddr_in), .address.ss_family = AF_INET},
		{.type = SOCK_STREAM, .length = sizeof(struct sockaddr_in) - 1, .address.ss_family = AF_INET},
		{.type = SOCK_STREAM, .length = sizeof(struct sockaddr_in), .address.ss_family = AF_INET6},
		{.type = SOCK_STREAM, .length = 128, .address.ss_family = AF_VSOCK},
		{.type = SOCK_STREAM, .length = sizeof(sa_family_t), .address.ss_family = AF_UNIX},
		{.type = SOCK_STREAM, .length = 100000, .address.ss_family = AF_UNIX},
	};
	struct tally_table table = {0};
	struct tally tally;

	(void)unused;
	for (size_t i = 0; i < sizeof listeners / sizeof listeners[0]; i++) {
		tally_init(&tally);
		assert_int_equal(tally_table_add(&table, &listeners[i], &tally), -EAFNOSUPPORT);
		assert_false(tally.known);
	}
	tally_table_finish(&table);
}

/* Many listeners: the table grows, every one is found. */
static void test_many(void **unused)
{
	enum { N = 300 };
	static struct reaper_listener listeners[N];
	static struct tally tallies[N];
	int fds[N], clients[N];

	(void)unused;
	for (unsigned i = 0; i < N; i++) {
		fds[i] = open_ipv4("127.0.0.1", SOCK_STREAM, &listeners[i]);
		clients[i] = connect_to(&listeners[i]);
		await_readable(fds[i]);
	}
	look(listeners, tallies, N);
	for (unsigned i = 0; i < N; i++) {
		assert_tally(tallies[i], 0, 1, 0);
		close(clients[i]);
		close(fds[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp4),          cmocka_unit_test(test_tcp4_wildcard),
		cmocka_unit_test(test_tcp6_wildcard), cmocka_unit_test(test_tcp6_mapped),
		cmocka_unit_test(test_unix_abstract), cmocka_unit_test(test_unix_path),
		cmocka_unit_test(test_unix_undated),  cmocka_unit_test(test_matching),
		cmocka_unit_test(test_scope),         cmocka_unit_test(test_unix_other_network),
		cmocka_unit_test(test_tcp_closing),   cmocka_unit_test(test_datagrams),
		cmocka_unit_test(test_unsupported),   cmocka_unit_test(test_many),
		cmocka_unit_test(test_several),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
