/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "binding.h"
#include "carry.h"
#include "cleanup.h"
#include "gate.h"
#include "notification.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL /* Linux 6.9: a pidfd of any thread */
#endif

#define UN_HEAD offsetof(struct sockaddr_un, sun_path)

/* A call under way, and copies of what it is about. */
struct exchange {
	const struct seccomp_notif *request;
	int daemon_fd; /* pidfd of the daemon */
	int number;    /* the program's descriptor */
	int pidfd;     /* its process */
	int socket_fd; /* a copy of it */
	int type;      /* SO_TYPE */
};

/* The number that a status file gives for a key, "Tgid:"; -ENOENT. */
static int thread_group(pid_t tid)
{
	char path[64], line[128];
	autofclose FILE *file = NULL;
	int tgid = -ENOENT;

	snprintf(path, sizeof path, "/proc/%d/status", tid);
	file = fopen(path, "re");
	while (file && tgid < 0 && fgets(line, sizeof line, file))
		(void)sscanf(line, "Tgid: %d", &tgid);
	return tgid;
}

static int open_process(pid_t tid)
{
	int fd = pidfd_open(tid, PIDFD_THREAD);

	if (fd < 0 && errno == EINVAL) {
		int tgid = thread_group(tid);

		if (tgid < 0)
			return tgid;
		fd = pidfd_open(tgid, 0);
	}
	return fd < 0 ? -errno : fd;
}

/* Takes copies. The thread waits for the answer, so its pid is its own as long as the request is valid. -errno:
 * the call is none of ours. */
static int open_exchange(const struct intercepted *container, struct exchange *x)
{
	socklen_t length = sizeof x->type;

	x->pidfd = open_process((pid_t)x->request->pid);
	if (x->pidfd < 0)
		return x->pidfd;
	if (!notification_valid(container->notify_fd, x->request->id))
		return -ESRCH;
	x->socket_fd = pidfd_getfd(x->pidfd, x->number, 0);
	if (x->socket_fd < 0)
		return -errno;
	return getsockopt(x->socket_fd, SOL_SOCKET, SO_TYPE, &x->type, &length) < 0 ? -errno : 0;
}

static void close_exchange(struct exchange *x)
{
	fd_close(x->socket_fd);
	fd_close(x->pidfd);
	x->socket_fd = x->pidfd = -EBADF;
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t length = sizeof cookie;

	(void)getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length);
	return cookie;
}

/* Which of the container's listeners the program's descriptor is already; -ENOENT. */
static int find_own(const struct intercepted *container, const struct exchange *x)
{
	uint64_t cookie = cookie_of(x->socket_fd);

	for (unsigned i = 0; cookie && i < container->n_listeners; i++)
		if (container->sockets[i].cookie == cookie)
			return (int)i;
	return -ENOENT;
}

/* A path as the program's process sees it, made absolute: *length grows. False where it does not fit. */
static bool make_absolute(const struct exchange *x, struct sockaddr_un *address, size_t *length)
{
	size_t path_bytes = strnlen(address->sun_path, *length - UN_HEAD), folder_bytes;
	char link[64], folder[sizeof address->sun_path];
	ssize_t n;

	if (address->sun_path[0] == '/' || address->sun_path[0] == '\0')
		return true;
	snprintf(link, sizeof link, "/proc/%u/cwd", x->request->pid);
	n = readlink(link, folder, sizeof folder);
	folder_bytes = n > 0 ? (size_t)n : sizeof folder;
	if (folder_bytes + 1 + path_bytes >= sizeof address->sun_path)
		return false;
	memmove(address->sun_path + folder_bytes + 1, address->sun_path, path_bytes);
	memcpy(address->sun_path, folder, folder_bytes);
	address->sun_path[folder_bytes] = '/';
	address->sun_path[folder_bytes + 1 + path_bytes] = '\0';
	*length = UN_HEAD + folder_bytes + 1 + path_bytes + 1;
	return true;
}

union any_address {
	struct sockaddr_storage storage;
	struct sockaddr any;
	struct sockaddr_un un;
};

static int find_listener(const struct intercepted *container, const struct exchange *x,
			 union any_address *address, size_t length)
{
	if (address->any.sa_family == AF_UNIX && length > UN_HEAD && !make_absolute(x, &address->un, &length))
		return -ENOENT;
	return binding_find(container->binds, container->n_listeners, x->type, address, length);
}

static bool is_bound(int fd)
{
	union any_address address;
	socklen_t length = sizeof address;

	if (getsockname(fd, &address.any, &length) < 0)
		return true;
	switch (address.any.sa_family) {
	case AF_INET:
	case AF_INET6:
		return ((const struct sockaddr_in *)(const void *)&address)->sin_port !=
		       0; /* at one place in both */
	default:
		return length > UN_HEAD;
	}
}

static bool has_path(const union any_address *address, size_t length)
{
	return address->any.sa_family == AF_UNIX && length > UN_HEAD && address->un.sun_path[0];
}

/* The listener that a bind(2) means, or -ENOENT. A socket with a path is made by the program itself, as it will
 * want to find the file there: its turn comes with listen(2). One without connections has no such second call.
 */
