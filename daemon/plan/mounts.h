/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host.h"
#include "spec.h"

/* The file tree of a container as a flat list of operations, in the order in which the child carries them
 * out. Texts are offsets into the same block of memory, so that a list is one blob that sites share. */

enum mount_op_kind {
	MOUNT_OP_DIRECTORY,  /* mkdir target (mode) */
	MOUNT_OP_SYMLINK,    /* target -> source */
	MOUNT_OP_DEVICE,     /* mknod target (mode, device) */
	MOUNT_OP_BIND,       /* clone of the host's source at target, made there when missing */
	MOUNT_OP_FILESYSTEM, /* a new file system of type source at target, with options */
	MOUNT_OP_MOVE,      /* what is mounted at target in the shared root, to the same place in the own one */
	MOUNT_OP_PLACE,     /* target, a folder, is found for the next MOUNT_OP_MOVE; made when missing */
	MOUNT_OP_PROC,      /* a /proc of the process's pid namespace; options are the value of hidepid */
	MOUNT_OP_MASK,      /* target is empty: MOUNT_COVER_FILE over it, or MOUNT_COVER_FOLDER */
	MOUNT_OP_READ_ONLY, /* what is mounted at target so far, read-only, and nothing below it */
	MOUNT_OP_WRITABLE,  /* the same, writable again */
	MOUNT_OP_SEAL,      /* everything mounted so far: read-only, nosuid, nodev */
	MOUNT_OP_HOLD,      /* a clone of what is at target is kept, */
	MOUNT_OP_RELEASE,   /* and put there again: the n-th that was held by the n-th of these */
	MOUNT_OP_COVER_READ_ONLY, /* target and everything mounted below it, read-only */
	MOUNT_OP_HIDE,            /* nothing to be got at target */
};

enum mount_op_flags {
	MOUNT_OP_OPTIONAL = 1 << 0,  /* passed over where source (target of a mask) does not exist */
	MOUNT_OP_RECURSIVE = 1 << 1, /* with everything mounted below source */
	MOUNT_OP_RDONLY = 1 << 2,
	MOUNT_OP_NOEXEC = 1 << 3,
	MOUNT_OP_DEVICES = 1 << 4, /* device nodes work on it */
	MOUNT_OP_BLOCK = 1 << 5,   /* MOUNT_OP_DEVICE: a block device */
	MOUNT_OP_FOLDER = 1 << 6,  /* MOUNT_OP_MASK: target is a folder */
};

struct mount_op {
	uint8_t kind, flags;
	uint16_t mode;
	uint32_t device;                  /* makedev(3), for MOUNT_OP_DEVICE */
	uint32_t source, target, options; /* offsets from the start of the list; 0: none */
};

struct mount_list {
	uint32_t n_ops;
	uint32_t n_ahead; /* of them, from the first: not in /proc, so need nothing of the container's processes
			   */
	struct mount_op ops[];
	/* texts follow */
};

static inline const char *mount_text(const struct mount_list *list, uint32_t offset)
{
	return offset ? (const char *)list + offset : NULL;
}

/* The operations of a container come in three lists, carried out one after the other. Each is one malloc block
 * to *ret, its size to *ret_bytes. -ENOMEM, -E2BIG.
 *
 * shared: what all containers of the host have alike (/usr, parts of /etc, device nodes; read-only), mounted
 * once by a launcher thread in a namespace of its own, of which each container gets a copy. Those with a root
 * of their own share the device nodes alone.
 *
 * system: the container's own root, into which the shared parts are moved, /tmp, /dev/shm, /dev/pts: made ahead
 * of a start. Then, in the child, /proc, which belongs to its pid namespace. With a root of its own this is
 * where the container's file systems are made, out of the reach of whoever can write to that root: the unit's
 * list begins by moving them into it, and ends with /proc.
 *
 * unit: what the unit binds, and the folders in which its program, which is of this user and group, makes its
 * unix sockets. The sources of binds are opened by the launcher, on the host. What lies in /proc comes last, in
 * the child. */
int mounts_compile_shared(const struct host *host, bool own_root, struct mount_list **ret, size_t *ret_bytes);
int mounts_compile_system(const struct site_spec *spec, const struct host *host, struct mount_list **ret,
			  size_t *ret_bytes);
int mounts_compile_unit(const struct site_spec *spec, const struct host *host, uid_t uid, gid_t gid,
			struct mount_list **ret, size_t *ret_bytes);

/* What the container has that is empty. */
#define MOUNT_COVER_FILE   "/dev/null"
#define MOUNT_COVER_FOLDER "/dev/mqueue"

const char *mount_op_name(enum mount_op_kind kind);

/* A source without a '/' is looked for in the folder of the run's CNI network: this file is there where the
 * network has name servers. */
#define MOUNT_NETWORK_RESOLV_CONF "resolv.conf"

/* Where the notify socket of torpord stands inside a container. */
#define CONTAINER_NOTIFY_SOCKET "/run/torpor/notify"
