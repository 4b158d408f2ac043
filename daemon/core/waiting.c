/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "waiting.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "fd.h"
#include "listener.h"
#include "sockdiag.h"

#define DUMP_TRIES 3

struct look {
	struct waiting *waiting;
	size_t n;
};

/* Whether a connection came in at a listener: by its address, or by any where that is a wildcard. */
static bool is_of(const struct sockdiag_socket *socket, const struct listener *listener)
{
	const struct address *address = listener->address;
	static const struct in6_addr any; /* of IPv4 too, in its first bytes */
	struct sockaddr_in6 in6;
	struct sockaddr_in in;
	const void *own;

	if (address_family(address) == AF_INET) {
		memcpy(&in, address->sockaddr, sizeof in);
		own = &in.sin_addr;
	} else {
		memcpy(&in6, address->sockaddr, sizeof in6);
		own = &in6.sin6_addr;
	}
	return (address_family(address) == AF_INET) == (socket->table == SOCKDIAG_TCP4) &&
	       ntohs(socket->port) == address_port(address) &&
	       (memcmp(own, socket->address, socket->address_bytes) == 0 ||
		memcmp(own, &any, socket->address_bytes) == 0);
}

static void add_source(struct waiting *waiting, const struct sockdiag_socket *socket)
{
	struct wake_source source =
		wake_source_of(socket->table == SOCKDIAG_TCP4 ? AF_INET : AF_INET6, socket->peer);

	for (unsigned i = 0; i < waiting->n_sources; i++)
		if (memcmp(&waiting->sources[i], &source, sizeof source) == 0)
			return;
	if (waiting->n_sources == WAITING_SOURCES_MAX)
		waiting->more = true;
	else
		waiting->sources[waiting->n_sources++] = source;
}

static void visit(const struct sockdiag_socket *socket, void *userdata)
{
	const struct look *look = userdata;

	/* A program's close(2) leaves these states, so those that no program holds are not accepted yet. */
	if (socket->inode != 0 || (socket->state != TCP_ESTABLISHED && socket->state != TCP_CLOSE_WAIT &&
				   socket->state != TCP_SYN_RECV))
		return;
	for (size_t i = 0; i < look->n; i++) {
		struct waiting *waiting = &look->waiting[i];

		if (!is_of(socket, waiting->listener))
			continue;
		/* The end takes a place in the sequence of bytes. */
		if (socket->state == TCP_CLOSE_WAIT && socket->rqueue <= 1) {
			waiting->hung_up++;
		} else {
			waiting->here++;
			add_source(waiting, socket);
		}
	}
}

static void clear(struct waiting *waiting, size_t n, int family)
{
	for (size_t i = 0; i < n; i++)
		if (address_family(waiting[i].listener->address) == family)
			waiting[i] = (struct waiting){.listener = waiting[i].listener};
}

int waiting_look(struct sockdiag *diag, struct waiting *waiting, size_t n)
{
	static const struct {
		int family;
		enum sockdiag_table table;
	} tables[] = {{AF_INET, SOCKDIAG_TCP4}, {AF_INET6, SOCKDIAG_TCP6}};
	struct look look = {waiting, n};

	for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
		bool needed = false;
		int r = -EAGAIN;

		for (size_t i = 0; i < n; i++)
			needed |= address_family(waiting[i].listener->address) == tables[t].family;
		for (unsigned tries = 0; needed && r == -EAGAIN && tries < DUMP_TRIES; tries++) {
			clear(waiting, n, tables[t].family);
			r = sockdiag_dump(diag, tables[t].table, visit, &look);
		}
		if (needed && r < 0)
			return r;
	}
	return 0;
}

unsigned waiting_dismiss(const struct waiting *waiting)
{
	struct tcp_info info;
	socklen_t length = sizeof info;
	unsigned n = 0;

	if (waiting->here > 0 || waiting->hung_up == 0)
		return 0;
	/* Of a listener: how many are in its queue. They are in it before they hang up, and whoever has come
	 * since is behind them; so if there are no more than have hung up, these are the first. */
	if (getsockopt(waiting->listener->fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0 ||
	    info.tcpi_unacked != waiting->hung_up)
		return 0;
	while (n < waiting->hung_up) {
		int fd = accept4(waiting->listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			break;
		fd_close(fd);
		n++;
	}
	return n;
}
