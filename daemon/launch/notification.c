/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "notification.h"

#include <linux/seccomp.h>
#include <sys/ioctl.h>

bool notification_valid(int notify_fd, uint64_t id)
{
	return ioctl(notify_fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

void notification_answer(int notify_fd, uint64_t id, int error)
{
	struct seccomp_notif_resp response = {.id = id, .error = error};

	(void)ioctl(notify_fd, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

void notification_continue(int notify_fd, uint64_t id)
{
	struct seccomp_notif_resp response = {.id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

	(void)ioctl(notify_fd, SECCOMP_IOCTL_NOTIF_SEND, &response);
}
