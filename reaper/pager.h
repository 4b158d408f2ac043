/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "footprint.h"
#include "pageout.h"

/* The thread that pages frozen sites out, one at a time, at a low priority. It is given values, as the reaper
 * is: an id and a descriptor. None of the functions below waits for it, pager_destroy() apart. */
struct pager;

struct pager_result {
	uint64_t id;
	int error; /* 0, or -errno of pageout_run() */
	struct pageout_result pageout;
	struct footprint *footprint; /* what it had in memory before; the taker's own; NULL: not asked for, or
					not known */
};

/* Starts the thread. notify(userdata) is called from it whenever a result has come, and must only wake the
 * caller's loop. 0 and *ret, or -errno. */
int pager_create(void (*notify)(void *userdata), void *userdata, struct pager **ret);

/* Stops and joins the thread. NULL is fine. */
void pager_destroy(struct pager *pager);

/* Queues a site, whose container is frozen; cgroup_fd becomes the pager's own, also on failure. remember: its
 * footprint is wanted. -ENOMEM. */
int pager_submit(struct pager *pager, uint64_t id, int cgroup_fd, bool remember);

/* Gives a site up, as soon as the piece under way is done. No result of it is handed out after this returns.
 * Unknown ids are ignored. */
void pager_cancel(struct pager *pager, uint64_t id);

/* Takes the next result: true and *ret, or false. */
bool pager_next_result(struct pager *pager, struct pager_result *ret);
