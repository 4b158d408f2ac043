/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "spec.h"

#define BINDING_SOCKADDR_BYTES 128 /* the kernel takes no longer one */

/* Which listener a program means that binds a socket of this type (SO_TYPE) to an address, of n with binds[i]
 * being the listener_bind() of each: its index, or
 * -ENOENT where it means none and the bind is its own affair. The address is what the program handed to
 * bind(2), but for the path of a unix socket, which is absolute: nothing in it is believed, and no byte past
 * length is read.
 *
 * A listener is meant by its BindAddress=, else by its own address: with the same port, and that address, or
 * where either of them is a wildcard of whatever family, or both are loopback addresses. BindPort= is that port
 * of any address. What fits best wins, the first of equals: the very address, then a wildcard of the same
 * family, then the same family. An IPv4 address within IPv6 is the IPv4 one. */
int binding_find(const struct address *binds, unsigned n, int type, const void *sockaddr, size_t length);

/* Whether both are the very same to binding_find(), so that one bind would mean two listeners. */
bool binding_same(const struct address *a, const struct address *b);

/* An absolute, normalised path as the default root of a container knows it, where /var/run and /var/tmp are
 * links to /run and /tmp. Points into path. */
const char *binding_real_path(const char *path);
