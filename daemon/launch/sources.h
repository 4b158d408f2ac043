/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "start.h"

/* Opens, on the host, the mounts that the operations of the unit's list put in place, and makes room for those
 * that it holds: start->mount_fds and what of start->mounts points there. -errno, and the job says why. */
int sources_open(struct start *start, struct launch_job *job);
