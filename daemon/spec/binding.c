/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "binding.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "str.h"

#define UN_HEAD           offsetof(struct sockaddr_un, sun_path)
#define UN_PATH_BYTES     (sizeof(struct sockaddr_un) - UN_HEAD)
#define IN6_BYTES_RFC2133 offsetof(struct sockaddr_in6, sin6_scope_id) /* the kernel takes those as well */

/* How well a bind fits a listener. */
enum fit { FIT_NOT, FIT_OTHER_FAMILY, FIT_FAMILY, FIT_WILDCARD, FIT_EXACT };

/* A socket address taken apart. */
struct endpoint {
	int family;              /* AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC: any internet address */
	bool wildcard, loopback; /* AF_UNSPEC is a wildcard */
	in_port_t port;          /* as the network has it */
	uint32_t scope;
	size_t n_bytes;
	unsigned char bytes[UN_PATH_BYTES]; /* the host address, a path, or a name that starts with NUL */
};

const char *binding_real_path(const char *path)
{
	size_t var = strlen("/var"), link = strlen("/var/run");

	if ((strncmp(path, "/var/run", link) == 0 || strncmp(path, "/var/tmp", link) == 0) &&
	    (path[link] == '/' || path[link] == '\0'))
		return path + var;
	return path;
}

static void set_bytes(struct endpoint *endpoint, const void *bytes, size_t n)
{
	memcpy(endpoint->bytes, bytes, n);
	endpoint->n_bytes = n;
}

static void read_inet(const struct in_addr *host, in_port_t port, struct endpoint *ret)
{
	ret->family = AF_INET;
	ret->port = port;
	ret->wildcard = host->s_addr == htonl(INADDR_ANY);
	ret->loopback = ntohl(host->s_addr) >> 24 == IN_LOOPBACKNET;
	set_bytes(ret, host, sizeof *host);
}

static void read_inet6(const struct sockaddr_in6 *in6, struct endpoint *ret)
{
	struct in_addr mapped;

	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		memcpy(&mapped, in6->sin6_addr.s6_addr + 12, sizeof mapped);
		read_inet(&mapped, in6->sin6_port, ret);
		return;
	}
	ret->family = AF_INET6;
	ret->port = in6->sin6_port;
	ret->scope = in6->sin6_scope_id;
	ret->wildcard = IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
	ret->loopback = IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
	set_bytes(ret, &in6->sin6_addr, sizeof in6->sin6_addr);
}

/* Without "//" and "." parts. False for a relative path, one with "..", which only the file system could
 * follow, and the path of a folder. */
static bool read_path(const char *path, size_t n, struct endpoint *ret)
{
	char normal[UN_PATH_BYTES + 1];
	size_t used = 0, at = 0, length = 0;
	const char *real;

	if (n == 0 || path[0] != '/')
		return false;
	while (at < n) {
		for (; at < n && path[at] == '/'; at++)
			;
		for (length = 0; at + length < n && path[at + length] != '/'; length++)
			;
		if (length == 2 && path[at] == '.' && path[at + 1] == '.')
			return false;
		if (length == 0 || (length == 1 && path[at] == '.' && at + length == n))
			return false;
		if (length > 1 || path[at] != '.') {
			normal[used++] = '/';
			memcpy(normal + used, path + at, length);
			used += length;
		}
		at += length;
	}
	normal[used] = '\0';
	real = binding_real_path(normal);
	set_bytes(ret, real, strlen(real));
	return true;
}

static bool read_unix(const struct sockaddr_un *un, size_t length, struct endpoint *ret)
{
	size_t n = length - UN_HEAD;

	ret->family = AF_UNIX;
	if (un->sun_path[0] != '\0')
		return read_path(un->sun_path, strnlen(un->sun_path, n), ret);
	set_bytes(ret, un->sun_path, n);
	return true;
}

/* False for what is no address that a listener can have. */
static bool read_endpoint(const void *sockaddr, size_t length, struct endpoint *ret)
{
	union {
		struct sockaddr_storage storage;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} address = {0};

	if (length < sizeof(sa_family_t) || length > BINDING_SOCKADDR_BYTES)
		return false;
	memcpy(&address, sockaddr, length);
	*ret = (struct endpoint){0};
	switch (address.storage.ss_family) {
	case AF_INET:
		if (length < sizeof address.in)
			return false;
		read_inet(&address.in.sin_addr, address.in.sin_port, ret);
		return true;
	case AF_INET6:
		if (length < IN6_BYTES_RFC2133)
			return false;
		read_inet6(&address.in6, ret);
		return true;
	case AF_UNIX:
		return length > UN_HEAD && length <= sizeof address.un && read_unix(&address.un, length, ret);
	default:
		return false;
	}
}

/* An address of the unit, which may also be a port alone: no program can name that. */
static bool read_address(const struct address *address, struct endpoint *ret)
{
	if (address_family(address) != AF_UNSPEC)
		return read_endpoint(address->sockaddr, address->length, ret);
	*ret = (struct endpoint){.family = AF_UNSPEC, .wildcard = true};
	ret->port = ((const struct sockaddr_in *)(const void *)address->sockaddr)->sin_port;
	return true;
}

static bool same_bytes(const struct endpoint *a, const struct endpoint *b)
{
	return a->family == b->family && a->n_bytes == b->n_bytes &&
	       memcmp(a->bytes, b->bytes, a->n_bytes) == 0;
}

static enum fit fit(const struct endpoint *bind, const struct endpoint *listener)
{
	bool any = listener->family == AF_UNSPEC, same = same_bytes(bind, listener),
	     family = any || bind->family == listener->family;

	if (bind->family == AF_UNIX || listener->family == AF_UNIX)
		return same ? FIT_EXACT : FIT_NOT;
	if (bind->port != listener->port || bind->port == 0)
		return FIT_NOT;
	if ((same && bind->scope == listener->scope) || (any && bind->wildcard))
		return FIT_EXACT;
	if (family && listener->wildcard)
		return FIT_WILDCARD;
	if (same || bind->wildcard || listener->wildcard || (bind->loopback && listener->loopback))
		return family ? FIT_FAMILY : FIT_OTHER_FAMILY;
	return FIT_NOT;
}

int binding_find(const struct address *binds, unsigned n, int type, const void *sockaddr, size_t length)
{
	struct endpoint bind, listener;
	enum fit best = FIT_NOT;
	int found = -ENOENT;

	if (!read_endpoint(sockaddr, length, &bind))
		return -ENOENT;
	for (unsigned i = 0; i < n && best < FIT_EXACT; i++) {
		enum fit now;

		if (binds[i].type != type || !read_address(&binds[i], &listener))
			continue;
		now = fit(&bind, &listener);
		if (now > best) {
			best = now;
			found = (int)i;
		}
	}
	return found;
}

bool binding_same(const struct address *a, const struct address *b)
{
	struct endpoint one, other;

	if (a->type != b->type || !read_address(a, &one) || !read_address(b, &other))
		return false;
	if (one.port != other.port)
		return false;
	if (one.family == AF_UNSPEC || other.family == AF_UNSPEC)
		return one.wildcard && other.wildcard;
	return same_bytes(&one, &other) && one.scope == other.scope;
}
