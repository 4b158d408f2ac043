/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "moment.h"

#define SOCKET_NAME   "control"
#define RECEIVE_BYTES 65536

/* connect(2) to run_dir/control; through /proc where the path is longer than a socket's address may be. */
static int connect_at(int fd, const char *run_dir)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	autoclose int dir_fd = -EBADF;
	int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/" SOCKET_NAME, run_dir);

	if (length < 0 || (size_t)length >= sizeof address.sun_path) {
		dir_fd = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir_fd < 0)
			return -errno;
		snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" SOCKET_NAME, dir_fd);
	}
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return 0;
}

void client_set_timeout(struct client *client, uint64_t timeout_us)
{
	uint64_t now = moment_monotonic();

	client->deadline_us = timeout_us > CLIENT_NEVER - now ? CLIENT_NEVER : now + timeout_us;
}

int client_connect(struct client *client, const char *run_dir, uint64_t timeout_us)
{
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = {.tv_sec = (time_t)(timeout_us / 1000000),
				.tv_usec = (suseconds_t)(timeout_us % 1000000)};
	int r;

	if (fd < 0)
		return -errno;
	/* Holds for connect(2) too: a daemon that hangs has a full backlog some day. */
	if (timeout_us != CLIENT_NEVER)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	r = connect_at(fd, run_dir);
	if (r < 0)
		return r;
	client->fd = steal_fd(&fd);
	client_set_timeout(client, timeout_us);
	return 0;
}

void client_finish(struct client *client)
{
	fd_close(steal_fd(&client->fd));
	protocol_buffer_finish(&client->buffer);
	client->received_bytes = 0;
}

int client_send(struct client *client, const char *method, json_t *parameters, int flags)
{
	char name[64];
	int r;

	snprintf(name, sizeof name, PROTOCOL_INTERFACE ".%s", method);
	r = protocol_send_call(client->fd, name, parameters, flags);
	return r == -EAGAIN ? -ETIMEDOUT : r == -EPIPE ? -ECONNRESET : r;
}

int client_poll(struct client *client, struct reply *ret)
{
	char chunk[RECEIVE_BYTES];
	json_t *message;
	int r;

	while ((r = protocol_buffer_next(&client->buffer, &message)) == 0) {
		ssize_t n = recv(client->fd, chunk, sizeof chunk, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (n == 0)
			return -ECONNRESET;
		r = protocol_buffer_append(&client->buffer, chunk, (size_t)n, PROTOCOL_REPLY_BYTES);
		if (r < 0)
			return r;
		client->received_bytes += (uint64_t)n;
	}
	if (r < 0)
		return r;
	reply_init(ret, message);
	return 1;
}

int client_time_left(const struct client *client)
{
	uint64_t now = moment_monotonic(), left_ms;

	if (client->deadline_us == CLIENT_NEVER)
		return -1;
	if (now >= client->deadline_us)
		return 0;
	left_ms = (client->deadline_us - now + 999) / 1000;
	return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

int client_wait(struct client *client, struct reply *ret)
{
	for (;;) {
		struct pollfd fds[2] = {{.fd = client->fd, .events = POLLIN},
					{.fd = client->interrupt_fd, .events = POLLIN}};
		int r = client_poll(client, ret), left;

		if (r != 0)
			return r < 0 ? r : 0;
		left = client_time_left(client);
		if (left == 0)
			return -ETIMEDOUT;
		if (poll(fds, 2, left) < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents && client->interrupted(client->data))
			return -EINTR;
	}
}
