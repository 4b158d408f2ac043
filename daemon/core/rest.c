/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"

/* Calls in which a thread waits, and after which the reason to wake up can still be seen from outside. read and
 * recv in their forms take it away: whoever relies on them looks at the age of the connection's data as well.
 */
static const int waits[] = {
#ifdef SYS_epoll_wait /* not on arm64 */
	SYS_epoll_wait,      SYS_poll,          SYS_select,          SYS_pause,
#endif
	SYS_epoll_pwait,     SYS_epoll_pwait2,  SYS_ppoll,           SYS_pselect6,  SYS_accept,
	SYS_accept4,         SYS_futex,         SYS_futex_waitv,     SYS_nanosleep, SYS_clock_nanosleep,
	SYS_restart_syscall, SYS_rt_sigsuspend, SYS_rt_sigtimedwait, SYS_wait4,     SYS_waitid,
	SYS_io_getevents,    SYS_read,          SYS_readv,           SYS_recvfrom,  SYS_recvmsg,
	SYS_recvmmsg,
};

/* /proc/TID/syscall starts with the number of the call that a stopped thread is in; "-1": in none, it was
 * computing; "running": not stopped at all. */
static bool thread_at_rest(int tid)
{
	char path[64], text[256];
	ssize_t n;
	int number;

	snprintf(path, sizeof path, "/proc/%d/syscall", tid);
	n = fd_read_attribute(AT_FDCWD, path, text, sizeof text);
	if (n == -ENOENT || n == -ESRCH)
		return true;
	if (n < 0 || sscanf(text, "%d", &number) != 1)
		return false;
	for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++)
		if (waits[i] == number)
			return true;
	return false;
}

bool container_at_rest(const struct container *container)
{
	int fd = openat(container->cgroup_fd, "cgroup.threads", O_RDONLY | O_CLOEXEC), tid;
	autofclose FILE *threads = fd < 0 ? NULL : fdopen(fd, "r");

	if (!threads) {
		fd_close(fd);
		return false;
	}
	while (fscanf(threads, "%d", &tid) == 1)
		if (!thread_at_rest(tid))
			return false;
	return true;
}
