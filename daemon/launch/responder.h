/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Answers what containers ask, in a process that has been forked for it, with all signals blocked: what it may
 * wait for has no end (a file of a dead server, by which a container's memory or an epoll of its is backed),
 * and then keeps only itself from ending. Reads messages of children (interceptor.h) from channel_fd; daemon_fd
 * is a pidfd of torpord. Writes to report_fd first an int, 0 or -errno, then every struct intercept_report.
 * Ends the process when nobody can write to the channel any more. */
_Noreturn void responder_run(int channel_fd, int report_fd, int daemon_fd);
