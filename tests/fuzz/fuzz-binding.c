/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Fuzzes what a program may hand to bind(2): a type of socket, then an address of any bytes and length. What is
 * found is a listener of that type; an internet address has its port. */

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "binding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define N_LISTENERS 9

static const struct {
	int type;
	const char *address, *bind;
} declared[N_LISTENERS] = {
	{SOCK_STREAM, "0.0.0.0:80", NULL},
	{SOCK_STREAM, "[::]:80", NULL},
	{SOCK_STREAM, "127.0.0.1:80", NULL},
	{SOCK_STREAM, "/run/a.sock", NULL},
	{SOCK_STREAM, "@abstract", NULL},
	{SOCK_DGRAM, "[::1]:80", NULL},
	{SOCK_DGRAM, "/run/d", "8080"},
	{SOCK_SEQPACKET, "/run/s", NULL},
	{SOCK_STREAM, "[fe80::1%1]:80", "[fe80::1%1]:443"},
};

static struct address binds[N_LISTENERS];

static void declare(void)
{
	const char *message;

	for (unsigned i = 0; i < N_LISTENERS; i++) {
		const char *bind = declared[i].bind;
		int type = declared[i].type;

		if (!bind)
			bind = declared[i].address;
		if ((bind[0] >= '0' && bind[0] <= '9' && !strchr(bind, ':')
			     ? address_parse_port(bind, type, &binds[i], &message)
			     : address_parse(bind, type, &binds[i], &message)) < 0)
			abort();
	}
}

/* The port stands at one place in all internet addresses. */
static in_port_t port_of(const void *sockaddr)
{
	in_port_t port;

	memcpy(&port, (const char *)sockaddr + offsetof(struct sockaddr_in, sin_port), sizeof port);
	return port;
}

static void check(int found, int type, const uint8_t *sockaddr, size_t length)
{
	const struct address *address;
	sa_family_t family;

	if (found == -ENOENT)
		return;
	if (found < 0 || found >= N_LISTENERS || length < sizeof family)
		abort();
	memcpy(&family, sockaddr, sizeof family);
	address = &binds[found];
	if (address->type != type || (family == AF_UNIX) != (address_family(address) == AF_UNIX))
		abort();
	if (family == AF_UNIX) {
		if (length <= offsetof(struct sockaddr_un, sun_path) || length > sizeof(struct sockaddr_un))
			abort();
		return;
	}
	if ((family != AF_INET && family != AF_INET6) || port_of(sockaddr) != port_of(address->sockaddr) ||
	    port_of(sockaddr) == 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int found;

	if (binds[0].length == 0)
		declare();
	if (size == 0)
		return 0;
	found = binding_find(binds, N_LISTENERS, data[0], data + 1, size - 1);
	check(found, data[0], data + 1, size - 1);
	/* It says the same again. */
	if (binding_find(binds, N_LISTENERS, data[0], data + 1, size - 1) != found)
		abort();
	return 0;
}
