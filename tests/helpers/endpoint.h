/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/socket.h>

/* Where a test program connects to or listens on. */
struct endpoint {
	struct sockaddr_storage address;
	socklen_t length;
};

/* Reads "127.0.0.1:80", "[::1]:80", "/path/of/a.socket" or "@abstract". 0 or -EINVAL. */
int endpoint_parse(const char *text, struct endpoint *ret);