static int meant_by_bind(const struct intercepted *container, struct exchange *x)
{
	union any_address address = {0};
	size_t length = (uint32_t)x->request->data.args[2]; /* an int for the kernel, whatever the rest says */
	struct iovec local = {&address, length};
	struct iovec remote = {(void *)(uintptr_t)x->request->data.args[1], length};

	if (length < sizeof address.any.sa_family || length > BINDING_SOCKADDR_BYTES ||
	    process_vm_readv((pid_t)x->request->pid, &local, 1, &remote, 1, 0) != (ssize_t)length ||
	    open_exchange(container, x) < 0)
		return -ENOENT;
	if (is_bound(x->socket_fd) || (has_path(&address, length) && x->type != SOCK_DGRAM))
		return -ENOENT;
	return find_listener(container, x, &address, length);
}

/* The listener that a listen(2) is about; *own when the program has it already. */
static int meant_by_listen(const struct intercepted *container, struct exchange *x, bool *own)
{
	union any_address address = {0};
	socklen_t length = sizeof address;
	int i;

	if (open_exchange(container, x) < 0)
		return -ENOENT;
	i = find_own(container, x);
	*own = i >= 0;
	if (*own)
		return i;
	if (getsockname(x->socket_fd, &address.any, &length) < 0 || !has_path(&address, length))
		return -ENOENT;
	return find_listener(container, x, &address, length);
}

/* Puts the listener in the place of the program's socket. */
static int hand_over(struct intercepted *container, struct exchange *x, int i)
{
	autoclose int listener_fd = pidfd_getfd(x->daemon_fd, container->sockets[i].number, 0);
	int r = carry_close_on_exec((pid_t)x->request->pid, x->number);
	struct seccomp_notif_addfd addfd = {
		.id = x->request->id,
		.flags = SECCOMP_ADDFD_FLAG_SETFD,
		.srcfd = (uint32_t)listener_fd,
		.newfd = (uint32_t)x->number,
	};

	if (listener_fd < 0 || cookie_of(listener_fd) != container->sockets[i].cookie)
		return -ENOENT; /* torpor has given it up */
	if (r < 0)
		return r;
	addfd.newfd_flags = r ? O_CLOEXEC : 0;
	carry_options(x->socket_fd, listener_fd);
	carry_epolls((pid_t)x->request->pid, x->pidfd, x->number, listener_fd);
	/* The copies would keep the program's socket, and its registrations, alive. */
	close_exchange(x);
	return ioctl(container->notify_fd, SECCOMP_IOCTL_NOTIF_ADDFD, &addfd) < 0 ? -errno : 0;
}

/* accept(2): of a listener, while its gate is shut, there is nothing to be had. */
static void answer_accept(const struct intercepted *container, struct exchange *x)
{
	if (container->gate && !gate_is_open(container->gate) && open_exchange(container, x) == 0 &&
	    find_own(container, x) >= 0)
		gate_answer(container->gate, x->request, x->socket_fd, &x->pidfd);
	else
		notification_continue(container->notify_fd, x->request->id);
	close_exchange(x);
}

/* A listener that its program has, by its own bind(2) or otherwise. */
static bool report_listener(struct intercepted *container, int i, bool own, struct intercept_report *report)
{
	uint64_t bit = UINT64_C(1) << i;
	bool news = own ? !((container->bound | container->listened) & bit) : !(container->bound & bit);

	*(own ? &container->listened : &container->bound) |= bit;
	report->event = own ? INTERCEPT_LISTENED : INTERCEPT_BOUND;
	report->listener = (uint32_t)i;
	return news;
}

static bool is_unix(const struct address *address)
{
	return address_family(address) == AF_UNIX;
}

/* Whether a program could listen at an address in the place of a listener: many have a unix socket of their own
 * beside the port that they serve. */
static bool could_be(const struct address *other, const struct address *listener)
{
	return other->type == listener->type && (!is_unix(other) || is_unix(listener));
}

/* A socket of the program's own that it listens on, while there is a listener that it has not taken. */
static bool report_other(struct intercepted *container, const struct exchange *x,
			 struct intercept_report *report)
{
	uint64_t taken = container->bound | container->listened;

	if (container->other || address_from_fd(x->socket_fd, &report->other) < 0 || !is_bound(x->socket_fd))
		return false;
	for (unsigned i = 0; i < container->n_listeners; i++)
		if (!(taken & (UINT64_C(1) << i)) && could_be(&report->other, &container->binds[i]))
			container->other = true;
	report->event = INTERCEPT_OTHER;
	return container->other;
}

bool exchange_run(struct intercepted *container, int daemon_fd, struct intercept_report *report)
{
	struct seccomp_notif request = {0};
	struct exchange x = {.request = &request, .daemon_fd = daemon_fd, .pidfd = -EBADF, .socket_fd = -EBADF};
	bool own = false, news = false;
	int i;

	if (ioctl(container->notify_fd, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
		return false;
	*report = (struct intercept_report){.id = container->id};
	x.number = (int)request.data.args[0];
	if (request.data.nr != __NR_bind && request.data.nr != __NR_listen) {
		answer_accept(container, &x);
		return false;
	}
	i = request.data.nr == __NR_bind ? meant_by_bind(container, &x) : meant_by_listen(container, &x, &own);
	if (i >= 0 && !own && hand_over(container, &x, i) < 0)
		i = -ENOENT;
	if (i >= 0)
		news = report_listener(container, i, own, report);
	else if (request.data.nr == __NR_listen)
		news = report_other(container, &x, report);
	close_exchange(&x);
	/* A listener that listens already: its backlog is the unit's. */
	if (i < 0)
		notification_continue(container->notify_fd, request.id);
	else
		notification_answer(container->notify_fd, request.id, 0);
	return news;
}
