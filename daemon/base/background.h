/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Work of a thread that can wait: whoever else has something to do goes first. Not by SCHED_IDLE: a processor
 * with nothing else counts as a free one, so the kernel sends there who wakes, and a system call of the work
 * that is under way (a network namespace takes half a millisecond) gives it to nobody, though another processor
 * has nothing to do. */

/* For the calling thread; not with a lock held that others wait for. Returns its nice value, for
 * background_end(). */
int background_begin(void);

void background_end(int nice);
