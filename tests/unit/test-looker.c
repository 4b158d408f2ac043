/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "clock.h"
#include "looker.h"
#include "reaper.h"

#define WAIT_MS 60000

static int answered_fd;

static void notify(void *userdata)
{
	uint64_t one = 1;

	(void)userdata;
	assert_int_equal(write(answered_fd, &one, sizeof one), sizeof one);
}

static struct looker *create(void)
{
	struct looker *looker;

	answered_fd = eventfd(0, EFD_CLOEXEC);
	assert_return_code(looker_create(notify, NULL, &looker), 0);
	return looker;
}

static void destroy(struct looker *looker)
{
	looker_destroy(looker);
	close(answered_fd);
}

static struct looker_answer wait_answer(struct looker *looker)
{
	struct pollfd fd = {.fd = answered_fd, .events = POLLIN};
	struct looker_answer answer;
	uint64_t count;

	assert_int_equal(poll(&fd, 1, WAIT_MS), 1);
	assert_int_equal(read(answered_fd, &count, sizeof count), sizeof count);
	assert_true(looker_next_answer(looker, &answer));
	return answer;
}

static int listen_at(const void *address, socklen_t length, struct reaper_listener *ret)
{
	int fd = socket(*(const sa_family_t *)address, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_return_code(fd, errno);
	assert_return_code(bind(fd, address, length), errno);
	assert_return_code(listen(fd, 64), errno);
	*ret = (struct reaper_listener){.type = SOCK_STREAM, .length = sizeof ret->address};
	assert_return_code(getsockname(fd, (struct sockaddr *)&ret->address, &ret->length), errno);
	return fd;
}

static int connect_to(const struct reaper_listener *listener, char *own)
{
	int fd = socket(listener->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in in = {0};
	socklen_t length = sizeof in;

	assert_return_code(connect(fd, (const struct sockaddr *)&listener->address, listener->length), errno);
	if (listener->address.ss_family == AF_INET) {
		assert_return_code(getsockname(fd, (struct sockaddr *)&in, &length), errno);
		sprintf(own, "127.0.0.1:%u", ntohs(in.sin_port));
	}
	return fd;
}

static void tcp(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct looker *looker = create();
	struct reaper_listener listener;
	int listener_fd = listen_at(&in, sizeof in, &listener), fds[3], accepted[2];
	struct looker_question question = {.id = 7, .tag = 8, .listeners = &listener, .n_listeners = 1};
	struct looker_answer answer;
	char names[3][64], text[128];

	(void)state;
	for (int i = 0; i < 3; i++)
		fds[i] = connect_to(&listener, names[i]);
	for (int i = 0; i < 2; i++)
		accepted[i] = accept(listener_fd, NULL, NULL);
	assert_return_code(looker_ask(looker, &question), 0);
	answer = wait_answer(looker);
	assert_int_equal(answer.id, 7);
	assert_int_equal(answer.tag, 8);
	assert_true(answer.known);
	assert_int_equal(answer.connections.n, 3);
	assert_int_equal(answer.connections.counts[CONNECTION_OPEN], 2);
	assert_int_equal(answer.connections.counts[CONNECTION_WAITING], 1);
	/* Nothing was asked about the time: only the one that waits may be new. */
	assert_int_equal(answer.connections.n_recent, 1);
	assert_string_equal(peer_format(&answer.connections.first.peer, text, sizeof text), names[2]);

	/* A connection that the program closed is remembered, for those who ask since when. */
	close(accepted[0]);
	assert_int_equal(read(fds[0], text, sizeof text), 0);
	close(fds[0]);
	assert_return_code(looker_ask(looker, &question), 0);
	assert_int_equal(wait_answer(looker).connections.counts[CONNECTION_CLOSED], 0);
	question.since_ns = clock_now_ns() - UINT64_C(30000000000);
	assert_return_code(looker_ask(looker, &question), 0);
	answer = wait_answer(looker);
	assert_int_equal(answer.connections.counts[CONNECTION_CLOSED], 1);
	assert_int_equal(answer.connections.n_recent, 3);
	for (int i = 1; i < 3; i++)
		close(fds[i]);
	close(accepted[1]);
	close(listener_fd);
	destroy(looker);
}

/* Of more than are shown, all are counted. */
static void many(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct looker *looker = create();
	struct reaper_listener listener;
	int listener_fd = listen_at(&in, sizeof in, &listener), fds[CONNECTIONS_SHOWN + 5];
	struct looker_question question = {.listeners = &listener, .n_listeners = 1};
	struct looker_answer answer;
	char name[64];

	(void)state;
	for (int i = 0; i < CONNECTIONS_SHOWN + 5; i++)
		fds[i] = connect_to(&listener, name);
	assert_return_code(looker_ask(looker, &question), 0);
	answer = wait_answer(looker);
	assert_int_equal(answer.connections.n, CONNECTIONS_SHOWN);
	assert_int_equal(answer.connections.n_recent, CONNECTIONS_SHOWN + 5);
	assert_int_equal(answer.connections.counts[CONNECTION_WAITING], CONNECTIONS_SHOWN + 5);
	for (int i = 0; i < CONNECTIONS_SHOWN + 5; i++)
		close(fds[i]);
	close(listener_fd);
	destroy(looker);
}

/* Another process, before it is accepted and after. */
static void over_unix(void **state)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct looker *looker = create();
	struct reaper_listener listener;
	struct looker_question question = {.listeners = &listener, .n_listeners = 1};
	struct looker_answer answer;
	int listener_fd, fd;
	pid_t child;

	(void)state;
	sprintf(un.sun_path + 1, "torpor-test-looker-%d", getpid());
	listener_fd = listen_at(&un, sizeof un, &listener);
	child = fork();
	if (child == 0) {
		(void)connect_to(&listener, NULL);
		pause();
		_exit(0);
	}
	assert_int_equal(poll(&(struct pollfd){.fd = listener_fd, .events = POLLIN}, 1, WAIT_MS), 1);
	assert_return_code(looker_ask(looker, &question), 0);
	answer = wait_answer(looker);
	assert_int_equal(answer.connections.n, 1);
	assert_int_equal(answer.connections.shown[0].state, CONNECTION_WAITING);
	assert_int_equal(answer.connections.shown[0].peer.pid, child);
	assert_int_equal(answer.connections.first.peer.pid, child);
	assert_true(answer.connections.first.peer.has_uid);
	assert_int_equal(answer.connections.first.peer.uid, getuid());
	fd = accept(listener_fd, NULL, NULL);
	assert_return_code(fd, errno);
	assert_return_code(looker_ask(looker, &question), 0);
	answer = wait_answer(looker);
	assert_int_equal(answer.connections.shown[0].state, CONNECTION_OPEN);
	assert_int_equal(answer.connections.shown[0].peer.pid, child);
	assert_return_code(kill(child, SIGKILL), errno);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(fd);
	close(listener_fd);
	destroy(looker);
}

/* Questions that wait are bounded; those that nobody answers any more are forgotten. */
static void too_many(void **state)
{
	struct looker *looker = create();
	struct looker_question question = {0};
	int r = 0;

	(void)state;
	for (int i = 0; i < LOOKER_QUESTIONS_MAX && r == 0; i++)
		r = looker_ask(looker, &question);
	assert_int_equal(r, 0);
	assert_int_equal(looker_ask(looker, &question), -EBUSY);
	(void)wait_answer(looker);
	assert_int_equal(looker_ask(looker, &question), 0);
	destroy(looker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp),
		cmocka_unit_test(many),
		cmocka_unit_test(over_unix),
		cmocka_unit_test(too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
