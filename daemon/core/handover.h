/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "site.h"

/* What the loop knows of programs that take their listeners. */

/* Starts the interceptor, and watches for what it reports. -errno. */
int handover_start(struct daemon *daemon);

/* Stops watching, then ends it. */
void handover_close(struct daemon *daemon);
void handover_destroy(struct daemon *daemon);

/* AcceptWhenReady=: makes the run's gate, shut, before its start. -errno. */
int handover_make_gate(struct run *run);

/* From now on its program may accept connections, or not. Without a gate, nothing. */
void handover_open_gate(struct run *run);
void handover_shut_gate(struct run *run);

/* Looks at an awake site: where somebody has waited for TimeoutStartSec= at a listener, and nobody has been let
 * in, that is its failure, until it is seen to. Nothing is closed, and nothing is stopped. */
void handover_look(struct site *site);

/* In how many microseconds to look next. */
uint64_t handover_look_us(const struct site *site);
