/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "interceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "carry.h"
#include "cleanup.h"
#include "exchange.h"
#include "log.h"
#include "own-descriptors.h"

/* One thread would do, but an exchange may have to wait for what a container's memory is backed by (a file of a
 * dead server): there is always one more thread that waits for events, up to this many. A site holds one at
 * most, however often it is started. */
#define THREADS_MAX 16

/* What a container asks for costs the threads time: it has so much at once, then so much in each tick, which is
 * 10 % of a CPU. */
#define CREDIT_NS      50000000
#define CREDIT_TICK_NS 1000000
#define TICK_NS        10000000

#define FINISH_WAIT_S 2

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* Linux 6.6 */
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS      SECCOMP_IOW(4, __u64)
#endif

struct interceptor {
	int channel[2]; /* children write to 1; the threads read a copy of 0 */
	int report[2];  /* the threads write to a copy of 1 */
	int stop_fd;

	/* Of the threads' own table. */
	int daemon_fd; /* pidfd of the process */
	int epoll_fd, own_channel_fd, own_report_fd, own_stop_fd, tick_fd;

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t changed;
	struct intercepted *containers;               /* list of all */
	struct intercepted *waiting;                  /* without credit until the next tick */
	const struct intercepted *asked[THREADS_MAX]; /* whose question a thread has; NULL: free */
	unsigned n_threads, n_idle;
	bool ready;
	int error;
	pthread_t threads[THREADS_MAX];
};

static void forget(struct interceptor *interceptor, struct intercepted *container)
{
	pthread_mutex_lock(&interceptor->mutex);
	DL_DELETE2(interceptor->containers, container, all_prev, all_next);
	pthread_mutex_unlock(&interceptor->mutex);
	fd_close(container->notify_fd);
	free(container);
}

/* For one event, which one thread gets. */
static int watch(const struct interceptor *interceptor, int operation, int fd, const void *tag)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = (void *)(uintptr_t)tag};

	return epoll_ctl(interceptor->epoll_fd, operation, fd, &event) < 0 ? -errno : 0;
}

/* Waits for one more question, by whichever thread. */
static int arm(struct interceptor *interceptor, struct intercepted *container, int operation)
{
	return watch(interceptor, operation, container->notify_fd, container);
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
	container->gate = message->hello.gate;
	container->site = message->hello.site;
	container->credit_ns = CREDIT_NS;
	container->n_listeners = (unsigned)n;
	memcpy(container->sockets, message->rest, sockets_bytes);
	memcpy(container->binds, message->rest + sockets_bytes, binds_bytes);
	return container;
}

