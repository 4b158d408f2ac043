/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

struct daemon;
struct site;

/* Brings unit files into force, one site at a time. A unit with any error is refused whole: the site keeps its
 * last good one. All of it is for callbacks of the loop, not for what a change of state calls. */

struct load_counts {
	unsigned loaded, changed, removed, refused;
};

/* Reads every file again; sites whose files are gone are removed. What has not changed is not touched. */
struct load_counts loader_load_all(struct daemon *daemon);

/* One site's file, or a drop-in of it, was made, changed or removed. */
void loader_apply(struct daemon *daemon, const char *name);

/* The same of a template: all sites built on it. */
void loader_apply_template(struct daemon *daemon, const char *name);

/* When the loop comes round: applies what had to wait for a start to be over, and tries units again that were
 * refused for an address that somebody had, who may have given it up, or that the host did not have. Never at
 * once: a site whose state is just being changed, or that somebody's loop comes to next, would be replaced or
 * be gone. */
void loader_retry_soon(struct daemon *daemon);

/* The paths of the files that a site's unit is made of, nearest first: a new array. */
json_t *loader_files(const struct daemon *daemon, const struct site *site);
