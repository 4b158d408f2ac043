/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "interceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"
#include "responder.h"

#define FINISH_WAIT_MS 2000

struct interceptor {
	int channel_fd; /* children write to it */
	int report_fd;
	int pidfd; /* of the process; negative: it has been waited for */
};

static void set_free(struct interceptor *interceptor)
{
	fd_close(interceptor->channel_fd);
	fd_close(interceptor->report_fd);
	fd_close(interceptor->pidfd);
	free(interceptor);
}

/* Signals are torpord's alone. */
static pid_t fork_without_signals(void)
{
	sigset_t all, old;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid != 0)
		sigprocmask(SIG_SETMASK, &old, NULL);
	return pid;
}

static int start(struct interceptor *interceptor, int channel_fd, int report_fd, int daemon_fd)
{
	pid_t pid = fork_without_signals();

	if (pid == 0)
		responder_run(channel_fd, report_fd, daemon_fd);
	if (pid < 0)
		return -errno;
	interceptor->pidfd = pidfd_open(pid, 0);
	return interceptor->pidfd < 0 ? -errno : 0;
}

/* What it says when it has set itself up. */
static int await(const struct interceptor *interceptor)
{
	int r = -EPIPE;

	while (read(interceptor->report_fd, &r, sizeof r) < 0)
		if (errno != EINTR)
			return -errno;
	if (r == 0 && fcntl(interceptor->report_fd, F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	return r;
}

int interceptor_create(struct interceptor **ret)
{
	struct interceptor *interceptor = calloc(1, sizeof *interceptor);
	int channel[2], report[2], r;
	autoclose int theirs = -EBADF, reports = -EBADF, self_fd = pidfd_open(getpid(), 0);

	if (!interceptor)
		return -ENOMEM;
	*interceptor = (struct interceptor){-EBADF, -EBADF, -EBADF};
	r = self_fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0 ? -errno : 0;
	if (r == 0) {
		theirs = channel[0];
		interceptor->channel_fd = channel[1];
		r = pipe2(report, O_CLOEXEC) < 0 ? -errno : 0;
	}
	if (r == 0) {
		interceptor->report_fd = report[0];
		reports = report[1];
		r = start(interceptor, theirs, reports, self_fd);
	}
	fd_close(steal_fd(&reports)); /* so that its end is seen */
	if (r == 0)
		r = await(interceptor);
	if (r < 0) {
		interceptor_destroy(interceptor);
		return r;
	}
	*ret = interceptor;
	return 0;
}

void interceptor_destroy(struct interceptor *interceptor)
{
	struct pollfd ended;
	siginfo_t info;

	if (!interceptor)
		return;
	fd_close(steal_fd(&interceptor->channel_fd));
	ended = (struct pollfd){.fd = interceptor->pidfd, .events = POLLIN};
	if (interceptor->pidfd >= 0)
		(void)pidfd_send_signal(interceptor->pidfd, SIGKILL, NULL, 0);
	if (interceptor->pidfd >= 0 && poll(&ended, 1, FINISH_WAIT_MS) == 0)
		log_warning(
			"a container's call to bind(2) still waits for what its memory is backed by: process "
			"left behind");
	else if (interceptor->pidfd >= 0)
		(void)waitid(P_PIDFD, (id_t)interceptor->pidfd, &info, WEXITED);
	set_free(interceptor);
}

int interceptor_channel_fd(const struct interceptor *interceptor)
{
	return interceptor->channel_fd;
}

int interceptor_report_fd(const struct interceptor *interceptor)
{
	return interceptor->report_fd;
}

int interceptor_next_report(struct interceptor *interceptor, struct intercept_report *ret)
{
	ssize_t n = read(interceptor->report_fd, ret, sizeof *ret);

	return n == (ssize_t)sizeof *ret ? 1 : n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -EPIPE;
}
