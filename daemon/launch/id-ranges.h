/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "id-record.h"
#include "lookup.h"

/* Which user and group ids of the host are whose: a range of 65,536 for each site that has a user namespace,
 * and a single one for each that has DynamicUser= without. Given out once, at a site's first start, recorded in
 * the file "ids" of the state folder before anything runs with them, and kept for as long as the site's unit
 * exists or files may be left that belong to them. May be used by several threads. */

struct id_ranges;

/* Reads the record, which need not be there yet, in a folder that is made when it is first written. The ids
 * that are given out are first to last: of its blocks of 65,536 the first is for single ones. Both strings, and
 * the lookup, by which is known what sites there are, are the caller's and stay. 0 and *ret, or -errno:
 * -EBADMSG where a line of the record cannot be read, of which *line (untouched otherwise) is the number. */
int id_ranges_open(const char *state_dir, const struct lookup *lookup, uint32_t first, uint32_t last,
		   struct id_ranges **ret, unsigned *line);
void id_ranges_close(struct id_ranges *ranges);

/* Of the record. */
const char *id_ranges_path(const struct id_ranges *ranges);

/* The first id of the site's range, or its single one: its own from an earlier start, or one that nobody has.
 * It stays the site's at least until id_ranges_release(). -ENOSPC: all are taken; or another -errno of writing
 * the record. */
int id_ranges_acquire(struct id_ranges *ranges, enum id_kind kind, const char *site, uint32_t *ret);

/* The site's process, which does not run yet, may leave files with these ids below path: they are nobody else's
 * while it exists. -errno of writing the record. */
int id_ranges_add_place(struct id_ranges *ranges, enum id_kind kind, const char *site, const char *path);

/* The site is gone, and no process of it is left. */
void id_ranges_release(struct id_ranges *ranges, const char *site);
