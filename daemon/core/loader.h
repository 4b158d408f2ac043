/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

struct daemon;
struct site;

/* Brings unit files into force, one site at a time. A unit with any error is refused whole: the site keeps its
 * last good one. */

struct load_counts {
	unsigned loaded, changed, removed, refused;
};

/* Reads every file again; sites whose files are gone are removed. What has not changed is not touched. */
struct load_counts loader_load_all(struct daemon *daemon);

/* One site's file, or a drop-in of it, was made, changed or removed. */
void loader_apply(struct daemon *daemon, const char *name);

/* The same of a template: all sites built on it. */
void loader_apply_template(struct daemon *daemon, const char *name);

/* Tries units again that were refused for an address that somebody had: he may have given it up. */
void loader_retry(struct daemon *daemon);

/* Applies what had to wait for a start to be over. */
void loader_apply_changed(struct daemon *daemon);

/* The paths of the files that a site's unit is made of, nearest first: a new array. */
json_t *loader_files(const struct daemon *daemon, const struct site *site);
