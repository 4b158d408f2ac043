/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stretch.h"

#ifdef TORPOR_STRETCH

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"

/* A connection for each gap: several threads may be in one. */
void stretch_gap(const char *gap, const char *site)
{
	const char *path = getenv("TORPOR_STRETCH");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	autoclose int fd = -EBADF;
	char text[512];
	int length;

	if (!path)
		return;
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
		return;
	length = snprintf(text, sizeof text, "%s %s\n", gap, site);
	if (fd_write_all(fd, text, (size_t)length) == 0)
		(void)!read(fd, text, 1);
}

#endif
