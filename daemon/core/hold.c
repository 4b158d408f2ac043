/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hold.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "str.h"
#include "spec.h"

#define OWED_MS      1000
#define SAME_TICK_MS 100

struct held_socket {
	uv_poll_t poll; /* first: the handle's address is this */
	int fd;
	unsigned long inode;
};

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

void hold_release(struct hold *hold)
{
	for (unsigned i = 0; i < hold->n; i++) {
		uv_close((uv_handle_t *)&hold->sockets[i]->poll, on_closed);
		fd_close(hold->sockets[i]->fd);
	}
	free(hold->sockets);
	*hold = (struct hold){0};
}

bool hold_pending(const struct hold *hold)
{
	for (unsigned i = 0; i < hold->n; i++) {
		struct pollfd pollfd = {.fd = hold->sockets[i]->fd, .events = POLLIN | POLLRDHUP};

		if (poll(&pollfd, 1, 0) > 0)
			return true;
	}
	return false;
}

static bool held(const struct hold *hold, unsigned long inode)
{
	for (unsigned i = 0; i < hold->n; i++)
		if (hold->sockets[i]->inode == inode)
			return true;
	return false;
}

/* Whether the program may owe an answer on a TCP connection: what came last came in, not long ago. The kernel
 * counts in ticks of up to 10 ms, so an answer within the tick of its question looks the same; it has only to
 * get older. Later than that a connection may sleep: a WebSocket whose last message was the client's has
 * nothing to wait for. */
static bool answer_owed(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof info;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
		return false; /* not TCP */
	if (info.tcpi_last_data_recv == info.tcpi_last_data_sent)
		return info.tcpi_last_data_recv < SAME_TICK_MS;
	return info.tcpi_last_data_recv < info.tcpi_last_data_sent && info.tcpi_last_data_recv < OWED_MS;
}

/* It has kept the address, where the listener has one. */
bool hold_is_visitor(int fd, const struct site_spec *spec)
{
	struct address own;

	if (address_from_fd(fd, &own) < 0)
		return false;
	for (unsigned i = 0; i < spec->n_listeners; i++) {
		const struct address *listener = &spec->listeners[i].address;

		if (address_family(&own) == AF_UNIX ? address_equal(&own, listener)
						    : address_port(&own) == address_port(listener))
			return true;
	}
	return false;
}

/* Whether TCP bytes went out last, the client has got them all, and nothing has moved for a while. */
static bool quiet(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof info;
	int unsent;

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
	       ioctl(fd, SIOCOUTQ, &unsent) == 0 && unsent == 0 && info.tcpi_last_data_sent >= HOLD_QUIET_MS &&
	       info.tcpi_last_data_recv >= info.tcpi_last_data_sent;
}

bool hold_accepted(const struct hold *hold, const struct site_spec *spec)
{
	for (unsigned i = 0; i < hold->n; i++)
		if (hold_is_visitor(hold->sockets[i]->fd, spec))
			return true;
	return false;
}

bool hold_serving(const struct hold *hold, const struct site_spec *spec)
{
	for (unsigned i = 0; i < hold->n; i++)
		if (hold_is_visitor(hold->sockets[i]->fd, spec) && !quiet(hold->sockets[i]->fd))
			return true;
	return false;
}

