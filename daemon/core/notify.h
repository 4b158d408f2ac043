/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

struct daemon;

/* The socket RUN/notify, on which containers say READY=1 and the like (sd_notify(3)). One for all: the kernel
 * says who sent what. */
struct notify;

int notify_create(struct daemon *daemon, struct notify **ret);
void notify_destroy(struct notify *notify);

/* Does what the messages that have come say, a turn's worth: before it is decided on what a site may just have
 * said. */
void notify_receive(struct notify *notify);

/* The socket; a message stays in it until what it says has been done. */
int notify_fd(const struct notify *notify);
