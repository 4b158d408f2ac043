/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gate.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <time.h>

#include "carry.h"
#include "cleanup.h"
#include "clock.h"
#include "notification.h"

#define HELD_MAX   4096 /* calls of one container: a thread has one */
#define HELD_FIRST 8
#define TURN_NS    10000000

/* A READY=1 that lies in the inbox counts before an accept(2) that comes after it: who calls that waits for
 * torpord to have read what lies there, but not for ever, as others can write to it too. */
#define INBOX_WAIT_NS 100000000
#define INBOX_LOOK_NS 1000000

#define SECOND_NS UINT64_C(1000000000)

/* A call that waits. */
struct held {
	uint64_t id;
	uint64_t since_ns;
	bool blocking;
};

struct gate {
	int notify_fd, daemon_fd; /* not its own */
	int inbox_number;
	int event_fd; /* a copy of the run's: readable while the gate is open */
	int epoll_fd, timer_fd;
	struct held *held;
	size_t n_held, size;

	/* Whose call was non-blocking last: it may have been told that there is nobody while there was. */
	pid_t tid;
	int pidfd, number;
};

static int watch(const struct gate *gate, int operation, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	return epoll_ctl(gate->epoll_fd, operation, fd, &event) < 0 ? -errno : 0;
}

static int open_all(struct gate *gate, int gate_number)
{
	int r;

	gate->event_fd = pidfd_getfd(gate->daemon_fd, gate_number, 0);
	gate->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	gate->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (gate->event_fd < 0 || gate->epoll_fd < 0 || gate->timer_fd < 0)
		return -errno;
	r = watch(gate, EPOLL_CTL_ADD, gate->notify_fd, EPOLLIN);
	if (r == 0)
		r = watch(gate, EPOLL_CTL_ADD, gate->timer_fd, EPOLLIN);
	return r < 0 ? r : watch(gate, EPOLL_CTL_ADD, gate->event_fd, EPOLLONESHOT);
}

int gate_create(int notify_fd, int daemon_fd, int gate_number, int inbox_number, struct gate **ret)
{
	struct gate *gate = malloc(sizeof *gate);
	int r;

	if (!gate)
		return -ENOMEM;
	*gate = (struct gate){.notify_fd = notify_fd,
			      .daemon_fd = daemon_fd,
			      .inbox_number = inbox_number,
			      .event_fd = -EBADF,
			      .epoll_fd = -EBADF,
			      .timer_fd = -EBADF,
			      .pidfd = -EBADF};
	r = open_all(gate, gate_number);
	if (r < 0) {
		gate_destroy(gate);
		return r;
	}
	*ret = gate;
	return 0;
}

void gate_destroy(struct gate *gate)
{
	if (!gate)
		return;
	fd_close(gate->event_fd);
	fd_close(gate->epoll_fd);
	fd_close(gate->timer_fd);
	fd_close(gate->pidfd);
	free(gate->held);
	free(gate);
}

int gate_fd(const struct gate *gate)
{
	return gate->epoll_fd;
}

static bool is_readable(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};

	return poll(&one, 1, 0) > 0;
}

bool gate_is_open(const struct gate *gate)
{
	return is_readable(gate->event_fd);
}

/* torpord takes a message out of its inbox when it has done what it says (notify.c). */
static bool inbox_is_empty(const struct gate *gate)
{
	autoclose int inbox_fd = pidfd_getfd(gate->daemon_fd, gate->inbox_number, 0);

	return inbox_fd < 0 || !is_readable(inbox_fd);
}

/* For at_ns; UINT64_MAX: for never. */
static void set_timer(const struct gate *gate, uint64_t at_ns)
{
	struct itimerspec spec = {0};

	if (at_ns != UINT64_MAX) {
		spec.it_value.tv_sec = (time_t)(at_ns / SECOND_NS);
		spec.it_value.tv_nsec = (long)(at_ns % SECOND_NS);
	}
	(void)timerfd_settime(gate->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* When to look at a call next; 0: it has waited long enough for a gate that is shut. */
static uint64_t next_look_ns(const struct held *held, bool inbox_empty, uint64_t now_ns)
{
	uint64_t turn_ends_ns = held->since_ns + TURN_NS;

	if (!inbox_empty && now_ns < held->since_ns + INBOX_WAIT_NS)
		return now_ns + INBOX_LOOK_NS;
	return held->blocking && now_ns < turn_ends_ns ? turn_ends_ns : 0;
}

/* Answers, or waits for the gate and the next look. */
static void settle_held(struct gate *gate, bool inbox_empty, bool open)
{
	uint64_t now_ns = clock_now_ns(), first_ns = UINT64_MAX;
	size_t n = 0;

	for (size_t i = 0; i < gate->n_held; i++) {
		const struct held *held = &gate->held[i];
		uint64_t next_ns = next_look_ns(held, inbox_empty, now_ns);

		if (open) {
			notification_continue(gate->notify_fd, held->id);
		} else if (next_ns == 0) {
			notification_answer(gate->notify_fd, held->id, held->blocking ? -EINTR : -EAGAIN);
		} else {
			first_ns = next_ns < first_ns ? next_ns : first_ns;
			gate->held[n++] = *held;
		}
	}
	gate->n_held = n;
	set_timer(gate, first_ns);
}

static void settle(struct gate *gate)
{
	bool inbox_empty, open;

	if (gate->n_held > 0 || gate->pidfd >= 0)
		(void)watch(gate, EPOLL_CTL_MOD, gate->event_fd, EPOLLIN | EPOLLONESHOT);
	/* In this order: what the inbox held before has opened the gate by now. */
	inbox_empty = inbox_is_empty(gate);
	open = gate_is_open(gate);
	settle_held(gate, inbox_empty, open);
	if (open && gate->pidfd >= 0) {
		carry_readiness(gate->tid, gate->pidfd, gate->number);
		fd_close(steal_fd(&gate->pidfd));
	}
}

uint32_t gate_look(struct gate *gate)
{
	struct epoll_event events[3];
	int n = epoll_wait(gate->epoll_fd, events, 3, 0);
	uint32_t asked = 0;
	bool due = false;

	for (int i = 0; i < n; i++)
		if (events[i].data.fd == gate->notify_fd)
			asked = events[i].events;
		else
			due = true;
	if (due)
		settle(gate);
	return asked;
}

static bool make_room(struct gate *gate)
{
	size_t size = gate->size ? 2 * gate->size : HELD_FIRST;
	struct held *held;

	if (gate->n_held < gate->size)
		return true;
	held = size > HELD_MAX ? NULL : realloc(gate->held, size * sizeof *held);
	if (!held)
		return false;
	gate->held = held;
	gate->size = size;
	return true;
}

void gate_answer(struct gate *gate, const struct seccomp_notif *request, int socket_fd, int *pidfd)
{
	int flags = fcntl(socket_fd, F_GETFL);
	struct held held = {request->id, clock_now_ns(), flags >= 0 && !(flags & O_NONBLOCK)};

	if (!held.blocking) {
		fd_close(gate->pidfd);
		gate->pidfd = steal_fd(pidfd);
		gate->tid = (pid_t)request->pid;
		gate->number = (int)request->data.args[0];
	}
	if (make_room(gate))
		gate->held[gate->n_held++] = held;
	else
		notification_answer(gate->notify_fd, held.id, held.blocking ? -EINTR : -EAGAIN);
	settle(gate);
}
