/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "spec.h"

/* A process that answers what containers ask before a bind(2) or listen(2) (seccomp_unotify(2)): where the
 * address is one that the unit declares, the program gets the listener in the place of its own socket and 0 as
 * the result. With AcceptWhenReady= they ask before an accept(2) too, which waits, or tells that there is
 * nobody, while the run's gate is shut (gate.h). Every other call goes on as if torpor were not there. The loop
 * has no part in it, and the process shares no memory with it: a child hands what is needed over itself, by
 * message. */

/* A listener as the daemon has it. No copy is kept: a port that torpor gives up is closed at once. The cookie
 * (SO_COOKIE), which no other socket ever has, tells whether the number still means it. */
struct intercept_socket {
	uint64_t cookie;
	int32_t number; /* its descriptor in the daemon's table */
	uint32_t reserved;
};

/* The first part of a child's message. Then follow n_listeners struct intercept_socket, and as many struct
 * address: what is to be bound for each (listener_bind()). With it comes the listener of its seccomp filter. */
struct intercept_hello {
	uint64_t id;   /* the job's */
	uint64_t site; /* the job's site's */
	uint32_t n_listeners;
	/* In the daemon's table. */
	int32_t gate;  /* an eventfd that is readable while it is open; negative: none */
	int32_t inbox; /* the socket on which programs say READY=1 */
	uint32_t reserved;
};

/* What a program does for the first time in a run. */
enum intercept_event {
	INTERCEPT_BOUND,    /* it has bound a listener */
	INTERCEPT_LISTENED, /* it has called listen(2) for one that it had otherwise */
	INTERCEPT_OTHER,    /* it listens at another address, while there is a listener that it has not taken */
};

struct intercept_report {
	uint64_t id;
	enum intercept_event event;
	uint32_t listener;    /* which; not for INTERCEPT_OTHER */
	struct address other; /* INTERCEPT_OTHER: where */
};

struct interceptor;

/* To be called before there is any other thread. 0 and *ret, or -errno. */
int interceptor_create(struct interceptor **ret);

/* Ends the process; calls that wait for an answer fail with ENOSYS. One that cannot be ended, as it waits for
 * what a container's memory is backed by, is left behind after 2 s. NULL is fine. */
void interceptor_destroy(struct interceptor *interceptor);

/* Where children send their message: a SOCK_SEQPACKET socket of the process, the interceptor's. */
int interceptor_channel_fd(const struct interceptor *interceptor);

/* Where reports are read: readable when there are some. The interceptor's. */
int interceptor_report_fd(const struct interceptor *interceptor);

/* The next report: 1, or 0 when there is none; -EPIPE: the process has died. */
int interceptor_next_report(struct interceptor *interceptor, struct intercept_report *ret);
