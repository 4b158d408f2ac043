/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The other end of a connection, as far as it is known. Flat and small. */
struct peer {
	uint8_t family;      /* AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC: not known */
	bool has_uid;        /* AF_UNIX */
	uint16_t port;       /* in the host's byte order */
	uint8_t address[16]; /* in_addr, in6_addr */
	pid_t pid;           /* AF_UNIX: of who connected; 0: not known */
	uid_t uid;
	char command[16]; /* the pid's, as the kernel calls it: bytes of its own choice; may be empty */
};

/* An internet address: in_addr or in6_addr, the port in network order. An IPv4 address mapped into IPv6 becomes
 * what it is. */
void peer_set_inet(struct peer *peer, const void *address, size_t address_bytes, uint16_t port);

/* Reads what its process is called, if there is one and it still lives. */
void peer_read_command(struct peer *peer);

/* Of a connected socket: by getpeername(2), SO_PEERCRED of a unix socket. -errno; -EAFNOSUPPORT. */
int peer_of_socket(int fd, struct peer *ret);

/* "10.0.0.1:54321", "[::1]:54321", "pid 123 (nginx), uid 33", "uid 33", "unknown". A terminal may see it. */
const char *peer_format(const struct peer *peer, char *buf, size_t size);
