/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "client.h"

struct daemon;
struct enforcement;
struct journal_entry;
struct looker_answer;
struct site;

/* The control socket RUN/control: Varlink, one request at a time a connection. Root may change things; members
 * of ControlGroup= may look; nobody else gets an answer. */
struct control;

#define CONTROL_CLIENTS_MAX 128 /* one more, and the one that has been silent for the longest goes */

/* -errno. */
int control_create(struct daemon *daemon, struct control **ret);

/* Closes the socket, its file and all clients. NULL is fine. */
void control_destroy(struct control *control);

/* A site has changed its state: tells subscribers, and answers the commands that waited for it. */
void control_site_changed(struct site *site, const struct journal_entry *entry);

/* Limits have been written, or their control group is gone: answers the commands that waited for that. */
void control_enforced(struct daemon *daemon, const struct enforcement *enforcement);

/* The looker has looked at connections for a client. */
void control_looked(struct daemon *daemon, const struct looker_answer *answer);

/* A site is about to be forgotten. */
void control_site_gone(struct site *site);
