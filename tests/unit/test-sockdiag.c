/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "sockdiag.h"

/* Answers of the kernel, made by hand. */
struct answer {
	char data[512] __attribute__((aligned(8)));
	size_t size;
};

static void add_message(struct answer *answer, unsigned type, unsigned flags, uint32_t sequence,
			const void *data, size_t size)
{
	struct nlmsghdr header = {
		.nlmsg_len = (uint32_t)NLMSG_LENGTH(size),
		.nlmsg_type = (uint16_t)type,
		.nlmsg_flags = (uint16_t)flags,
		.nlmsg_seq = sequence,
	};

	memcpy(answer->data + answer->size, &header, sizeof header);
	memcpy(answer->data + answer->size + NLMSG_HDRLEN, data, size);
	answer->size += NLMSG_SPACE(size);
	assert_true(answer->size <= sizeof answer->data);
}

static void add_status(struct answer *answer, unsigned type, int status)
{
	add_message(answer, type, 0, 7, &status, sizeof status);
}

static void count_visit(const struct sockdiag_socket *socket, void *userdata)
{
	(void)socket;
	++*(unsigned *)userdata;
}

static int parse(const struct answer *answer, enum sockdiag_table table, bool *interrupted, unsigned *visits)
{
	/* On the heap at its exact size, for the address sanitizer. */
	char *copy = malloc(answer->size);
	int r;

	assert_non_null(copy);
	memcpy(copy, answer->data, answer->size);
	*visits = 0;
	r = sockdiag_parse(copy, answer->size, 7, table, interrupted, count_visit, visits);
	free(copy);
	return r;
}

static void test_parse_status(void **unused)
{
	struct inet_diag_msg socket = {.idiag_family = AF_INET, .idiag_state = TCP_ESTABLISHED};
	static const struct {
		unsigned type;
		int status, expected;
	} rows[] = {
		{NLMSG_DONE, 0, 1},
		{NLMSG_DONE, -ENOENT, -ENOENT},
		{NLMSG_ERROR, -ENOENT, -ENOENT},
		{NLMSG_ERROR, -EBUSY, -EBUSY},
		{NLMSG_ERROR, 0, -EBADMSG},
		{NLMSG_OVERRUN, 0, -ENOBUFS},
		{NLMSG_NOOP, 0, 0},
	};
	bool interrupted = false;
	unsigned visits;

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct answer answer = {0};

		add_message(&answer, SOCK_DIAG_BY_FAMILY, 0, 7, &socket, sizeof socket);
		add_status(&answer, rows[i].type, rows[i].status);
		assert_int_equal(parse(&answer, SOCKDIAG_TCP4, &interrupted, &visits), rows[i].expected);
		assert_int_equal(visits, 1);
	}
}

/* An interrupted dump is one at its end, in whichever message the flag was. */
static void test_parse_interrupted(void **unused)
{
	struct inet_diag_msg socket = {.idiag_family = AF_INET};
	struct answer first = {0}, last = {0};
	bool interrupted = false;
	unsigned visits;

	(void)unused;
	add_message(&first, SOCK_DIAG_BY_FAMILY, NLM_F_MULTI | NLM_F_DUMP_INTR, 7, &socket, sizeof socket);
	add_status(&last, NLMSG_DONE, 0);
	assert_int_equal(parse(&first, SOCKDIAG_TCP4, &interrupted, &visits), 0);
	assert_true(interrupted);
	assert_int_equal(parse(&last, SOCKDIAG_TCP4, &interrupted, &visits), -EAGAIN);
}

/* The rest of an older answer is passed over, its end and its errors too. */
static void test_parse_stale(void **unused)
{
	struct inet_diag_msg socket = {.idiag_family = AF_INET};
	struct answer answer = {0};
	bool interrupted = false;
	unsigned visits;
	int status = -EBUSY;

	(void)unused;
	add_message(&answer, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP_INTR, 6, &socket, sizeof socket);
	add_message(&answer, NLMSG_ERROR, 0, 6, &status, sizeof status);
	add_message(&answer, NLMSG_DONE, 0, 6, &status, sizeof status);
	assert_int_equal(parse(&answer, SOCKDIAG_TCP4, &interrupted, &visits), 0);
	assert_int_equal(visits, 0);
	assert_false(interrupted);
}

