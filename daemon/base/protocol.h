/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stddef.h>

/* The wire format of Varlink (varlink.org): JSON objects, each ended by one NUL byte, over a unix stream
 * socket. Used by both ends: torpord's control socket and torporctl. */

#define PROTOCOL_INTERFACE     "io.torpor"
#define PROTOCOL_REQUEST_BYTES (256 * 1024)       /* the largest request that is read */
#define PROTOCOL_REPLY_BYTES   (16 * 1024 * 1024) /* the largest reply that torporctl reads */

/* Bytes of a stream that have not become messages yet. Zero-initialised is empty. */
struct protocol_buffer {
	char *data; /* owned */
	size_t used, size;
	size_t scanned; /* no NUL before this offset */
};

void protocol_buffer_finish(struct protocol_buffer *buffer);

/* Appends received bytes. -ENOMEM, or -EMSGSIZE when more than max_bytes would wait for their NUL. */
int protocol_buffer_append(struct protocol_buffer *buffer, const void *data, size_t size, size_t max_bytes);

/* Takes the next whole message: 1 and *ret (a JSON object; the caller's reference), 0 when there is none
 * yet, -EBADMSG when what stands there is not a JSON object (an empty message included). */
int protocol_buffer_next(struct protocol_buffer *buffer, json_t **ret);

/* A message as it goes on the wire, its NUL included: to be freed by the caller; NULL when out of memory. */
char *protocol_encode(const json_t *message, size_t *ret_size);

/* A blocking call by a client. flags may hold PROTOCOL_MORE (the reply may be several). parameters may be
 * NULL; the reference is taken. */
#define PROTOCOL_MORE 1
int protocol_send_call(int fd, const char *method, json_t *parameters, int flags);

/* Reads the next message from a blocking socket: 0 and *ret, -ECONNRESET when the peer closed, -EBADMSG,
 * -EMSGSIZE, or what read(2) said. */
int protocol_receive(int fd, struct protocol_buffer *buffer, json_t **ret);
