/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cause.h"

#include <stdio.h>
#include <sys/socket.h>

#include "listener.h"

const char *cause_format(const struct cause *cause, char *buf, size_t size)
{
	char text[ADDRESS_TEXT_BYTES];
	struct peer peer = cause->peer;

	*buf = '\0';
	if (cause->text)
		snprintf(buf, size, "%s", cause->text);
	else if (cause->listener)
		snprintf(buf, size, "%s", address_format(cause->listener->address, text));
	if (peer.family != AF_UNSPEC) {
		if (!*peer.command)
			peer_read_command(&peer);
		peer_format(&peer, buf, size);
	}
	return buf;
}