/* Whatever is cut off, nothing is read past the end, and a cut message is no success. */
static void test_parse_cut(void **unused)
{
	struct inet_diag_msg inet = {.idiag_family = AF_INET6};
	struct unix_diag_msg local = {.udiag_family = AF_UNIX};
	struct {
		struct unix_diag_msg message;
		struct nlattr name_header;
		char name[8];
		struct nlattr lengths_header;
		struct unix_diag_rqlen lengths;
	} whole = {
		{.udiag_family = AF_UNIX}, {12, UNIX_DIAG_NAME}, "/run/x", {12, UNIX_DIAG_RQLEN}, {1, 2},
	};
	const struct {
		enum sockdiag_table table;
		const void *data;
		size_t size;
		int expected; /* of the whole */
	} rows[] = {
		{SOCKDIAG_TCP6, &inet, sizeof inet, 0},
		{SOCKDIAG_UDP6, &inet, sizeof inet, 0},
		{SOCKDIAG_UNIX, &whole, sizeof whole, 0},
		{SOCKDIAG_UNIX, &local, sizeof local, -EBADMSG}, /* without its queues */
		{SOCKDIAG_TCP4, &inet, sizeof inet - 1, -EBADMSG},
		{SOCKDIAG_UNIX, &local, sizeof local - 4, -EBADMSG},
		{SOCKDIAG_TCP4, "", 0, -EBADMSG},
	};
	bool interrupted = false;
	unsigned visits;

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct answer answer = {0};

		add_message(&answer, SOCK_DIAG_BY_FAMILY, 0, 7, rows[i].data, rows[i].size);
		assert_int_equal(parse(&answer, rows[i].table, &interrupted, &visits), rows[i].expected);
		assert_int_equal(visits, rows[i].expected == 0);
		for (answer.size = NLMSG_LENGTH(rows[i].size) - 1; answer.size > 0; answer.size--)
			assert_int_equal(parse(&answer, rows[i].table, &interrupted, &visits), -EBADMSG);
	}
}

/* Noise never makes it read outside: that is the address sanitizer's to say. */
static void test_parse_noise(void **unused)
{
	struct answer answer;
	unsigned visits;

	(void)unused;
	srandom(1);
	for (unsigned i = 0; i < 20000; i++) {
		struct nlmsghdr header = {.nlmsg_len = (uint32_t)random() % 300,
					  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
					  .nlmsg_seq = 7};
		bool interrupted = false;

		answer.size = 1 + (size_t)random() % sizeof answer.data;
		for (size_t k = 0; k < sizeof answer.data; k++)
			answer.data[k] = (char)(random() % 4 ? random() % 16 : random());
		memcpy(answer.data, &header, sizeof header);
		parse(&answer, (enum sockdiag_table)(i % SOCKDIAG_TABLES), &interrupted, &visits);
	}
}

/* A connection over the loopback, found by its port. */
struct wanted {
	enum sockdiag_table table;
	uint16_t port;
	unsigned waiting, open;
};

static void find_visit(const struct sockdiag_socket *socket, void *userdata)
{
	struct wanted *wanted = userdata;

	assert_int_equal(socket->table, wanted->table);
	if (socket->port != wanted->port)
		return;
	assert_int_equal(socket->state, TCP_ESTABLISHED);
	assert_int_equal(socket->address_bytes, sizeof(struct in_addr));
	assert_true(socket->dated);
	assert_true(socket->last_data_age_us < UINT64_C(30000000));
	wanted->waiting += socket->inode == 0;
	wanted->open += socket->inode != 0;
}

