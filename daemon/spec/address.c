/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "str.h"

#define EXPECTED "expected a port, IPV4:PORT, [IPV6]:PORT, /PATH or @NAME"

_Static_assert(sizeof(struct sockaddr_un) <= sizeof((struct address *)0)->sockaddr,
	       "address holds sockaddr_un");

static int refuse(const char **message, const char *text)
{
	*message = text;
	return -EINVAL;
}

static void set_sockaddr(struct address *address, const void *sockaddr, size_t length)
{
	memset(address->sockaddr, 0, sizeof address->sockaddr);
	memcpy(address->sockaddr, sockaddr, length);
	address->length = (uint8_t)length;
}

static int parse_port(const char *text, in_port_t *ret, const char **message)
{
	uint64_t port;

	if (str_to_u64(text, &port) < 0 || port < 1 || port > 65535)
		return refuse(message, "expected a port from 1 to 65535");
	*ret = htons((uint16_t)port);
	return 0;
}

/* Collapses "//"; refuses parts "." and ".." and a slash at the end: a socket's path is compared by bytes. */
static int parse_path(const char *text, struct address *ret, const char **message)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	size_t used = 0;

	for (const char *at = text; *at;) {
		size_t length;

		at += strspn(at, "/");
		length = strcspn(at, "/");
		if (length == 0)
			return refuse(message, "expected the path of a socket, without '/' at its end");
		if ((length == 1 && at[0] == '.') || (length == 2 && at[0] == '.' && at[1] == '.'))
			return refuse(message, "expected a path without \".\" and \"..\" parts");
		/* One byte stays for the NUL, so that every program can read the path. */
		if (used + 1 + length >= sizeof un.sun_path)
			return refuse(message, "expected a socket path of at most 107 bytes");
		un.sun_path[used++] = '/';
		memcpy(un.sun_path + used, at, length);
		used += length;
		at += length;
	}
	set_sockaddr(ret, &un, offsetof(struct sockaddr_un, sun_path) + used + 1);
	return 0;
}

static int parse_abstract(const char *name, struct address *ret, const char **message)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	size_t length = strlen(name);

	if (length == 0 || length >= sizeof un.sun_path - 1)
		return refuse(message, "expected a name of 1 to 106 bytes after '@'");
	memcpy(un.sun_path + 1, name, length);
	set_sockaddr(ret, &un, offsetof(struct sockaddr_un, sun_path) + 1 + length);
	return 0;
}

static int parse_scope(const char *text, uint32_t *ret, const char **message)
{
	uint64_t index;

	if (str_to_u64(text, &index) == 0 && index > 0 && index <= INT32_MAX) {
		*ret = (uint32_t)index;
		return 0;
	}
	*ret = if_nametoindex(text);
	return *ret ? 0 : refuse(message, "expected the name or number of a network interface after '%'");
}

static int parse_inet6(const char *text, struct address *ret, const char **message)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	const char *end = strchr(text, ']');
	char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 1], *scope;
	int error;

	if (!end || end[1] != ':' || (size_t)(end - text) > sizeof host)
		return refuse(message, "expected [IPV6]:PORT");
	memcpy(host, text + 1, (size_t)(end - text - 1));
	host[end - text - 1] = '\0';
	scope = strchr(host, '%');
	if (scope) {
		*scope++ = '\0';
		error = parse_scope(scope, &in6.sin6_scope_id, message);
		if (error < 0)
			return error;
	}
	if (inet_pton(AF_INET6, host, &in6.sin6_addr) != 1)
		return refuse(message, "expected an IPv6 address between '[' and ']'");
	error = parse_port(end + 2, &in6.sin6_port, message);
	if (error < 0)
		return error;
	set_sockaddr(ret, &in6, sizeof in6);
	return 0;
}

static int parse_inet4(const char *text, const char *colon, struct address *ret, const char **message)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	char host[INET_ADDRSTRLEN];
	size_t length = (size_t)(colon - text);
	int error;

	if (length >= sizeof host)
		return refuse(message, EXPECTED);
	memcpy(host, text, length);
	host[length] = '\0';
	if (inet_pton(AF_INET, host, &in.sin_addr) != 1)
		return refuse(message, EXPECTED "; names are not looked up");
	error = parse_port(colon + 1, &in.sin_port, message);
	if (error < 0)
		return error;
	set_sockaddr(ret, &in, sizeof in);
	return 0;
}

/* All addresses of the host: the IPv6 wildcard takes IPv4 as well, unless the kernel has no IPv6. */
static int parse_any(const char *text, struct address *ret, const char **message)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	struct sockaddr_in in = {.sin_family = AF_INET};
	int error = parse_port(text, &in.sin_port, message);

	if (error < 0)
		return error;
	in6.sin6_port = in.sin_port;
	if (access("/proc/net/if_inet6", F_OK) == 0)
		set_sockaddr(ret, &in6, sizeof in6);
	else
		set_sockaddr(ret, &in, sizeof in);
	return 0;
}