/* Makes room for one more. */
static int grow(struct hold *hold)
{
	unsigned want = hold->size ? hold->size * 2 : 8;
	struct held_socket **grown;

	if (hold->n >= hold->max)
		return -E2BIG;
	if (hold->n < hold->size)
		return 0;
	grown = realloc(hold->sockets, want * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	hold->sockets = grown;
	hold->size = want;
	return 0;
}

/* A program's output as a stream to the journal, whose own end for reading is shut (sd_journal_stream_fd(3)):
 * to poll(2) it would look like a visitor who has hung up, for ever. A name space's journal is below
 * /run/systemd/journal.NAME. */
static bool is_journal(const struct sockaddr_storage *peer)
{
	static const char journal[] = "/run/systemd/journal";
	const struct sockaddr_un *un = (const struct sockaddr_un *)peer;

	return un->sun_family == AF_UNIX && strncmp(un->sun_path, journal, sizeof journal - 1) == 0 &&
	       str_has_suffix(un->sun_path, "/stdout");
}

/* Whether a connected socket is one of socketpair(2): nobody outside has the other end. The Java machine keeps
 * one whose other end is closed, which is readable for ever. */
static bool is_pair(int fd, const struct sockaddr_storage *peer, socklen_t peer_length)
{
	struct sockaddr_storage own;
	socklen_t length = sizeof own;

	return peer->ss_family == AF_UNIX && peer_length <= sizeof(sa_family_t) &&
	       getsockname(fd, (struct sockaddr *)&own, &length) == 0 && length <= sizeof(sa_family_t);
}

/* Holds one descriptor of a process when it is a connected socket. */
static int take_one(struct hold *hold, uv_loop_t *loop, int pidfd, int number, unsigned long inode,
		    uv_poll_cb callback, void *data)
{
	autoclose int fd = pidfd_getfd(pidfd, number, 0);
	struct sockaddr_storage peer = {0};
	socklen_t length = sizeof peer - 1; /* a path of full length has no end of its own */
	struct held_socket *socket;
	int flags, r;

	if (fd < 0)
		return errno == EBADF ? 0 : -errno;
	if (getpeername(fd, (struct sockaddr *)&peer, &length) < 0)
		return 0; /* a listener, or not connected */
	if (is_journal(&peer) || is_pair(fd, &peer, length))
		return 0;
	r = grow(hold);
	if (r < 0)
		return r;
	socket = calloc(1, sizeof *socket);
	if (!socket)
		return -ENOMEM;
	/* uv_poll_init() makes it non-blocking, for the program too: the open file description is shared. */
	flags = fcntl(fd, F_GETFL);
	if (uv_poll_init(loop, &socket->poll, fd) < 0) {
		free(socket);
		return -ENOMEM;
	}
	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags);
	hold->owed |= answer_owed(fd);
	socket->fd = steal_fd(&fd);
	socket->inode = inode;
	socket->poll.data = data;
	hold->sockets[hold->n++] = socket;
	return uv_poll_start(&socket->poll, UV_READABLE | UV_DISCONNECT, callback);
}

/* Looks through one process. One that has ended meanwhile has nothing to hold. */
static int take_process(struct hold *hold, uv_loop_t *loop, pid_t pid, uv_poll_cb callback, void *data)
{
	autoclose int pidfd = pidfd_open(pid, 0);
	char path[64], target[64];
	struct dirent *entry;
	DIR *dir;
	int r = 0;

	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	if (pidfd < 0 || !(dir = opendir(path)))
		return errno == ESRCH || errno == ENOENT ? 0 : -errno;
	while (r == 0 && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
		unsigned long inode;

		if (++hold->looked > HOLD_LOOK_MAX)
			r = -E2BIG;
		if (n < 0)
			continue;
		target[n] = '\0';
		if (r == 0 && sscanf(target, "socket:[%lu]", &inode) == 1 && !held(hold, inode))
			r = take_one(hold, loop, pidfd, atoi(entry->d_name), inode, callback, data);
	}
	closedir(dir);
	return r;
}

int hold_take(struct hold *hold, uv_loop_t *loop, const struct container *container, unsigned max_sockets,
	      uv_poll_cb callback, void *data)
{
	autofclose FILE *procs = cgroup_open_list(container->cgroup_fd, "cgroup.procs");
	int r = 0, pid;

	if (!procs)
		return -errno;
	hold->max = max_sockets < HOLD_SOCKETS_MAX ? max_sockets : HOLD_SOCKETS_MAX;
	while (r == 0 && fscanf(procs, "%d", &pid) == 1)
		r = take_process(hold, loop, (pid_t)pid, callback, data);
	if (r < 0)
		hold_release(hold);
	return r;
}
