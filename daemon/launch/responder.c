/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "responder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "carry.h"
#include "cleanup.h"
#include "exchange.h"
#include "gate.h"
#include "log.h"

/* One thread would do, but an exchange may have to wait for what a container's memory is backed by (a file of a
 * dead server): there is always one more thread that waits for events, up to this many. A site holds one at
 * most, however often it is started. */
#define THREADS_MAX 16

/* What a container asks for costs the threads time: it has so much at once, then so much in each tick, which is
 * 10 % of a CPU. */
#define CREDIT_NS      50000000
#define CREDIT_TICK_NS 1000000
#define TICK_NS        10000000

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* Linux 6.6 */
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS      SECCOMP_IOW(4, __u64)
#endif

struct responder {
	int daemon_fd; /* pidfd of torpord */
	int channel_fd, report_fd, epoll_fd, tick_fd;

	pthread_mutex_t mutex;                        /* guards what follows */
	struct intercepted *waiting;                  /* without credit until the next tick */
	const struct intercepted *asked[THREADS_MAX]; /* whose question a thread has; NULL: free */
	unsigned n_threads, n_idle;
};

static void forget(struct intercepted *container)
{
	gate_destroy(container->gate);
	fd_close(container->notify_fd);
	free(container);
}

/* For one event, which one thread gets. */
static int watch(const struct responder *responder, int operation, int fd, const void *tag)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = (void *)(uintptr_t)tag};

	return epoll_ctl(responder->epoll_fd, operation, fd, &event) < 0 ? -errno : 0;
}

/* Waits for one more question, by whichever thread. */
static int arm(struct responder *responder, struct intercepted *container, int operation)
{
	int fd = container->gate ? gate_fd(container->gate) : container->notify_fd;

	return watch(responder, operation, fd, container);
}

struct message {
	struct intercept_hello hello;
	unsigned char rest[SPEC_LISTENERS_MAX * (sizeof(struct intercept_socket) + sizeof(struct address))];
};

/* What a message says; NULL where it is none. */
static struct intercepted *read_message(const struct message *message, size_t bytes)
{
	size_t n = message->hello.n_listeners, sockets_bytes = n * sizeof(struct intercept_socket),
	       binds_bytes = n * sizeof(struct address);
	struct intercepted *container;

	if (bytes < sizeof message->hello || n > SPEC_LISTENERS_MAX ||
	    bytes != sizeof message->hello + sockets_bytes + binds_bytes)
		return NULL;
	container = calloc(1, sizeof *container + binds_bytes);
	if (!container)
		return NULL;
	container->id = message->hello.id;
	container->site = message->hello.site;
	container->credit_ns = CREDIT_NS;
	container->n_listeners = (unsigned)n;
	memcpy(container->sockets, message->rest, sockets_bytes);
	memcpy(container->binds, message->rest + sockets_bytes, binds_bytes);
	return container;
}

/* Without a gate nothing is shut. */
static struct gate *make_gate(const struct responder *responder, int notify_fd,
			      const struct intercept_hello *hello)
{
	struct gate *gate = NULL;
	int r = hello->gate < 0
			? 0
			: gate_create(notify_fd, responder->daemon_fd, hello->gate, hello->inbox, &gate);

	if (r < 0)
		log_error("a container's calls to accept(2) go on before it is ready: %s", strerror(-r));
	return gate;
}

