/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "protocol.h"
#include "reply.h"

#define CLIENT_NEVER UINT64_MAX /* no time limit */

/* One connection to a torpord. Zero-initialised with fd = -EBADF is closed. */
struct client {
	int fd;
	uint64_t deadline_us; /* CLOCK_MONOTONIC, or CLIENT_NEVER */
	uint64_t received_bytes;
	struct protocol_buffer buffer;

	/* While client_wait() waits it also watches this descriptor (-EBADF: none) and asks interrupted() what
	 * to do when it can be read: true gives up with -EINTR. */
	int interrupt_fd;
	bool (*interrupted)(void *data);
	void *data;
};

#define CLIENT_CLOSED                                                                                          \
	{                                                                                                      \
		.fd = -EBADF, .deadline_us = CLIENT_NEVER, .interrupt_fd = -EBADF                              \
	}

/* Connects to the socket "control" in run_dir. timeout_us limits this and each call until
 * client_set_timeout(). What connect(2) said; -ETIMEDOUT. */
int client_connect(struct client *client, const char *run_dir, uint64_t timeout_us);
void client_finish(struct client *client);

/* A new time limit for what follows, from now. */
void client_set_timeout(struct client *client, uint64_t timeout_us);

/* Milliseconds until the deadline for poll(2): -1 when there is none, 0 when it is over. */
int client_time_left(const struct client *client);

/* Sends a call of method, a bare name ("List"). Takes the reference of parameters (NULL: none). flags may hold
 * PROTOCOL_MORE. */
int client_send(struct client *client, const char *method, json_t *parameters, int flags);

/* The next reply if it has come: 1 and *ret, to be given to reply_finish(); 0 when it has not; -ECONNRESET when
 * the daemon hung up, -EBADMSG or -EMSGSIZE when what it says is no reply. Does not wait. */
int client_poll(struct client *client, struct reply *ret);

/* The same, waiting: 0 and *ret; -ETIMEDOUT at the deadline, -EINTR when interrupted() said so. */
int client_wait(struct client *client, struct reply *ret);
