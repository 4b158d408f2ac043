/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "interceptor.h"

/* What the interceptor knows of one container. */
struct intercepted {
	uint64_t id, site;
	int notify_fd;     /* the listener of its seccomp filter */
	struct gate *gate; /* AcceptWhenReady=; owned */
	unsigned n_listeners;
	int64_t credit_ns;        /* what its exchanges may take before it has to wait */
	uint64_t bound, listened; /* bit i: has been reported of listener i */
	bool other;               /* INTERCEPT_OTHER has been reported */
	struct intercepted *next; /* of those that wait */
	struct intercept_socket sockets[SPEC_LISTENERS_MAX];
	struct address binds[]; /* [n_listeners] */
};

/* One exchange: takes a notification and answers it; daemon_fd is a pidfd of the daemon. True: *report is news.
 * That the program has died meanwhile, at whatever point, is no error. What is read from its memory decides
 * which of its own listeners it gets, and nothing else. */
bool exchange_run(struct intercepted *container, int daemon_fd, struct intercept_report *report);
