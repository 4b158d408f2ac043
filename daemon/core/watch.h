/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

struct daemon;

/* Notices changes of unit files by itself: inotify on the folders of units and of drop-ins. A file counts when
 * it has been closed after writing or renamed into place, so a half-written one is not read. */
struct watch;

/* -errno; the daemon can live without it, on reload alone. */
int watch_create(struct daemon *daemon, struct watch **ret);
void watch_destroy(struct watch *watch);
