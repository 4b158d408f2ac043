/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Which process holds a socket. The kernel does not tell before a unix connection is accepted (and then only
 * who has accepted it), so that the descriptors of all processes are looked at: dear, and therefore rationed.
 */

#define OWNERS_LOOK_MAX                                                                                        \
	20000 /* descriptors that one search looks at, some 20 ms; what is not found is not known */
#define OWNERS_SHARE      20 /* a search that took so long is followed by as many times as long without one */
#define OWNERS_REMEMBERED 32 /* answers */

#define OWNERS_PROCESS_MAX 4000 /* of one process: there may be some with very many */

struct owner {
	uint32_t inode;
	bool has_uid; /* who has made the socket: that user's processes are looked at first */
	uid_t uid;
	pid_t pid;
};

/* Zero-initialised is empty. */
struct owners {
	struct owner found[OWNERS_REMEMBERED]; /* a ring */
	unsigned next;
	uint64_t not_before_ns; /* CLOCK_MONOTONIC: no search until then */
};

/* Fills the pids of n owners in; 0 where it is not known. */
void owners_find(struct owners *owners, struct owner *wanted, unsigned n);
