/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "arrivals.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "daemon.h"
#include "loader.h"
#include "log.h"

/* What bind(2) asks for an IPv4 address is the table of local routes, which the kernel changes after it has
 * told of the address itself; of IPv6, the address. */
#define GROUPS          (RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR)
#define MESSAGES_A_TURN 64 /* a flood of routes does not hold the loop */

struct arrivals {
	struct daemon *daemon;
	uv_poll_t poll;
	int fd; /* owned; negative: the kernel cannot be listened to */
};

/* Whether a message tells of an address that can be bound to since. */
static bool is_arrival(const struct nlmsghdr *header)
{
	const struct rtmsg *route = NLMSG_DATA(header);

	if (header->nlmsg_type == RTM_NEWROUTE)
		return header->nlmsg_len >= NLMSG_LENGTH(sizeof *route) && route->rtm_type == RTN_LOCAL;
	return header->nlmsg_type == RTM_NEWADDR;
}

/* Takes one datagram; *arrived is set when it tells of an address. 1; 0 when there is none, or -ENOBUFS when
 * some were lost. */
static int receive(const struct arrivals *arrivals, bool *arrived)
{
	char buf[16384] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct sockaddr_nl from;
	socklen_t length = sizeof from;
	ssize_t n = recvfrom(arrivals->fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &length);
	size_t left;

	if (n < 0)
		return errno == ENOBUFS ? -ENOBUFS : errno == EINTR;
	if (from.nl_pid != 0) /* anybody may send to a netlink port, only the kernel is 0 */
		return 1;
	left = (size_t)n;
	for (const struct nlmsghdr *header = (const struct nlmsghdr *)buf; NLMSG_OK(header, left);
	     header = NLMSG_NEXT(header, left))
		*arrived |= is_arrival(header);
	return 1;
}

static bool awaited(const struct daemon *daemon)
{
	for (const struct refused *refused = daemon->refused; refused; refused = refused->hh.next)
		if (refused->error == -EADDRNOTAVAIL)
			return true;
	return false;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct arrivals *arrivals = poll->data;
	struct daemon *daemon = arrivals->daemon;
	bool arrived = false;
	int r = 1;

	(void)status;
	(void)events;
	for (unsigned i = 0; i < MESSAGES_A_TURN && r > 0; i++)
		r = receive(arrivals, &arrived);
	if (r < 0) {
		/* Until its queue is empty the kernel would drop all others too, and say nothing. */
		daemon->arrivals = NULL;
		arrivals_destroy(arrivals);
		arrivals_await(daemon);
	} else if (arrived) {
		loader_retry_soon(daemon);
	}
}

static int open_socket(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = GROUPS};
	autoclose int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0)
		return -errno;
	return steal_fd(&fd);
}

static int listen_to_kernel(struct arrivals *arrivals)
{
	autoclose int fd = open_socket();
	int r = fd < 0 ? fd : uv_poll_init(&arrivals->daemon->loop, &arrivals->poll, fd);

	if (r < 0)
		return r;
	arrivals->poll.data = arrivals;
	arrivals->fd = steal_fd(&fd);
	return uv_poll_start(&arrivals->poll, UV_READABLE, on_readable);
}

void arrivals_await(struct daemon *daemon)
{
	struct arrivals *arrivals;
	int r;

	if (daemon->arrivals)
		return;
	arrivals = calloc(1, sizeof *arrivals);
	if (!arrivals) {
		log_error("out of memory: addresses that the host gets will not be noticed");
		return;
	}
	daemon->arrivals = arrivals;
	arrivals->daemon = daemon;
	arrivals->fd = -EBADF;
	r = listen_to_kernel(arrivals);
	if (r < 0)
		log_warning("addresses that the host gets will not be noticed (use torporctl reload): %s",
			    strerror(-r));
	else
		loader_retry_soon(daemon);
}

void arrivals_release(struct daemon *daemon)
{
	if (!daemon->arrivals || awaited(daemon))
		return;
	arrivals_destroy(daemon->arrivals);
	daemon->arrivals = NULL;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void arrivals_destroy(struct arrivals *arrivals)
{
	if (!arrivals)
		return;
	if (arrivals->fd < 0) {
		free(arrivals);
		return;
	}
	uv_close((uv_handle_t *)&arrivals->poll, on_closed);
	fd_close(arrivals->fd);
}
