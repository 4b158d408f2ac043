/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The loop that the test servers share: one thread, epoll, no allocation, no stdio, so that a server's first
 * answer costs little more than its exec. */

#define SERVE_FIRST_FD        3 /* SD_LISTEN_FDS_START */
#define SERVE_LISTENERS_MAX   64
#define SERVE_CONNECTIONS_MAX 8192 /* highest descriptor of a connection */
#define SERVE_REQUEST_BYTES   1000 /* head of one request */
#define SERVE_BODY_BYTES      (512 * 1024)

enum serve_kind {
	SERVE_HTTP,     /* accepted connections speak HTTP/1.1 */
	SERVE_ECHO,     /* what comes on an accepted connection goes back; it stays open */
	SERVE_DATAGRAM, /* each datagram is answered with itself; nothing is accepted */
};

struct serve_request {
	int listener;      /* the descriptor it came in by */
	const char *path;  /* before the "?" */
	const char *query; /* behind it; "" when there is none */
	uint64_t number;   /* requests since the start, this one included */
};

struct serve_reply {
	int status;        /* 200 unless changed */
	unsigned delay_ms; /* answered that much later, by a second call of the handler; others go on meanwhile
			    */
	char *body;        /* SERVE_BODY_BYTES to be filled */
	size_t length;
};

typedef void serve_handler(const struct serve_request *request, struct serve_reply *reply);

struct serve {
	int first_fd; /* listeners are first_fd ... first_fd + n_listeners - 1 */
	int n_listeners;
	enum serve_kind kinds[SERVE_LISTENERS_MAX];
	serve_handler *handler;
	bool ignore_term; /* SIGTERM is caught and does nothing */
};

/* Finds the listeners: LISTEN_FDS and LISTEN_PID of the environment; with stdin_listener descriptor 0; with a
 * listen_address a socket of its own. 0 or -errno, -ESRCH when LISTEN_PID is somebody else. */
int serve_find_listeners(struct serve *serve, bool stdin_listener, const char *listen_address);

/* Serves until SIGTERM, then accepts no more, finishes what it has accepted and returns 0. A connection that
 * has sent no request yet is waited for; one that was kept alive is closed. -errno when it cannot begin. */
int serve_run(struct serve *serve);