/* Receives a child's message: NULL where there is none, or it is not to be understood. */
static struct intercepted *receive(const struct responder *responder)
{
	struct message message;
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iovec = {&message, sizeof message};
	struct msghdr header = {
		.msg_iov = &iovec, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	ssize_t n = recvmsg(responder->channel_fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *cmsg = n < 0 ? NULL : CMSG_FIRSTHDR(&header);
	struct intercepted *container;
	int notify_fd;

	if (n >= 0 && !cmsg)
		log_error("out of descriptors: a container's calls to bind(2) will fail");
	if (!cmsg)
		return NULL;
	memcpy(&notify_fd, CMSG_DATA(cmsg), sizeof notify_fd);
	container = read_message(&message, (size_t)n);
	if (!container) {
		fd_close(notify_fd);
		return NULL;
	}
	container->notify_fd = notify_fd;
	container->gate = make_gate(responder, notify_fd, &message.hello);
	/* Who asks waits for the answer: it is given on the same processor. Older kernels refuse. */
	(void)ioctl(notify_fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	return container;
}

static void take_in(struct responder *responder)
{
	struct intercepted *container = receive(responder);

	(void)watch(responder, EPOLL_CTL_MOD, responder->channel_fd, responder);
	if (!container)
		return;
	if (arm(responder, container, EPOLL_CTL_ADD) < 0) {
		log_error("a container's calls to bind(2) cannot be answered: %s", strerror(errno));
		forget(container);
	}
}

static void set_tick(const struct responder *responder, long ns)
{
	const struct itimerspec spec = {.it_value.tv_nsec = ns};

	(void)timerfd_settime(responder->tick_fd, 0, &spec, NULL);
}

/* Called with the mutex. */
static void wait_for_credit(struct responder *responder, struct intercepted *container)
{
	if (!responder->waiting)
		set_tick(responder, TICK_NS);
	container->next = responder->waiting;
	responder->waiting = container;
}

/* Called with the mutex: who has a container's next event sees all that was done to it before. */
static void go_on(struct responder *responder, struct intercepted *container)
{
	if (container->credit_ns > 0)
		(void)arm(responder, container, EPOLL_CTL_MOD);
	else
		wait_for_credit(responder, container);
}

static void put_off(struct responder *responder, struct intercepted *container)
{
	pthread_mutex_lock(&responder->mutex);
	wait_for_credit(responder, container);
	pthread_mutex_unlock(&responder->mutex);
}

static void on_tick(struct responder *responder)
{
	struct intercepted *container, *next;
	uint64_t count;

	(void)read(responder->tick_fd, &count, sizeof count);
	(void)watch(responder, EPOLL_CTL_MOD, responder->tick_fd, &responder->tick_fd);
	pthread_mutex_lock(&responder->mutex);
	container = responder->waiting;
	responder->waiting = NULL;
	for (; container; container = next) {
		next = container->next;
		if (container->credit_ns < CREDIT_NS)
			container->credit_ns += CREDIT_TICK_NS;
		go_on(responder, container);
	}
	pthread_mutex_unlock(&responder->mutex);
}

/* A place for a container whose question this thread has; NULL where another thread has one of the same site:
 * of an earlier container, whose memory it waits for. */
static const struct intercepted **take_on(struct responder *responder, const struct intercepted *container)
{
	const struct intercepted **place = NULL;

	pthread_mutex_lock(&responder->mutex);
	for (unsigned i = 0; i < THREADS_MAX; i++) {
		const struct intercepted **asked = &responder->asked[i];

		if (!*asked) {
			place = asked;
		} else if ((*asked)->site == container->site) {
			place = NULL;
			break;
		}
	}
	if (place)
		*place = container;
	pthread_mutex_unlock(&responder->mutex);
	return place;
}

/* CPU time of the calling thread. */
static int64_t used_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

/* What became of those who wait, and the next question. False: the last task with the filter has gone. */
static bool attend(const struct responder *responder, struct intercepted *container, uint32_t events)
{
	struct intercept_report report;
	int64_t start_ns = used_ns();

	if (container->gate)
		events = gate_look(container->gate);
	if (events & EPOLLIN && exchange_run(container, responder->daemon_fd, &report) &&
	    write(responder->report_fd, &report, sizeof report) < 0)
		log_error("what a program did with a listener cannot be reported: %s", strerror(errno));
	container->credit_ns -= used_ns() - start_ns;
	return !events || events & EPOLLIN;
}

static void on_event(struct responder *responder, struct intercepted *container, uint32_t events)
{
	const struct intercepted **place = NULL;
	bool more = events & EPOLLIN;

	if (more && !(place = take_on(responder, container))) {
		put_off(responder, container);
		return;
	}
	if (more)
		more = attend(responder, container, events);
	/* The kernel hands a container from thread to thread; the mutex is what the language knows of that. */
	pthread_mutex_lock(&responder->mutex);
	if (place)
		*place = NULL;
	if (more)
		go_on(responder, container);
	pthread_mutex_unlock(&responder->mutex);
	if (!more)
		forget(container);
}

static void *thread_main(void *argument);

/* Called with the mutex. */
static void start_thread(struct responder *responder)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, thread_main, responder);

