/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <nettle/sha2.h>
#include <stdint.h>

/* A blob on its way to the program that unpacks it, which is not to be trusted with what it reads: the digest
 * is of the very bytes that the program gets, whoever writes to the blob meanwhile. */
struct blob_feed {
	int from_fd; /* borrowed: the blob */
	int to_fd;   /* owned: a socket, or -EBADF: nobody reads it any more */
	struct sha256_ctx hash;
	uint64_t bytes, bytes_max;
	size_t at, filled; /* of buf: what is to be sent next, and its end */
	uint8_t buf[64 * 1024];
};

/* bytes: the blob's, of which the program gets no more. */
void blob_feed_init(struct blob_feed *feed, int from_fd, int to_fd, uint64_t bytes);

/* Sends some of it when to_fd can be written to; at the end closes it, and where nobody reads. Does not block
 * but for the blob. -errno: of reading the blob. */
int blob_feed_send(struct blob_feed *feed);

/* Reads some of what nobody wanted: 1 when there may be more, 0 at the end, -errno. */
int blob_feed_pass(struct blob_feed *feed);

/* Once all has been read: whether the whole is what the digits say. -EBADMSG, or another -errno. */
int blob_feed_check(struct blob_feed *feed, const char *digits);

void blob_feed_finish(struct blob_feed *feed);
