/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "fd.h"
#include "str.h"

void peer_set_inet(struct peer *peer, const void *address, size_t address_bytes, uint16_t port)
{
	struct in6_addr in6;

	*peer = (struct peer){.family = AF_INET, .port = ntohs(port)};
	if (address_bytes == sizeof in6) {
		memcpy(&in6, address, sizeof in6);
		if (IN6_IS_ADDR_V4MAPPED(&in6)) {
			memcpy(peer->address, in6.s6_addr + 12, sizeof(struct in_addr));
			return;
		}
		peer->family = AF_INET6;
	}
	memcpy(peer->address, address, address_bytes);
}

void peer_read_command(struct peer *peer)
{
	char path[64], name[sizeof peer->command + 1] = ""; /* with a line's end */

	snprintf(path, sizeof path, "/proc/%d/comm", peer->pid);
	if (peer->pid > 0 && fd_read_attribute(AT_FDCWD, path, name, sizeof name) > 0)
		memcpy(peer->command, name, sizeof peer->command);
}

static int unix_peer(int fd, struct peer *ret)
{
	struct ucred cred;
	socklen_t length = sizeof cred;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &length) < 0)
		return -errno;
	*ret = (struct peer){.family = AF_UNIX, .has_uid = true, .uid = cred.uid, .pid = cred.pid};
	return 0;
}

int peer_of_socket(int fd, struct peer *ret)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (getpeername(fd, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	switch (address.ss_family) {
	case AF_UNIX:
		return unix_peer(fd, ret);
	case AF_INET:
		memcpy(&in, &address, sizeof in);
		peer_set_inet(ret, &in.sin_addr, sizeof in.sin_addr, in.sin_port);
		return 0;
	case AF_INET6:
		memcpy(&in6, &address, sizeof in6);
		peer_set_inet(ret, &in6.sin6_addr, sizeof in6.sin6_addr, in6.sin6_port);
		return 0;
	default:
		return -EAFNOSUPPORT;
	}
}

static const char *format_process(const struct peer *peer, char *buf, size_t size)
{
	char name[sizeof peer->command + 1] = "", escaped[sizeof peer->command * 4 + 1], uid[32] = "";

	memcpy(name, peer->command, sizeof peer->command);
	str_escape(name, escaped, sizeof escaped);
	if (peer->has_uid)
		snprintf(uid, sizeof uid, "uid %u", peer->uid);
	if (peer->pid > 0)
		snprintf(buf, size, "pid %d%s%s%s%s%s", peer->pid, *escaped ? " (" : "", escaped,
			 *escaped ? ")" : "", *uid ? ", " : "", uid);
	else
		snprintf(buf, size, "%s", *uid ? uid : "unknown");
	return buf;
}

const char *peer_format(const struct peer *peer, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN];

	switch (peer->family) {
	case AF_UNIX:
		return format_process(peer, buf, size);
	case AF_INET:
		inet_ntop(AF_INET, peer->address, text, sizeof text);
		snprintf(buf, size, "%s:%u", text, peer->port);
		return buf;
	case AF_INET6:
		inet_ntop(AF_INET6, peer->address, text, sizeof text);
		snprintf(buf, size, "[%s]:%u", text, peer->port);
		return buf;
	default:
		snprintf(buf, size, "unknown");
		return buf;
	}
}
