/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "daemon.h"
#include "handover.h"
#include "log.h"
#include "run.h"
#include "state-timer.h"
#include "str.h"
#include "transition.h"

#define MESSAGE_BYTES   4096
#define EXTEND_MAX_US   600000000 /* the most that a program may ask for at a time by EXTEND_TIMEOUT_USEC= */
#define MESSAGES_A_TURN 64        /* a container that floods the socket does not hold the loop */

struct notify {
	struct daemon *daemon;
	uv_poll_t poll;
	int fd;
	bool receiving; /* what a message says is being done: it is still in the socket */
	struct sockaddr_un address;
};

/* The site in whose cgroup a process is: its path holds "/NAME.site". */
static struct site *site_of_process(struct daemon *daemon, pid_t pid)
{
	char path[64], text[8192], *rest, *part;
	struct site *site = NULL;

	snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
	if (fd_read_attribute(AT_FDCWD, path, text, sizeof text) < 0 || !(rest = strstr(text, "0::/")))
		return NULL;
	rest[strcspn(rest, "\n")] = '\0';
	while (!site && (part = strsep(&rest, "/")))
		if (str_has_suffix(part, ".site")) {
			part[strlen(part) - strlen(".site")] = '\0';
			HASH_FIND_STR(daemon->sites, part, site);
		}
	return site;
}

/* Whether a process is the first of its pid namespace: the last number of NSpid in /proc/PID/status. */
static bool is_first_process(pid_t pid)
{
	char path[64], text[4096], *line;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	if (fd_read_attribute(AT_FDCWD, path, text, sizeof text) < 0 || !(line = strstr(text, "\nNSpid:")))
		return false;
	line[1 + strcspn(line + 1, "\n")] = '\0';
	return str_has_suffix(line, "\t1");
}

/* A program may speak before the launcher has said which process it is. */
static struct site *find_sender(struct daemon *daemon, pid_t pid)
{
	enum notify_access access;
	struct site *site;
	struct run *run;

	if ((run = run_of_process(daemon, pid)))
		return run->plan->spec->notify_access != NOTIFY_NONE ? run->site : NULL;
	site = site_of_process(daemon, pid);
	if (!site || !site->run)
		return NULL;
	access = site->run->plan->spec->notify_access;
	if (access == NOTIFY_ALL ||
	    (access == NOTIFY_MAIN && site->run->job_in_flight && is_first_process(pid)))
		return site;
	return NULL;
}

/* What it has said of itself counts as long as it runs, whether it is being watched just now or not. It has
 * said so before it was frozen, however long that has waited to be read. */
static void announce(struct site *site)
{
	struct run *run = site->run;
	bool busy = run->busy || run->busy_until_ns > clock_now_ns();

	run->spoke |= busy;
	if (run->tracked)
		reaper_announce(site->daemon->reaper, site->id, run->busy, run->busy_until_ns);
	else if (busy && site_rule(site->state)->asleep)
		site_dispatch(site, EVENT_WAKE, busy_reason_text(BUSY_ANNOUNCED));
}

/* It asks for more time: to start, to stop, or before it is hibernated. */
static void extend(struct site *site, uint64_t us)
{
	struct run *run = site->run;
	uint64_t now_ns = clock_now_ns(), until_ns = now_ns + us * 1000;
	bool ends = site->state == STATE_STOPPING;

	if (ends)
		us = grace_allowed_us(&site->daemon->grace, now_ns, us);
	if ((site->state == STATE_STARTING || (ends && !run->killed && !run->drain.on)) &&
	    us > state_timer_left_us(site)) {
		run_set_timer(run, us);
		grace_extend(site);
	}
	/* It may be running already before torpord has heard that it has started. */
	if (!ends && until_ns > run->busy_until_ns) {
		run->busy_until_ns = until_ns;
		announce(site);
	}
}

/* One line of a message of sd_notify(3). */
static void notified_line(struct site *site, const char *line)
{
	struct run *run = site->run;
	uint64_t us;

	if (str_equal(line, "READY=1")) {
		run->notify_ready = true;
		if (site->state == STATE_STARTING && run->job_in_flight)
			handover_open_gate(run); /* it may accept before the launcher has answered */
		else if (site->state == STATE_STARTING)
			site_dispatch(site, EVENT_READY, "ready");
	} else if (strncmp(line, "STATUS=", 7) == 0) {
		free(run->status_text);
		run->status_text = strndup(line + 7, 256);
	} else if (strncmp(line, "TORPOR_BUSY=", 12) == 0) {
		run->busy = line[12] == '1';
		announce(site);
	} else if (strncmp(line, "EXTEND_TIMEOUT_USEC=", 20) == 0 && str_to_u64(line + 20, &us) == 0 &&
		   us <= EXTEND_MAX_US) {
		extend(site, us);
	}
}