int address_parse(const char *text, int type, struct address *ret, const char **message)
{
	struct address address = {.type = (uint8_t)type};
	const char *colon = strrchr(text, ':');
	int error;

	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			return refuse(message, "expected an address without control bytes");
	if (text[0] == '/')
		error = parse_path(text, &address, message);
	else if (text[0] == '@')
		error = parse_abstract(text + 1, &address, message);
	else if (type == SOCK_SEQPACKET)
		error = refuse(message, "expected /PATH or @NAME: only unix sockets have this type");
	else if (text[0] == '[')
		error = parse_inet6(text, &address, message);
	else if (colon)
		error = parse_inet4(text, colon, &address, message);
	else if (text[0] && text[strspn(text, "0123456789")] == '\0')
		error = parse_any(text, &address, message);
	else
		error = refuse(message, EXPECTED);
	if (error == 0)
		*ret = address;
	return error;
}

int address_parse_port(const char *text, int type, struct address *ret, const char **message)
{
	struct sockaddr_in any = {.sin_family = AF_UNSPEC};
	int error;

	if (type == SOCK_SEQPACKET)
		return refuse(message, "sequential packets have no ports; expected BindAddress=");
	error = parse_port(text, &any.sin_port, message);
	if (error < 0)
		return error;
	ret->type = (uint8_t)type;
	set_sockaddr(ret, &any, sizeof any);
	return 0;
}

int address_from_fd(int fd, struct address *ret)
{
	struct sockaddr_storage storage = {0};
	struct address address = {0};
	socklen_t length = sizeof storage, size = sizeof(int);
	const char *path = ((struct sockaddr_un *)&storage)->sun_path;
	int type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
	    getsockname(fd, (struct sockaddr *)&storage, &length) < 0)
		return -errno;
	address.type = (uint8_t)type;
	switch (storage.ss_family) {
	case AF_INET:
		length = sizeof(struct sockaddr_in);
		break;
	case AF_INET6:
		((struct sockaddr_in6 *)&storage)->sin6_flowinfo = 0;
		length = sizeof(struct sockaddr_in6);
		break;
	case AF_UNIX:
		/* The kernel counts the NUL of a path or not, as it was bound. */
		if (length > offsetof(struct sockaddr_un, sun_path) && path[0])
			length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
					     strnlen(path, sizeof(struct sockaddr_un) -
								   offsetof(struct sockaddr_un, sun_path) - 1) +
					     1);
		break;
	default:
		return -EAFNOSUPPORT;
	}
	set_sockaddr(&address, &storage, length);
	*ret = address;
	return 0;
}

int address_family(const struct address *address)
{
	return ((const struct sockaddr *)(const void *)address->sockaddr)->sa_family;
}

unsigned address_port(const struct address *address)
{
	switch (address_family(address)) {
	case AF_INET:
		return ntohs(((const struct sockaddr_in *)(const void *)address->sockaddr)->sin_port);
	case AF_INET6:
		return ntohs(((const struct sockaddr_in6 *)(const void *)address->sockaddr)->sin6_port);
	default:
		return 0;
	}
}

bool address_equal(const struct address *a, const struct address *b)
{
	return a->type == b->type && a->length == b->length && memcmp(a->sockaddr, b->sockaddr, a->length) == 0;
}

const char *address_path(const struct address *address)
{
	const struct sockaddr_un *un = (const void *)address->sockaddr;

	if (un->sun_family != AF_UNIX || address->length <= offsetof(struct sockaddr_un, sun_path) ||
	    un->sun_path[0] == '\0')
		return NULL;
	return un->sun_path;
}

static void format_inet6(const struct sockaddr_in6 *in6, char *buf)
{
	char host[INET6_ADDRSTRLEN] = "", scope[IF_NAMESIZE + 1] = "";

	inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
	if (in6->sin6_scope_id) {
		scope[0] = '%';
		if (!if_indextoname(in6->sin6_scope_id, scope + 1))
			snprintf(scope + 1, sizeof scope - 1, "%u", in6->sin6_scope_id);
	}
	snprintf(buf, ADDRESS_TEXT_BYTES, "[%s%s]:%u", host, scope, ntohs(in6->sin6_port));
}

const char *address_format(const struct address *address, char buf[static ADDRESS_TEXT_BYTES])
{
	const struct sockaddr_in *in = (const void *)address->sockaddr;
	const struct sockaddr_un *un = (const void *)address->sockaddr;
	size_t head = offsetof(struct sockaddr_un, sun_path);
	char host[INET_ADDRSTRLEN] = "";

	switch (address_family(address)) {
	case AF_INET:
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
		snprintf(buf, ADDRESS_TEXT_BYTES, "%s:%u", host, ntohs(in->sin_port));
		break;
	case AF_INET6:
		format_inet6((const void *)address->sockaddr, buf);
		break;
	case AF_UNSPEC:
		snprintf(buf, ADDRESS_TEXT_BYTES, "%u", ntohs(in->sin_port));
		break;
	case AF_UNIX:
		if (address->length <= head)
			buf[0] = '\0';
		else if (un->sun_path[0])
			snprintf(buf, ADDRESS_TEXT_BYTES, "%s", un->sun_path);
		else
			snprintf(buf, ADDRESS_TEXT_BYTES, "@%.*s", (int)(address->length - head - 1),
				 un->sun_path + 1);
		break;
	default:
		snprintf(buf, ADDRESS_TEXT_BYTES, "unknown");
	}
	return buf;
}
