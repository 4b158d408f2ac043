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

/* A container has been awake for TimeoutStartSec=: says so where connections wait and none has been accepted.
 * Nothing is closed, and nothing is stopped. False: the reaper has not looked yet, so nobody knows. */
bool handover_judge(struct site *site);
