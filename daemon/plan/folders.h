/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host.h"
#include "spec.h"

#define FOLDER_BYTES 108 /* of the path of a unix socket */

/* A folder that a container needs so that its program can make a unix socket there. */
struct socket_folder {
	char path[FOLDER_BYTES];
	unsigned before; /* the unit's mount that it must come before; n_mounts: after all */
};

/* The folders of the sockets that the program binds itself instead of a listener: as it finds no other than its
 * root's there, which it cannot write to. Each once, outer ones first; none where the unit mounts something
 * else than a writable tmpfs at or above it, nor where the container has the host's files. Returns how many. */
unsigned folders_find(const struct site_spec *spec, const struct host *host,
		      struct socket_folder ret[static SPEC_LISTENERS_MAX]);