/* Receives a child's message: NULL where there is none, or it is not to be understood. */
static struct intercepted *receive(int channel_fd)
{
	struct message message;
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iovec = {&message, sizeof message};
	struct msghdr header = {
		.msg_iov = &iovec, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	ssize_t n = recvmsg(channel_fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
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
	/* Who asks waits for the answer: it is given on the same processor. Older kernels refuse. */
	(void)ioctl(notify_fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	return container;
}

static void take_in(struct interceptor *interceptor)
{
	struct intercepted *container = receive(interceptor->own_channel_fd);

	(void)watch(interceptor, EPOLL_CTL_MOD, interceptor->own_channel_fd, interceptor);
	if (!container)
		return;
	pthread_mutex_lock(&interceptor->mutex);
	DL_APPEND2(interceptor->containers, container, all_prev, all_next);
	pthread_mutex_unlock(&interceptor->mutex);
	if (arm(interceptor, container, EPOLL_CTL_ADD) < 0) {
		log_error("a container's calls to bind(2) cannot be answered: %s", strerror(errno));
		forget(interceptor, container);
	}
}

static void set_tick(const struct interceptor *interceptor, long ns)
{
	const struct itimerspec spec = {.it_value.tv_nsec = ns};

	(void)timerfd_settime(interceptor->tick_fd, 0, &spec, NULL);
}

static void put_off(struct interceptor *interceptor, struct intercepted *container)
{
	pthread_mutex_lock(&interceptor->mutex);
	if (!interceptor->waiting)
		set_tick(interceptor, TICK_NS);
	container->next = interceptor->waiting;
	interceptor->waiting = container;
	pthread_mutex_unlock(&interceptor->mutex);
}

static void on_tick(struct interceptor *interceptor)
{
	struct intercepted *container, *next;
	uint64_t count;

	(void)read(interceptor->tick_fd, &count, sizeof count);
	(void)watch(interceptor, EPOLL_CTL_MOD, interceptor->tick_fd, &interceptor->tick_fd);
	pthread_mutex_lock(&interceptor->mutex);
	container = interceptor->waiting;
	interceptor->waiting = NULL;
	pthread_mutex_unlock(&interceptor->mutex);
	for (; container; container = next) {
		next = container->next;
		container->credit_ns += CREDIT_TICK_NS;
		if (container->credit_ns > 0)
			(void)arm(interceptor, container, EPOLL_CTL_MOD);
		else
			put_off(interceptor, container);
	}
}

/* A place for a container whose question this thread has; NULL where another thread has one of the same site:
 * of an earlier container, whose memory it waits for. */
static const struct intercepted **take_on(struct interceptor *interceptor, const struct intercepted *container)
{
	const struct intercepted **place = NULL;

	pthread_mutex_lock(&interceptor->mutex);
	for (unsigned i = 0; i < THREADS_MAX; i++) {
		const struct intercepted **asked = &interceptor->asked[i];

		if (!*asked) {
			place = asked;
		} else if ((*asked)->site == container->site) {
			place = NULL;
			break;
		}
	}
	if (place)
		*place = container;
	pthread_mutex_unlock(&interceptor->mutex);
	return place;
}

static void be_done(struct interceptor *interceptor, const struct intercepted **place)
{
	pthread_mutex_lock(&interceptor->mutex);
	*place = NULL;
	pthread_mutex_unlock(&interceptor->mutex);
}

/* CPU time of the calling thread. */
static int64_t used_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

static void on_question(struct interceptor *interceptor, struct intercepted *container, uint32_t events)
{
	const struct intercepted **place;
	struct intercept_report report;
	int64_t start_ns;

	if (!(events & EPOLLIN)) { /* the last task with the filter has gone */
		forget(interceptor, container);
		return;
	}
	place = take_on(interceptor, container);
	if (!place) {
		put_off(interceptor, container);
		return;
	}
	start_ns = used_ns();
	if (exchange_run(container, interceptor->daemon_fd, &report) &&
	    write(interceptor->own_report_fd, &report, sizeof report) < 0)
		log_error("what a program did with a listener cannot be reported: %s", strerror(errno));
	container->credit_ns -= used_ns() - start_ns;
	be_done(interceptor, place);
	if (container->credit_ns > 0)
		(void)arm(interceptor, container, EPOLL_CTL_MOD);
	else
		put_off(interceptor, container);
}

static void *thread_main(void *argument);

/* Called with the mutex. */
static int start_thread(struct interceptor *interceptor)
{
	int r = -pthread_create(&interceptor->threads[interceptor->n_threads], NULL, thread_main, interceptor);

	if (r == 0)
		interceptor->n_threads++;
	return r;
}

/* The next event; false: it is over. */
static bool serve_one(struct interceptor *interceptor)
{
	struct epoll_event event;
	int n;

	pthread_mutex_lock(&interceptor->mutex);
	interceptor->n_idle++;
	pthread_mutex_unlock(&interceptor->mutex);
	n = epoll_wait(interceptor->epoll_fd, &event, 1, -1);
	pthread_mutex_lock(&interceptor->mutex);
	if (--interceptor->n_idle == 0 && n == 1 && event.data.ptr != &interceptor->stop_fd &&
	    interceptor->n_threads < THREADS_MAX)
		(void)start_thread(interceptor);
	pthread_mutex_unlock(&interceptor->mutex);
	if (n != 1)
		return errno == EINTR;
	if (event.data.ptr == &interceptor->stop_fd)
		return false;
	if (event.data.ptr == interceptor)
		take_in(interceptor);
	else if (event.data.ptr == &interceptor->tick_fd)
		on_tick(interceptor);
	else
		on_question(interceptor, event.data.ptr, event.events);
	return true;
}

/* By the first thread: the others, which it makes, share its table and its network. That is not the host's: a
 * socket made here has the options of a new one in a container. */
static int open_own(struct interceptor *interceptor)
{
	struct epoll_event stop = {.events = EPOLLIN, .data.ptr = &interceptor->stop_fd}; /* all get it */
	int self_fd, r;

	if (close_range(3, ~0U, CLOSE_RANGE_UNSHARE) < 0 || unshare(CLONE_NEWNET) < 0)
		return -errno;
	/* First: what is opened from here on lies above the numbers of programs. */
	r = carry_reserve();
	if (r < 0)
		return r;
	interceptor->daemon_fd = self_fd = pidfd_open(getpid(), 0);
	if (self_fd < 0)
		return -errno;
	interceptor->own_channel_fd = pidfd_getfd(self_fd, interceptor->channel[0], 0);
	interceptor->own_report_fd = pidfd_getfd(self_fd, interceptor->report[1], 0);
	interceptor->own_stop_fd = pidfd_getfd(self_fd, interceptor->stop_fd, 0);
	interceptor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	interceptor->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (interceptor->own_channel_fd < 0 || interceptor->own_report_fd < 0 || interceptor->own_stop_fd < 0 ||
	    interceptor->epoll_fd < 0 || interceptor->tick_fd < 0)
		return -errno;
	if (watch(interceptor, EPOLL_CTL_ADD, interceptor->own_channel_fd, interceptor) < 0 ||
	    watch(interceptor, EPOLL_CTL_ADD, interceptor->tick_fd, &interceptor->tick_fd) < 0 ||
	    epoll_ctl(interceptor->epoll_fd, EPOLL_CTL_ADD, interceptor->own_stop_fd, &stop) < 0)
		return -errno;
	return 0;
}

static void *thread_main(void *argument)
{
	struct interceptor *interceptor = argument;
	int r = 0;

	pthread_setname_np(pthread_self(), "interceptor");
	BEGIN_OWN_DESCRIPTORS();
	if (!interceptor->ready)
		r = open_own(interceptor);
	pthread_mutex_lock(&interceptor->mutex);
	if (!interceptor->ready) {
		interceptor->ready = true;
		interceptor->error = r;
		pthread_cond_broadcast(&interceptor->changed);
	}
	pthread_mutex_unlock(&interceptor->mutex);
	while (r == 0 && serve_one(interceptor))
		;
	END_OWN_DESCRIPTORS();
	return NULL;
}

static void close_all(struct interceptor *interceptor)
{
	fd_close(interceptor->channel[0]);
	fd_close(interceptor->channel[1]);
	fd_close(interceptor->report[0]);
	fd_close(interceptor->report[1]);
	fd_close(interceptor->stop_fd);
}

static int open_all(struct interceptor *interceptor)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, interceptor->channel) < 0 ||
	    pipe2(interceptor->report, O_CLOEXEC) < 0 || fcntl(interceptor->report[0], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	interceptor->stop_fd = eventfd(0, EFD_CLOEXEC);
	return interceptor->stop_fd < 0 ? -errno : 0;
}

/* Signals are the loop's: the threads have all of them blocked. */
static int start_first(struct interceptor *interceptor)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_mutex_lock(&interceptor->mutex);
	r = start_thread(interceptor);
	while (r == 0 && !interceptor->ready)
		pthread_cond_wait(&interceptor->changed, &interceptor->mutex);
	if (r == 0)
		r = interceptor->error;
	pthread_mutex_unlock(&interceptor->mutex);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

int interceptor_create(struct interceptor **ret)
{
	struct interceptor *interceptor = calloc(1, sizeof *interceptor);
	int r;

	if (!interceptor)
		return -ENOMEM;
	interceptor->channel[0] = interceptor->channel[1] = interceptor->report[0] = interceptor->report[1] =
		interceptor->stop_fd = -EBADF;
	pthread_mutex_init(&interceptor->mutex, NULL);
	pthread_cond_init(&interceptor->changed, NULL);
	r = open_all(interceptor);
	if (r == 0)
		r = start_first(interceptor);
	if (r < 0) {
		interceptor_destroy(interceptor);
		return r;
	}
	*ret = interceptor;
	return 0;
}

/* A thread that waits for a container's memory cannot be ended; it goes with the process. */
static bool join_all(struct interceptor *interceptor)
{
	struct timespec until;
	bool all = true;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += FINISH_WAIT_S;
	/* One that is just starting another is joined after it has been counted. */
	for (unsigned i = 0;; i++) {
		unsigned n;

		pthread_mutex_lock(&interceptor->mutex);
		n = interceptor->n_threads;
		pthread_mutex_unlock(&interceptor->mutex);
		if (i >= n)
			return all;
		all &= pthread_timedjoin_np(interceptor->threads[i], NULL, &until) == 0;
	}
}

void interceptor_destroy(struct interceptor *interceptor)
{
	struct intercepted *container, *next;

	if (!interceptor)
		return;
	/* Nobody reads reports any more. */
	fd_close(steal_fd(&interceptor->report[0]));
	(void)eventfd_write(interceptor->stop_fd, 1);
	if (!join_all(interceptor)) {
		log_warning("a container's call to bind(2) is still waiting for its memory: left behind");
		return;
	}
	/* Their descriptors have gone with the table of the threads. */
	DL_FOREACH_SAFE2(interceptor->containers, container, next, all_next)
	free(container);
	close_all(interceptor);
	pthread_cond_destroy(&interceptor->changed);
	pthread_mutex_destroy(&interceptor->mutex);
	free(interceptor);
}

int interceptor_channel_fd(const struct interceptor *interceptor)
{
	return interceptor->channel[1];
}

int interceptor_report_fd(const struct interceptor *interceptor)
{
	return interceptor->report[0];
}

int interceptor_next_report(struct interceptor *interceptor, struct intercept_report *ret)
{
	return read(interceptor->report[0], ret, sizeof *ret) == (ssize_t)sizeof *ret;
}
