/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <pthread.h>
#include <sys/stat.h>

#include "sandbox.h"

/* Images of file systems that sites have as their roots. One file is mounted once, in a namespace that holds
 * nothing else, and every start gets a clone of that mount: one superblock, one page cache and at most one loop
 * device, however many sites there are. */
struct image {
	struct image *next;
	struct stat file; /* as it was when it was mounted: another one at the same path is another image */
	unsigned number;  /* the name of its mount point */
	char path[];      /* which it was asked for by last */
};

struct image_cache {
	pthread_mutex_t mutex;    /* guards what follows */
	struct shared_root place; /* where they are mounted */
	struct image *images;     /* owned */
	unsigned next_number;
};

void image_cache_init(struct image_cache *cache);
void image_cache_finish(struct image_cache *cache);

/* A mount of the image at path, read-only and attached nowhere: a descriptor. The calling thread must not share
 * its fs_struct, is in the host's namespaces, and comes back there. -EMEDIUMTYPE for a file that is neither
 * squashfs nor erofs, -errno. */
int image_open(struct image_cache *cache, const struct sandbox_host *host, const char *path);

/* Gives up the image that was asked for by this path; containers that have it as their root keep it. */
void image_forget(struct image_cache *cache, const struct sandbox_host *host, const char *path);
