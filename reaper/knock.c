/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "knock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "cleanup.h"
#include "clock.h"
#include "fd.h"
#include "verdict.h"

/* Only ever a socket: whoever may write to the folder could put anything into its place. */
static int open_socket_file(const struct sockaddr_storage *address, socklen_t length)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1] = ""; /* the longest has no NUL of its own */
	size_t before = offsetof(struct sockaddr_un, sun_path);
	autoclose int fd = -EBADF;
	struct stat st;

	if (address->ss_family != AF_UNIX || length <= before || length - before >= sizeof path)
		return -EAFNOSUPPORT;
	memcpy(path, (const char *)address + before, length - before);
	if (*path != '/')
		return -EAFNOSUPPORT;
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISSOCK(st.st_mode) ? steal_fd(&fd) : -ENOTSOCK;
}

/* The next visit is later than this change, and so is written down. */
static void change(int fd)
{
	static const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};

	(void)utimensat(fd, "", times, AT_EMPTY_PATH);
}

uint64_t knock_age_us(struct knock *knock, const struct sockaddr_storage *address, socklen_t length)
{
	uint64_t seen_us = knock->seen_us, looked_ns = knock->looked_ns, now_us, now_ns, age_us;
	struct stat st;

	if (knock->fd < 0 && !knock->hopeless) {
		knock->fd = open_socket_file(address, length);
		knock->hopeless = knock->fd < 0;
	}
	if (knock->fd < 0 || fstat(knock->fd, &st) < 0)
		return IDLE_NEVER;
	now_us = clock_realtime_us();
	now_ns = clock_now_ns();
	knock->seen_us = clock_date_us(st.st_atim);
	knock->looked_ns = now_ns;
	if (knock->seen_us == seen_us)
		return IDLE_NEVER;
	change(knock->fd);
	age_us = now_us > knock->seen_us ? now_us - knock->seen_us : 0;
	if (looked_ns > 0 && age_us > (now_ns - looked_ns) / 1000)
		age_us = (now_ns - looked_ns) / 1000; /* the clock was set */
	return age_us;
}

void knock_finish(struct knock *knock)
{
	fd_close(knock->fd);
	*knock = KNOCK_NONE;
}
