/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "container.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd.h"

void container_init(struct container *container)
{
	*container = (struct container){
		.pidfd = -EBADF, .cgroup_fd = -EBADF, .events_fd = -EBADF, .freeze_fd = -EBADF};
}

int container_open(struct container *container, pid_t pid, int parent_cgroup_fd, const char *cgroup)
{
	struct container opened;

	container_init(&opened);
	opened.pid = pid;
	opened.pidfd = pidfd_open(pid, 0);
	if (opened.pidfd >= 0)
		opened.cgroup_fd =
			openat(parent_cgroup_fd, cgroup, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (opened.cgroup_fd >= 0)
		opened.events_fd = openat(opened.cgroup_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (opened.events_fd < 0) {
		int r = -errno;

		container_finish(&opened);
		return r;
	}
	*container = opened;
	return 0;
}

void container_finish(struct container *container)
{
	fd_close(container->pidfd);
	fd_close(container->cgroup_fd);
	fd_close(container->events_fd);
	fd_close(container->freeze_fd);
	container_init(container);
}

/* Whether a signal is caught, blocked (a signalfd, sigwait) or ignored on purpose by the process: the lines
 * SigBlk, SigIgn and SigCgt of /proc/PID/status are masks in hexadecimal. Unknown counts as handled. */
static bool signal_handled(pid_t pid, int signal)
{
	static const char *const lines[] = {"\nSigBlk:\t", "\nSigIgn:\t", "\nSigCgt:\t"};
	char path[64], status[4096];

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	if (fd_read_attribute(AT_FDCWD, path, status, sizeof status) < 0)
		return true;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		const char *at = strstr(status, lines[i]);

		if (!at || strtoull(at + strlen(lines[i]), NULL, 16) & (1ULL << (signal - 1)))
			return true;
	}
	return false;
}

static bool ends_by_default(int signal)
{
	return signal != SIGCHLD && signal != SIGURG && signal != SIGWINCH && signal != SIGCONT &&
	       signal != SIGTSTP && signal != SIGTTIN && signal != SIGTTOU && signal != SIGSTOP;
}

int container_signal(const struct container *container, int signal)
{
	if (ends_by_default(signal) && !signal_handled(container->pid, signal)) {
		int r = container_kill(container);

		return r < 0 ? r : 1;
	}
	return pidfd_send_signal(container->pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

int container_kill(const struct container *container)
{
	int r = cgroup_kill(container->cgroup_fd);

	/* With the first of its pid namespace goes all that it has started (pid_namespaces(7)). */
	if (r == -EMFILE || r == -ENFILE || r == -ENOMEM)
		r = pidfd_send_signal(container->pidfd, SIGKILL, NULL, 0) < 0 ? -errno : 0;
	return r;
}

int container_freeze(struct container *container)
{
	int r;

	if (container->freeze_fd < 0)
		container->freeze_fd = cgroup_open_freeze(container->cgroup_fd);
	if (container->freeze_fd < 0)
		return container->freeze_fd;
	r = cgroup_set_frozen(container->freeze_fd, true);
	if (r < 0)
		(void)container_thaw(container);
	return r;
}

int container_thaw(struct container *container)
{
	int r = container->freeze_fd < 0 ? 0 : cgroup_set_frozen(container->freeze_fd, false);

	if (r == 0) {
		fd_close(container->freeze_fd);
		container->freeze_fd = -EBADF;
	}
	return r;
}

int container_reap(const struct container *container, int *code, int *status)
{
	siginfo_t info = {0};

	if (waitid(P_PIDFD, (id_t)container->pidfd, &info, WEXITED | WNOHANG) < 0)
		return -errno;
	if (info.si_pid == 0)
		return -EAGAIN;
	*code = info.si_code;
	*status = info.si_status;
	return 0;
}
