/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "carry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"

#define LOOK_BYTES 4096 /* of a list of a program's descriptors: some 170 */

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72 /* Linux 5.14 */
#endif

/* What may differ between a listener and another, and is for the program to say. The address, and what decides
 * who else may have it, is not. */
static const struct option {
	int level, name;
} options[] = {
	{SOL_SOCKET, SO_KEEPALIVE},       {SOL_SOCKET, SO_LINGER},
	{SOL_SOCKET, SO_OOBINLINE},       {SOL_SOCKET, SO_RCVLOWAT},
	{SOL_SOCKET, SO_RCVTIMEO},        {SOL_SOCKET, SO_SNDTIMEO},
	{SOL_SOCKET, SO_PASSCRED},        {SOL_SOCKET, SO_TIMESTAMP},
	{SOL_SOCKET, SO_TIMESTAMPNS},     {SOL_SOCKET, SO_BROADCAST},
	{IPPROTO_TCP, TCP_NODELAY},       {IPPROTO_TCP, TCP_DEFER_ACCEPT},
	{IPPROTO_TCP, TCP_KEEPIDLE},      {IPPROTO_TCP, TCP_KEEPINTVL},
	{IPPROTO_TCP, TCP_KEEPCNT},       {IPPROTO_TCP, TCP_USER_TIMEOUT},
	{IPPROTO_TCP, TCP_FASTOPEN},      {IPPROTO_TCP, TCP_LINGER2},
	{IPPROTO_TCP, TCP_NOTSENT_LOWAT}, {IPPROTO_IP, IP_TOS},
	{IPPROTO_IP, IP_RECVTOS},         {IPPROTO_IP, IP_PKTINFO},
	{IPPROTO_IP, IP_RECVERR},         {IPPROTO_IPV6, IPV6_TCLASS},
	{IPPROTO_IPV6, IPV6_RECVPKTINFO}, {IPPROTO_IPV6, IPV6_RECVTCLASS},
	{IPPROTO_IPV6, IPV6_RECVERR},
};

/* A buffer's size is told as twice what was set, and counts only where somebody set it. */
static void carry_buffer(int from_fd, int listener_fd, int locks, int lock, int name)
{
	int bytes;
	socklen_t length = sizeof bytes;

	if (!(locks & lock) || getsockopt(from_fd, SOL_SOCKET, name, &bytes, &length) < 0)
		return;
	bytes /= 2;
	(void)setsockopt(listener_fd, SOL_SOCKET, name, &bytes, sizeof bytes);
}

static void carry_buffers(int from_fd, int listener_fd)
{
	int locks = 0;
	socklen_t length = sizeof locks;

	(void)getsockopt(from_fd, SOL_SOCKET, SO_BUF_LOCK, &locks, &length);
	carry_buffer(from_fd, listener_fd, locks, 1, SO_SNDBUF);
	carry_buffer(from_fd, listener_fd, locks, 2, SO_RCVBUF);
}

/* Sets an option that differs both from what it was when the program got its socket, and from the listener's.
 */
static void carry_option(const struct option *option, int from_fd, int fresh_fd, int listener_fd)
{
	unsigned char value[32] = {0}, fresh[32] = {0}, ours[32] = {0};
	socklen_t length = sizeof value, other = sizeof fresh;

	if (getsockopt(from_fd, option->level, option->name, value, &length) < 0)
		return;
	if (getsockopt(fresh_fd, option->level, option->name, fresh, &other) == 0 && other == length &&
	    memcmp(value, fresh, length) == 0)
		return;
	other = sizeof ours;
	if (getsockopt(listener_fd, option->level, option->name, ours, &other) == 0 && other == length &&
	    memcmp(value, ours, length) == 0)
		return;
	(void)setsockopt(listener_fd, option->level, option->name, value, length);
}

void carry_options(int from_fd, int listener_fd)
{
	int flags = fcntl(from_fd, F_GETFL), ours = fcntl(listener_fd, F_GETFL);
	int domain = AF_UNSPEC, type = 0, protocol = 0;
	socklen_t length = sizeof domain;
	autoclose int fresh_fd = -EBADF;

	if (flags >= 0 && ours >= 0 && (flags & O_NONBLOCK) != (ours & O_NONBLOCK))
		(void)fcntl(listener_fd, F_SETFL, ours ^ O_NONBLOCK);
	(void)getsockopt(from_fd, SOL_SOCKET, SO_DOMAIN, &domain, &length);
	(void)getsockopt(from_fd, SOL_SOCKET, SO_TYPE, &type, &length);
	(void)getsockopt(from_fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length);
	fresh_fd = socket(domain, type | SOCK_CLOEXEC, protocol);
	if (fresh_fd < 0)
		return;
	carry_buffers(from_fd, listener_fd);
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		carry_option(&options[i], from_fd, fresh_fd, listener_fd);
}

