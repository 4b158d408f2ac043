/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static int parse_unix(const char *text, struct endpoint *ret)
{
	struct sockaddr_un *address = (struct sockaddr_un *)&ret->address;
	size_t size = strlen(text);

	if (size >= sizeof address->sun_path)
		return -EINVAL;
	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, text, size + 1);
	ret->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
	if (text[0] == '@') {
		address->sun_path[0] = '\0';
		ret->length--;
	}
	return 0;
}

static int parse_port(const char *text, in_port_t *ret)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (end == text || *end || port == 0 || port > 65535)
		return -EINVAL;
	*ret = htons((in_port_t)port);
	return 0;
}

int endpoint_parse(const char *text, struct endpoint *ret)
{
	const char *colon = strrchr(text, ':');
	struct sockaddr_in *v4 = (struct sockaddr_in *)&ret->address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ret->address;
	char host[64];
	size_t size;

	memset(ret, 0, sizeof *ret);
	if (text[0] == '/' || text[0] == '@')
		return parse_unix(text, ret);
	if (!colon)
		return -EINVAL;
	size = (size_t)(colon - text);
	if (size >= sizeof host)
		return -EINVAL;
	memcpy(host, text, size);
	host[size] = '\0';
	if (host[0] == '[' && size > 2 && host[size - 1] == ']') {
		host[size - 1] = '\0';
		v6->sin6_family = AF_INET6;
		ret->length = sizeof *v6;
		return inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1
			       ? parse_port(colon + 1, &v6->sin6_port)
			       : -EINVAL;
	}
	v4->sin_family = AF_INET;
	ret->length = sizeof *v4;
	return inet_pton(AF_INET, host, &v4->sin_addr) == 1 ? parse_port(colon + 1, &v4->sin_port) : -EINVAL;
}
