/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pressure.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "fd.h"
#include "log.h"

#define SECOND_US UINT64_C(1000000)
#define SAMPLE_US UINT64_C(100000) /* a rate over less says nothing */
#define NS_PER_US UINT64_C(1000)

/* Total stalled time so far. "some" has its line first: avg10=... avg60=... avg300=... total=MICROSECONDS. */
static int read_stalled(int fd, uint64_t *ret_us)
{
	char text[256];
	ssize_t n = pread(fd, text, sizeof text - 1, 0);
	unsigned long long total;
	const char *at;

	if (n < 0)
		return -errno;
	text[n] = '\0';
	at = strstr(text, "total=");
	if (!at || sscanf(at, "total=%llu", &total) != 1)
		return -EBADMSG;
	*ret_us = total;
	return 0;
}

static void sample(struct pressure_trigger *trigger)
{
	trigger->sampled_ns = clock_now_ns();
	(void)read_stalled(trigger->fd, &trigger->stalled_us);
}

static void on_pressure(uv_poll_t *poll, int status, int events)
{
	struct pressure_trigger *trigger = poll->data;

	if (status < 0 || !(events & UV_PRIORITIZED)) { /* its cgroup is gone */
		uv_poll_stop(poll);
		return;
	}
	trigger->fired_ns = clock_now_ns();
	sample(trigger);
	trigger->pressure->notify(trigger->pressure->userdata);
}

/* The trigger is the open file: it is gone when that is closed. */
static int open_trigger(int dir_fd, const char *path, uint64_t threshold_us, uint64_t window_us)
{
	autoclose int fd = openat(dir_fd, path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	char text[64];
	int length = snprintf(text, sizeof text, "some %llu %llu",
			      (unsigned long long)(threshold_us * window_us / SECOND_US),
			      (unsigned long long)window_us);

	if (fd < 0 || write(fd, text, (size_t)length + 1) < 0)
		return -errno;
	return steal_fd(&fd);
}

static int watch(struct pressure_trigger *trigger, uv_loop_t *loop, int dir_fd, const char *path)
{
	uint64_t threshold_us = trigger->pressure->threshold_us;
	int fd, r;

	trigger->window_us = SECOND_US;
	fd = open_trigger(dir_fd, path, threshold_us, trigger->window_us);
	if (fd == -EINVAL) { /* without CAP_SYS_RESOURCE: whole multiples of two seconds (Linux 6.6) */
		trigger->window_us = 2 * SECOND_US;
		fd = open_trigger(dir_fd, path, threshold_us, trigger->window_us);
	}
	if (fd < 0)
		return fd;
	r = uv_poll_init(loop, &trigger->poll, fd);
	if (r < 0) {
		fd_close(fd);
		return r;
	}
	trigger->poll.data = trigger;
	trigger->fd = fd;
	return 0;
}

unsigned pressure_watch(struct pressure *pressure, uv_loop_t *loop, int cgroup_fd, uint64_t threshold_us,
			void (*notify)(void *userdata), void *userdata)
{
	unsigned watched = 0;

	pressure->threshold_us = threshold_us;
	pressure->notify = notify;
	pressure->userdata = userdata;
	for (enum pressure_scope scope = 0; scope < PRESSURE_SCOPES; scope++) {
		struct pressure_trigger *trigger = &pressure->triggers[scope];
		bool host = scope == PRESSURE_HOST;
		int r;

		*trigger = (struct pressure_trigger){.fd = -EBADF, .pressure = pressure};
		r = watch(trigger, loop, host ? AT_FDCWD : cgroup_fd,
			  host ? "/proc/pressure/memory" : "memory.pressure");
		watched += r == 0;
		if (r < 0)
			log_debug("memory pressure of %s is not seen: %s",
				  host ? "the host" : "torpor's cgroup", strerror(-r));
	}
	return watched;
}

static void heed(struct pressure_trigger *trigger)
{
	struct pollfd fired = {.fd = trigger->fd, .events = POLLPRI};

	(void)poll(&fired, 1, 0); /* which takes what it has to say */
	trigger->fired_ns = 0;
	(void)uv_poll_start(&trigger->poll, UV_PRIORITIZED, on_pressure);
}

void pressure_heed(struct pressure *pressure, bool heeded)
{
	for (enum pressure_scope scope = 0; scope < PRESSURE_SCOPES; scope++) {
		struct pressure_trigger *trigger = &pressure->triggers[scope];

		if (!trigger->pressure || trigger->fd < 0 ||
		    heeded == (uv_is_active((uv_handle_t *)&trigger->poll) != 0))
			continue;
		if (heeded)
			heed(trigger);
		else
			uv_poll_stop(&trigger->poll);
	}
}

void pressure_close(struct pressure *pressure)
{
	for (enum pressure_scope scope = 0; scope < PRESSURE_SCOPES; scope++) {
		struct pressure_trigger *trigger = &pressure->triggers[scope];

		if (!trigger->pressure || trigger->fd < 0)
			continue;
		uv_close((uv_handle_t *)&trigger->poll, NULL);
		fd_close(trigger->fd);
		trigger->fd = -EBADF;
	}
}

bool pressure_lasts(struct pressure *pressure, enum pressure_scope scope)
{
	struct pressure_trigger *trigger = &pressure->triggers[scope];
	uint64_t now_ns = clock_now_ns(), before_us = trigger->stalled_us, elapsed_us;

	if (trigger->fired_ns == 0)
		return false;
	if (now_ns - trigger->fired_ns > trigger->window_us * NS_PER_US) {
		trigger->fired_ns = 0;
		return false;
	}
	elapsed_us = (now_ns - trigger->sampled_ns) / NS_PER_US;
	if (elapsed_us < SAMPLE_US)
		return true;
	sample(trigger);
	if ((trigger->stalled_us - before_us) * SECOND_US < pressure->threshold_us * elapsed_us)
		trigger->fired_ns = 0;
	return trigger->fired_ns != 0;
}
