/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "cleanup.h"

#define TRIES 64 /* others may be quicker to take a device that is free */

int loop_attach(int file_fd, char device[static LOOP_PATH_BYTES])
{
	autoclose int control_fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	const struct loop_config config = {
		.fd = (uint32_t)file_fd,
		.info = {.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR},
	};

	if (control_fd < 0)
		return -errno;
	for (int i = 0; i < TRIES; i++) {
		int number = ioctl(control_fd, LOOP_CTL_GET_FREE);
		autoclose int fd = -EBADF;

		if (number < 0)
			return -errno;
		snprintf(device, LOOP_PATH_BYTES, "/dev/loop%d", number);
		fd = open(device, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		if (ioctl(fd, LOOP_CONFIGURE, &config) == 0)
			return steal_fd(&fd);
		if (errno != EBUSY)
			return -errno;
	}
	return -EBUSY;
}