	if (r == 0) {
		responder->n_threads++;
		(void)pthread_detach(thread);
	}
}

static void serve_one(struct responder *responder)
{
	struct epoll_event event;
	int n;

	pthread_mutex_lock(&responder->mutex);
	responder->n_idle++;
	pthread_mutex_unlock(&responder->mutex);
	n = epoll_wait(responder->epoll_fd, &event, 1, -1);
	pthread_mutex_lock(&responder->mutex);
	if (--responder->n_idle == 0 && n == 1 && responder->n_threads < THREADS_MAX)
		start_thread(responder);
	pthread_mutex_unlock(&responder->mutex);
	if (n != 1)
		return;
	if (event.data.ptr == &responder->tick_fd)
		on_tick(responder);
	else if (event.data.ptr != responder)
		on_event(responder, event.data.ptr, event.events);
	else if (event.events & EPOLLHUP)
		_exit(EXIT_SUCCESS); /* torpord has ended, or ends us */
	else
		take_in(responder);
}

static void *thread_main(void *argument)
{
	for (;;)
		serve_one(argument);
	return NULL;
}

/* Out of the way of carry_reserve(), and everything else that torpord has open closed. */
static int keep(int *fds[], size_t n)
{
	int from = 3, end = carry_end();

	for (size_t i = 0; i < n; i++) {
		*fds[i] = fcntl(*fds[i], F_DUPFD_CLOEXEC, end); /* each lies above the one before */
		if (*fds[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < n; from = *fds[i++] + 1)
		if (from < *fds[i] && close_range((unsigned)from, (unsigned)*fds[i] - 1, 0) < 0)
			return -errno;
	return close_range((unsigned)from, ~0U, 0) < 0 ? -errno : carry_reserve();
}

static int set_up(struct responder *responder)
{
	int *fds[] = {&responder->channel_fd, &responder->report_fd, &responder->daemon_fd};
	int r = keep(fds, sizeof fds / sizeof *fds);

	/* A socket that is made here has the options of a new one in a container. */
	if (r == 0 && unshare(CLONE_NEWNET) < 0)
		r = -errno;
	if (r == 0)
		r = carry_learn();
	if (r < 0)
		return r;
	responder->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	responder->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (responder->epoll_fd < 0 || responder->tick_fd < 0)
		return -errno;
	r = watch(responder, EPOLL_CTL_ADD, responder->channel_fd, responder);
	return r < 0 ? r : watch(responder, EPOLL_CTL_ADD, responder->tick_fd, &responder->tick_fd);
}

void responder_run(int channel_fd, int report_fd, int daemon_fd)
{
	static struct responder responder = {.mutex = PTHREAD_MUTEX_INITIALIZER, .n_threads = 1};
	int r;

	(void)prctl(PR_SET_NAME, "interceptor");
	responder.channel_fd = channel_fd;
	responder.report_fd = report_fd;
	responder.daemon_fd = daemon_fd;
	r = set_up(&responder);
	if (write(responder.report_fd, &r, sizeof r) < 0 || r < 0)
		_exit(EXIT_FAILURE);
	thread_main(&responder);
	_exit(EXIT_FAILURE);
}