static int placeholder_fd = -EBADF;

int carry_end(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 2 > CARRY_NUMBERS)
		return CARRY_NUMBERS;
	return (int)limit.rlim_cur / 2;
}

int carry_reserve(void)
{
	autoclose int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int end = carry_end();

	placeholder_fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, end);
	for (int number = 3; number < end && placeholder_fd >= 0; number++)
		if (dup3(placeholder_fd, number, O_CLOEXEC) < 0)
			return -errno;
	(void)steal_fd(&fd); /* one of them */
	return placeholder_fd < 0 ? -errno : 0;
}

/* What is to be done to the registrations of a program's descriptor with its epolls. */
struct registration {
	pid_t tid;
	int pidfd;     /* its process */
	int number;    /* its descriptor */
	int fd;        /* here: what is registered, or to be */
	int operation; /* of epoll_ctl(2): add it in the place of what is, or change those of EPOLLET */
};

/* The kernel knows a registration by file and number, so the file has the program's number here for a moment.
 */
static void register_with(const struct registration *x, int epoll_number, struct epoll_event *event)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	autoclose int epoll_fd = pidfd_getfd(x->pidfd, epoll_number, 0);

	if (epoll_fd < 0 || x->number < 3 || x->number >= carry_end())
		return;
	pthread_mutex_lock(&mutex);
	if (dup3(x->fd, x->number, O_CLOEXEC) >= 0)
		(void)epoll_ctl(epoll_fd, x->operation, x->number, event);
	(void)dup3(placeholder_fd, x->number, O_CLOEXEC);
	pthread_mutex_unlock(&mutex);
}

/* Looks for the descriptor among those that one of the program's epolls waits for. */
static void carry_epoll(const struct registration *x, int epoll_number)
{
	char path[64], line[256];
	autofclose FILE *file = NULL;

	snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", x->tid, epoll_number);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file)) {
		struct epoll_event event;
		uint32_t events;
		uint64_t data;
		int found;

		if (sscanf(line, "tfd: %d events: %" SCNx32 " data: %" SCNx64, &found, &events, &data) == 3 &&
		    found == x->number && (x->operation == EPOLL_CTL_ADD || events & EPOLLET)) {
			event = (struct epoll_event){.events = events, .data.u64 = data};
			register_with(x, epoll_number, &event);
		}
	}
}

/* Of the program's lowest descriptors, as many as one read tells of: a server makes its epolls early. */
static void carry_registrations(const struct registration *x)
{
	char path[64], target[64], entries[LOOK_BYTES] __attribute__((aligned(8)));
	autoclose int dir_fd = -EBADF;
	ssize_t bytes;

	snprintf(path, sizeof path, "/proc/%d/fd", x->tid);
	dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bytes = dir_fd < 0 ? 0 : getdents64(dir_fd, entries, sizeof entries);
	for (ssize_t at = 0; at < bytes;) {
		const struct dirent64 *entry = (const void *)(entries + at);
		ssize_t n = readlinkat(dir_fd, entry->d_name, target, sizeof target - 1);

		at += entry->d_reclen;
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (strcmp(target, "anon_inode:[eventpoll]") == 0)
			carry_epoll(x, atoi(entry->d_name));
	}
}

void carry_epolls(pid_t tid, int pidfd, int number, int listener_fd)
{
	const struct registration x = {tid, pidfd, number, listener_fd, EPOLL_CTL_ADD};

	carry_registrations(&x);
}

void carry_readiness(pid_t tid, int pidfd, int number)
{
	autoclose int fd = pidfd_getfd(pidfd, number, 0); /* fails when the process, and so tid, is no more */
	const struct registration x = {tid, pidfd, number, fd, EPOLL_CTL_MOD};

	if (fd >= 0)
		carry_registrations(&x);
}

int carry_close_on_exec(pid_t tid, int number)
{
	char path[64], line[128];
	autofclose FILE *file = NULL;
	unsigned flags;

	snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", tid, number);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "flags: %o", &flags) == 1)
			return (flags & O_CLOEXEC) != 0;
	return -EBADF;
}
