/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct daemon;
struct networks;
struct run;
struct site;

/* The attachments of containers to CNI networks. A site of one gets it before its program is launched and
 * outside of admission, so that a plugin that hangs holds up neither the loop, nor a launcher thread, nor a
 * place among the starts: each attachment has a thread of its own while plugins work for it, a few of one
 * network at a time. What a site had before is taken back before it is attached again. */

/* Takes back what an earlier torpord has left. -errno, logged. */
int networks_create(struct daemon *daemon, struct networks **ret);

/* Waits for threads; what cannot be taken back stays for the next torpord. NULL is fine. */
void networks_destroy(struct networks *networks);

/* Begins to attach a run that starts: wake_attached() is called when it is done, not in here. -errno. */
int networks_attach(struct run *run);

/* The run is to end: where its attaching is under way, it is given up, and true returned: wake_attached()
 * comes. */
bool networks_cancel(struct run *run);

/* The run has no container any more: begins to take back what it has. */
void networks_detach(struct run *run);

/* Whether the run waits for its turn. */
bool networks_waits(const struct run *run);

/* The run's folder, for the launcher; NULL: it has no CNI network. */
const char *networks_folder(const struct run *run);

/* 0: the run is attached; -errno, with *message. */
int networks_error(const struct run *run, const char **message);

/* Whether plugins work, or are to. */
bool networks_busy(const struct networks *networks);

/* The networks of a site, for status; a new reference or NULL. */
json_t *networks_report(const struct site *site);

/* What of a site could not be taken back so far: texts, for status; a new reference or NULL. */
json_t *networks_report_left(const struct site *site);