/* Dumps follow one another on one netlink socket, of all tables. */
static void test_dump(void **unused)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct wanted wanted = {.table = SOCKDIAG_TCP4};
	int listener_fd = socket(AF_INET, SOCK_STREAM, 0), client_fd = socket(AF_INET, SOCK_STREAM, 0),
	    server_fd;
	socklen_t length = sizeof in;
	struct sockdiag *diag;

	(void)unused;
	assert_return_code(bind(listener_fd, (struct sockaddr *)&in, sizeof in), errno);
	assert_return_code(listen(listener_fd, 1), errno);
	assert_return_code(getsockname(listener_fd, (struct sockaddr *)&in, &length), errno);
	assert_return_code(connect(client_fd, (struct sockaddr *)&in, length), errno);
	server_fd = accept(listener_fd, NULL, NULL);
	wanted.port = in.sin_port;

	assert_int_equal(sockdiag_create(&diag), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(sockdiag_dump(diag, SOCKDIAG_TCP4, find_visit, &wanted), 0);
	assert_int_equal(wanted.open, 3); /* neither the listener nor the client */
	assert_int_equal(wanted.waiting, 0);
	for (unsigned table = 0; table < SOCKDIAG_TABLES; table++) {
		unsigned visits = 0;

		assert_int_equal(sockdiag_dump(diag, table, count_visit, &visits), 0);
		if (table == SOCKDIAG_TCP4)
			assert_true(visits >= 2);
	}
	sockdiag_destroy(diag);
	sockdiag_destroy(NULL);
	close(server_fd);
	close(client_fd);
	close(listener_fd);
}

struct seen {
	uint16_t port;
	unsigned waiting, open, closed;
};

static void see_visit(const struct sockdiag_socket *socket, void *userdata)
{
	struct seen *seen = userdata;

	assert_false(socket->dated);
	if (socket->port != seen->port)
		return;
	seen->waiting += socket->inode == 0 && socket->state == TCP_ESTABLISHED && socket->rqueue == 1;
	seen->open += socket->inode != 0;
	seen->closed += socket->state == TCP_FIN_WAIT1 || socket->state == TCP_FIN_WAIT2;
}

/* A connection that waits with a byte, one that has been accepted, and one that was closed. */
static void test_show_waiting(void **unused)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener_fd = socket(AF_INET, SOCK_STREAM, 0), clients[3], closed, open;
	socklen_t length = sizeof in;
	struct sockdiag *diag;
	struct seen seen;

	(void)unused;
	assert_return_code(bind(listener_fd, (struct sockaddr *)&in, sizeof in), errno);
	assert_return_code(listen(listener_fd, 3), errno);
	assert_return_code(getsockname(listener_fd, (struct sockaddr *)&in, &length), errno);
	for (unsigned i = 0; i < 3; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_return_code(connect(clients[i], (struct sockaddr *)&in, length), errno);
	}
	assert_int_equal(send(clients[2], "x", 1, 0), 1);
	closed = accept(listener_fd, NULL, NULL);
	open = accept(listener_fd, NULL, NULL);
	close(closed);
	seen = (struct seen){.port = in.sin_port};
	assert_int_equal(sockdiag_create(&diag), 0);
	sockdiag_show_waiting(diag);
	assert_int_equal(sockdiag_dump(diag, SOCKDIAG_TCP4, see_visit, &seen), 0);
	assert_int_equal(seen.waiting, 1);
	assert_int_equal(seen.open, 1);
	assert_int_equal(seen.closed, 0);
	sockdiag_destroy(diag);
	for (unsigned i = 0; i < 3; i++)
		close(clients[i]);
	close(open);
	close(listener_fd);
}

/* No descriptor left for the netlink socket: a failure now, none later. */
static void test_no_descriptor(void **unused)
{
	struct rlimit before, none;
	struct sockdiag *diag;
	unsigned visits = 0;

	(void)unused;
	assert_int_equal(sockdiag_create(&diag), 0);
	assert_return_code(getrlimit(RLIMIT_NOFILE, &before), errno);
	none = (struct rlimit){0, before.rlim_max};
	assert_return_code(setrlimit(RLIMIT_NOFILE, &none), errno);
	assert_int_equal(sockdiag_dump(diag, SOCKDIAG_TCP4, count_visit, &visits), -EMFILE);
	assert_return_code(setrlimit(RLIMIT_NOFILE, &before), errno);
	assert_int_equal(sockdiag_dump(diag, SOCKDIAG_TCP4, count_visit, &visits), 0);
	sockdiag_destroy(diag);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dump),         cmocka_unit_test(test_no_descriptor),
		cmocka_unit_test(test_parse_status), cmocka_unit_test(test_parse_interrupted),
		cmocka_unit_test(test_parse_stale),  cmocka_unit_test(test_parse_cut),
		cmocka_unit_test(test_parse_noise),  cmocka_unit_test(test_show_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
