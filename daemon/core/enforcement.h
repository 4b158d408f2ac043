/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <uv.h>

struct blob;
struct resource_list;

/* What is in force in one control group that lives, and its way to something else. A thread of libuv's pool
 * writes: a limit of memory below what is used makes the kernel reclaim first, and the loop would wait for it.
 */
struct enforcement {
	struct blob *resources,
		*devices; /* in force: a struct resource_list and a device program; references */
	struct blob *next_resources,
		*next_devices; /* wanted when the job under way is done; references or NULL */
	struct enforcement_job *job;
	char *error;                  /* why what is wanted is not all in force; owned, NULL: it is */
	void (*done)(void *userdata); /* all is over, or will be without anybody to care */
	void *userdata;
};

/* What a new control group has been given: by the launcher, or by nobody yet. */
void enforcement_init(struct enforcement *enforcement, struct blob *resources, struct blob *devices,
		      void (*done)(void *userdata), void *userdata);

/* What of it the kernel did not take; an empty text: all was taken. */
void enforcement_set_error(struct enforcement *enforcement, const char *text);

/* Whether something has been begun that is not done. */
static inline bool enforcement_busy(const struct enforcement *enforcement)
{
	return enforcement->job != NULL;
}

/* Puts something else in force in the open group, or begins to. done() is called when it is, and not when there
 * was nothing to do. An error is remembered, and what it was about is tried again with the next change. */
void enforcement_change(struct enforcement *enforcement, uv_loop_t *loop, int cgroup_fd, struct blob *resources,
			struct blob *devices);

/* The group is gone. What is under way ends by itself. One that was never begun is fine. */
void enforcement_finish(struct enforcement *enforcement);
