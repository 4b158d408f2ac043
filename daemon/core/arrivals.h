/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

struct daemon;

/* Notices that the host gets an address, while a refused site waits for one: DHCP comes late, and an address of
 * IPv6 is not to be had before its duplicates have been looked for. The kernel tells it (rtnetlink(7)), on a
 * socket that is there only while somebody waits. */
struct arrivals;

/* A site was refused for want of its address. From now on the kernel is listened to; the address may have come
 * just before that, so that refused units are tried once more soon. Where it cannot be listened to, the log
 * says so, and torporctl reload is left. */
void arrivals_await(struct daemon *daemon);

/* Refused units have been tried again: where none waits for an address any more, the kernel is left alone. */
void arrivals_release(struct daemon *daemon);

/* NULL is fine. */
void arrivals_destroy(struct arrivals *arrivals);
