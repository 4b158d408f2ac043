/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* What a program did to its own socket before it bound it, done to the listener that takes its place. */

#define CARRY_NUMBERS 1024 /* descriptors of programs whose registrations with an epoll can be carried over */

/* Where the numbers end that carry_epolls() needs: CARRY_NUMBERS, or less where not many files may be open.
 * What is to stay open lies above. */
int carry_end(void);

/* Takes the numbers below that, all but 0 to 2, and whatever is open there. To be done first. -errno. */
int carry_reserve(void);

/* Makes a socket of each kind, to know what a new one is like: to be done before there are threads. -errno. */
int carry_learn(void);

/* Non-blocking mode, and the options that a program set: those in which its socket differs from a new one.
 * Options that are the unit's matter (the address and what goes with it) stay. Best effort. */
void carry_options(int from_fd, int listener_fd);

/* Where the program's descriptor `number` is registered with epolls of its own, registers the listener there
 * under the same number with the same events and data: to be called before the socket is replaced, which ends
 * the old registrations. tid is the thread, pidfd its process. Best effort. */
void carry_epolls(pid_t tid, int pidfd, int number, int listener_fd);

/* Has the program's epolls that tell of its descriptor `number` only when something changes (EPOLLET) tell once
 * more what there is. Best effort. */
void carry_readiness(pid_t tid, int pidfd, int number);

/* Whether descriptor `number` of a thread is closed on execve(2). -errno. */
int carry_close_on_exec(pid_t tid, int number);
