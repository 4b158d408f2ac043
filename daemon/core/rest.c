/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "fd.h"

/* Calls in which a thread waits, and after which the reason to wake up can still be seen from outside. */
static const int waits[] = {
#ifdef SYS_epoll_wait /* not on arm64 */
	SYS_epoll_wait,
	SYS_poll,
	SYS_select,
	SYS_pause,
#endif
	SYS_epoll_pwait,
	SYS_epoll_pwait2,
	SYS_ppoll,
	SYS_pselect6,
	SYS_accept,
	SYS_accept4,
	SYS_futex,
	SYS_futex_waitv,
	SYS_nanosleep,
	SYS_clock_nanosleep,
	SYS_restart_syscall,
	SYS_rt_sigsuspend,
	SYS_rt_sigtimedwait,
	SYS_wait4,
	SYS_waitid,
	SYS_io_getevents,
	SYS_io_pgetevents,
	/* a lock that another process holds, who is looked at as well */
	SYS_fcntl,
	SYS_flock,
	SYS_semop,
	SYS_semtimedop,
	SYS_msgrcv,
	SYS_mq_timedreceive,
};

/* Calls that take the reason away. On a descriptor that does not block, nobody waits in them: the thread has
 * just been given something. (On one that blocks it may have been, too: for TCP the age of the data tells.) */
static const int reads[] = {SYS_read, SYS_readv, SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg};

static bool contains(const int *calls, size_t n, int number)
{
	for (size_t i = 0; i < n; i++)
		if (calls[i] == number)
			return true;
	return false;
}

static bool blocks(int tid, unsigned long fd)
{
	char path[64], text[512];
	unsigned flags;

	snprintf(path, sizeof path, "/proc/%d/fdinfo/%lu", tid, fd);
	return fd_read_attribute(AT_FDCWD, path, text, sizeof text) > 0 &&
	       sscanf(text, "pos: %*d\nflags: %o", &flags) == 1 && !(flags & O_NONBLOCK);
}

/* /proc/TID/syscall starts with the number of the call that a stopped thread is in and its arguments; "-1": in
 * none, it was computing; "running": not stopped at all. */
static bool thread_at_rest(int tid)
{
	char path[64], text[256];
	ssize_t n;
	unsigned long argument;
	int number;

	snprintf(path, sizeof path, "/proc/%d/syscall", tid);
	n = fd_read_attribute(AT_FDCWD, path, text, sizeof text);
	if (n == -ENOENT || n == -ESRCH)
		return true;
	if (n < 0 || sscanf(text, "%d %lx", &number, &argument) < 2)
		return false;
	if (contains(reads, sizeof reads / sizeof reads[0], number))
		return blocks(tid, argument);
	return contains(waits, sizeof waits / sizeof waits[0], number);
}

bool container_at_rest(const struct container *container)
{
	autofclose FILE *threads = cgroup_open_list(container->cgroup_fd, "cgroup.threads");
	int tid;

	if (!threads)
		return false;
	while (fscanf(threads, "%d", &tid) == 1)
		if (!thread_at_rest(tid))
			return false;
	return true;
}
