/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "enforce.h"
#include "identity.h"
#include "plan.h"
#include "step.h"

/* Threads that start containers, so that the loop never waits for a mount, a log or an execve. They have one
 * descriptor table of their own with a handful of entries (a child's copy of ten thousand listeners would cost
 * more than the rest of the start) and a stock of sandboxes made ahead of need (they cost as much as the rest
 * of the start), and clone with CLONE_VM | CLONE_VFORK. A start that is held for ever holds one thread, in
 * whose place comes another. */

/* One start. The submitter owns it, keeps plan and listeners alive, and does not touch it until it comes back
 * from launcher_next_done(). */
struct launch_job {
	struct launch_job *next; /* the launcher's */

	uint64_t id, site;        /* of the run and its site, for the interceptor */
	struct launch_plan *plan; /* one reference is the job's: the submitter gives it up afterwards */
	const int *listener_fds;  /* [plan->spec->n_listeners], of the process */
	int gate_fd, inbox_fd;    /* of the process, for the interceptor (interceptor.h) */
	bool long_turns;          /* the program is to have them: see turn.h */
	const char *network; /* the run's folder of its CNI network: its namespace "netns", and the files that
				the unit's mounts name without a '/'; NULL: none */

	struct identity identity; /* the launcher's */

	/* The result: a process that has executed its program, or an error. */
	pid_t pid; /* a child of the process, not waited for */
	int error; /* errno; 0: started */
	enum launch_step step;
	char detail[256];                      /* what the step was about; may be empty */
	char not_enforced[ENFORCE_TEXT_BYTES]; /* limits that the kernel did not take; may be empty */
	uint64_t begun_ns, cloned_ns, done_ns; /* CLOCK_MONOTONIC: taken up, just before clone3, after execve */
};

struct launcher;

/* Starts n_threads. cgroup_path is torpor's own cgroup directory, below which sites get theirs, channel_fd
 * the interceptor's, which outlives the launcher, as ranges do. 0 and *ret, or -errno. */
int launcher_create(unsigned n_threads, const char *cgroup_path, int channel_fd, struct id_ranges *ranges,
		    struct launcher **ret);

/* Readable when a job is done; the launcher's. launcher_next_done() empties it. */
int launcher_event_fd(const struct launcher *launcher);

/* Waits for jobs under way and ends the threads. Jobs that were not begun come back with ECANCELED. */
void launcher_stop(struct launcher *launcher);
void launcher_destroy(struct launcher *launcher);

/* Gives up what is kept of an image at this path, soon. */
void launcher_forget_image(struct launcher *launcher, const char *path);

/* Queues a job, first come first served. */
void launcher_submit(struct launcher *launcher, struct launch_job *job);

/* The next job that is done, or NULL. */
struct launch_job *launcher_next_done(struct launcher *launcher);

/* Enters the failure of a start into its job. Returns error, a -errno. */
int launch_job_fail(struct launch_job *job, enum launch_step step, int error, const char *detail);

/* "failed at step exec: /usr/bin/foo: No such file or directory (/etc/torpor/sites/foo.site:4)" */
const char *launch_job_error(const struct launch_job *job, char *buf, size_t size);
