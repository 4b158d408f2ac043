/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "carry.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kcmp.h>
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
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"

/* Where epolls are looked for: among the first numbers, until so many on end are closed. */
#define LOOK_NUMBERS 256
#define LOOK_CLOSED  8
#define SLOTS_MAX    16

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

#define N_OPTIONS   (sizeof options / sizeof options[0])
#define VALUE_BYTES 32

struct value {
	socklen_t length; /* 0: this kind of socket has no such option */
	unsigned char bytes[VALUE_BYTES];
};

/* What a program's socket was like when it was new. */
static struct kind {
	int domain, type;
	struct value fresh[N_OPTIONS];
} kinds[] = {
	{AF_INET, SOCK_STREAM, {{0}}},    {AF_INET, SOCK_DGRAM, {{0}}},  {AF_INET6, SOCK_STREAM, {{0}}},
	{AF_INET6, SOCK_DGRAM, {{0}}},    {AF_UNIX, SOCK_STREAM, {{0}}}, {AF_UNIX, SOCK_DGRAM, {{0}}},
	{AF_UNIX, SOCK_SEQPACKET, {{0}}},
};

static void get_value(int fd, const struct option *option, struct value *ret)
{
	*ret = (struct value){.length = sizeof ret->bytes};
	if (getsockopt(fd, option->level, option->name, ret->bytes, &ret->length) < 0)
		ret->length = 0;
}

static bool same_value(const struct value *a, const struct value *b)
{
	return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

int carry_learn(void)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		autoclose int fd = socket(kinds[i].domain, kinds[i].type | SOCK_CLOEXEC, 0);

		if (fd < 0 && errno != EAFNOSUPPORT)
			return -errno;
		for (size_t k = 0; k < N_OPTIONS && fd >= 0; k++)
			get_value(fd, &options[k], &kinds[i].fresh[k]);
	}
	return 0;
}

static const struct kind *kind_of(int fd)
{
	int domain = AF_UNSPEC, type = 0;
	socklen_t length = sizeof domain;

	(void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length);
	(void)getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (kinds[i].domain == domain && kinds[i].type == type)
			return &kinds[i];
	return NULL;
}

/* Sets an option that differs both from what it was when the program got its socket, and from the listener's.
 */
static void carry_option(const struct option *option, int from_fd, const struct value *fresh, int listener_fd)
{
	struct value value, ours;

	get_value(from_fd, option, &value);
	if (value.length == 0 || same_value(&value, fresh))
		return;
	get_value(listener_fd, option, &ours);
	if (!same_value(&value, &ours))
		(void)setsockopt(listener_fd, option->level, option->name, value.bytes, value.length);
}

void carry_options(int from_fd, int listener_fd)
{
	int flags = fcntl(from_fd, F_GETFL), ours = fcntl(listener_fd, F_GETFL);
	const struct kind *kind = kind_of(from_fd);

	if (flags >= 0 && ours >= 0 && (flags & O_NONBLOCK) != (ours & O_NONBLOCK))
		(void)fcntl(listener_fd, F_SETFL, ours ^ O_NONBLOCK);
	if (!kind)
		return;
	carry_buffers(from_fd, listener_fd);
	for (size_t i = 0; i < N_OPTIONS; i++)
		if (kind->fresh[i].length > 0)
			carry_option(&options[i], from_fd, &kind->fresh[i], listener_fd);
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

/* Whether the program's descriptor is registered with what another is, as far as that is an epoll. -errno;
 * -EBADF: there is no other. */
static int is_registered(const struct registration *x, int epoll_number)
{
	struct kcmp_epoll_slot slot = {(uint32_t)epoll_number, (uint32_t)x->number, 0};
	long r;

	/* More than one file may have had the number, and be registered by it. */
	do
		r = syscall(SYS_kcmp, x->tid, x->tid, KCMP_EPOLL_TFD, x->number, &slot);
	while (r > 0 && ++slot.toff < SLOTS_MAX);
	return r < 0 ? -errno : r == 0;
}

/* Of the program's lowest descriptors: a server makes its epolls early. */
static void carry_registrations(const struct registration *x)
{
	for (int number = 0, closed = 0; number < LOOK_NUMBERS && closed < LOOK_CLOSED; number++) {
		int r = is_registered(x, number);

		closed = r == -EBADF ? closed + 1 : 0;
		if (r > 0)
			carry_epoll(x, number);
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
	static const char key[] = "flags:\t";
	char path[64], text[512];
	const char *flags;

	snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", tid, number);
	if (fd_read_attribute(AT_FDCWD, path, text, sizeof text) < 0 || !(flags = strstr(text, key)))
		return -EBADF;
	return (strtoul(flags + strlen(key), NULL, 8) & O_CLOEXEC) != 0;
}