static void notified(struct site *site, const char *message)
{
	autofree char *copy = strdup(message);
	char *rest = copy, *line;

	if (!copy)
		return;
	while (site->run && (line = strsep(&rest, "\n")))
		notified_line(site, line);
}

/* Descriptors that somebody passed along are none of our business. */
static void close_passed(struct msghdr *message)
{
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(message); cmsg; cmsg = CMSG_NXTHDR(message, cmsg)) {
		size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fds[256];

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS || n > 256)
			continue;
		memcpy(fds, CMSG_DATA(cmsg), n * sizeof(int));
		for (size_t i = 0; i < n; i++)
			fd_close(fds[i]);
	}
}

static pid_t sender_of(struct msghdr *message)
{
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(message); cmsg; cmsg = CMSG_NXTHDR(message, cmsg))
		if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_CREDENTIALS) {
			struct ucred cred;

			memcpy(&cred, CMSG_DATA(cmsg), sizeof cred);
			return cred.pid;
		}
	return 0;
}

static void receive(struct notify *notify, struct msghdr *message, size_t length)
{
	pid_t pid = sender_of(message);
	char *text = message->msg_iov->iov_base;
	struct site *site;

	if (length == 0 || message->msg_flags & (MSG_TRUNC | MSG_CTRUNC) || pid <= 0)
		return;
	text[length] = '\0';
	daemon_take_launched(notify->daemon);
	site = find_sender(notify->daemon, pid);
	if (site)
		notified(site, text);
	else
		log_debug("notify: message of process %d, which is no site's, dropped", pid);
}

static bool receive_one(struct notify *notify)
{
	char text[MESSAGE_BYTES + 1], control[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(253 * sizeof(int))];
	struct iovec iov = {.iov_base = text, .iov_len = MESSAGE_BYTES};
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	ssize_t n = recvmsg(notify->fd, &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EINTR;
	close_passed(&message);
	receive(notify, &message, (size_t)n);
	(void)recv(notify->fd, NULL, 0, MSG_DONTWAIT); /* takes it out */
	return true;
}

void notify_receive(struct notify *notify)
{
	if (notify->receiving)
		return;
	notify->receiving = true;
	for (unsigned i = 0; i < MESSAGES_A_TURN && receive_one(notify); i++)
		;
	notify->receiving = false;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	notify_receive(poll->data);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static int open_socket(struct notify *notify)
{
	int one = 1, n;

	notify->address.sun_family = AF_UNIX;
	n = snprintf(notify->address.sun_path, sizeof notify->address.sun_path, "%s/notify",
		     notify->daemon->options.lookup.dirs[1]);
	if (n < 0 || (size_t)n >= sizeof notify->address.sun_path)
		return -ENAMETOOLONG;
	notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (notify->fd < 0 || setsockopt(notify->fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one) < 0)
		return -errno;
	(void)unlink(notify->address.sun_path);
	/* Every site's user may write to it; messages of processes that are no site's are dropped. */
	if (bind(notify->fd, (const struct sockaddr *)&notify->address, sizeof notify->address) < 0 ||
	    chmod(notify->address.sun_path, 0666) < 0)
		return -errno;
	return uv_poll_init(&notify->daemon->loop, &notify->poll, notify->fd);
}

int notify_create(struct daemon *daemon, struct notify **ret)
{
	struct notify *notify = calloc(1, sizeof *notify);
	int r;

	if (!notify)
		return -ENOMEM;
	notify->daemon = daemon;
	notify->fd = -EBADF;
	r = open_socket(notify);
	if (r < 0) {
		fd_close(notify->fd);
		free(notify);
		return r;
	}
	notify->poll.data = notify;
	*ret = notify;
	return uv_poll_start(&notify->poll, UV_READABLE, on_readable);
}

void notify_destroy(struct notify *notify)
{
	if (!notify)
		return;
	(void)unlink(notify->address.sun_path);
	uv_close((uv_handle_t *)&notify->poll, on_closed);
	fd_close(notify->fd);
}

int notify_fd(const struct notify *notify)
{
	return notify->fd;
}
