/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDRESS_TEXT_BYTES 160 /* the longest text form of any address, its end included */

/* Where a listener listens. Flat and small: every cold site keeps one for each listener. Comparable with
 * address_equal(); bytes past length are zero. */
struct address {
	uint8_t sockaddr[110] __attribute__((aligned(4))); /* sockaddr_in, sockaddr_in6 or sockaddr_un */
	uint8_t type;                                      /* SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET */
	uint8_t length;                                    /* of the sockaddr, in bytes */
};

/* Reads the value of ListenStream= and its kin, as systemd.socket(5): "8080" ([::]:8080, or 0.0.0.0 where
 * the host has no IPv6), "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80", "/absolute/path", "@abstract".
 * 0 or -EINVAL (also for port 0 and paths that do not fit or hold "." or ".." parts); *message then says what
 * was expected. */
int address_parse(const char *text, int type, struct address *ret, const char **message);

/* Reads a port alone, "8080": of any address of whatever family. The result is a sockaddr_in of family
 * AF_UNSPEC with its port; address_format() writes it as it was read. 0 or -EINVAL with *message, also for
 * SOCK_SEQPACKET, which has no ports. */
int address_parse_port(const char *text, int type, struct address *ret, const char **message);

/* From what getsockname(2) says of a socket; type by SO_TYPE. -EAFNOSUPPORT for other families. */
int address_from_fd(int fd, struct address *ret);

int address_family(const struct address *address);

/* The port of an IPv4 or IPv6 address, in the host's byte order; else 0. */
unsigned address_port(const struct address *address);
bool address_equal(const struct address *a, const struct address *b);

/* The path of a unix address in the file system, or NULL. */
const char *address_path(const struct address *address);

/* "127.0.0.1:80", "[::]:80", "/run/x.sock", "@name": what address_parse() reads again to the same. */
const char *address_format(const struct address *address, char buf[static ADDRESS_TEXT_BYTES]);
