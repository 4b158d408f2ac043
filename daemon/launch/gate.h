/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* AcceptWhenReady=: what accept(2) for a listener of a container says while the run's gate is shut. Where the
 * socket is non-blocking, that there is nobody (EAGAIN). Where it is not, the call waits for the gate, in
 * turns: a program that has asked poll(2) first expects it to return at once, and may have to see to other
 * things before it can be ready. At the end of each turn the call has been interrupted (EINTR). No thread waits
 * with them: a call is kept by its id. */

struct gate;
struct seccomp_notif;

/* notify_fd is the container's, daemon_fd a pidfd of the daemon; both stay the caller's and outlive the gate.
 * gate_number is the run's eventfd and inbox_number the socket on which programs say READY=1, both in the
 * daemon's table. 0 and *ret, or -errno. */
int gate_create(int notify_fd, int daemon_fd, int gate_number, int inbox_number, struct gate **ret);

/* Who waits then waits for ever: it is for when there is no such task any more. NULL is fine. */
void gate_destroy(struct gate *gate);

/* Readable when gate_look() has something to do, a question on notify_fd included; the gate's. */
int gate_fd(const struct gate *gate);

/* Answers those who have waited long enough. Returns what epoll_wait(2) says of notify_fd, 0: nothing. */
uint32_t gate_look(struct gate *gate);

bool gate_is_open(const struct gate *gate);

/* Answers an accept(2) of a listener, of which socket_fd is a copy, now or later. *pidfd, the caller's process,
 * is taken over and -EBADF then, or not. */
void gate_answer(struct gate *gate, const struct seccomp_notif *request, int socket_fd, int *pidfd);
