/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prefetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "daemon.h"
#include "fd.h"
#include "footprint.h"
#include "log.h"
#include "run.h"

struct prefetch {
	uv_work_t work;
	struct footprint *footprint; /* owned */
	int cgroup_fd;               /* owned */
};

static void fetch(uv_work_t *work)
{
	struct prefetch *prefetch = work->data;

	footprint_fetch(prefetch->footprint, prefetch->cgroup_fd);
}

static void after(uv_work_t *work, int status)
{
	struct prefetch *prefetch = work->data;

	(void)status;
	footprint_free(prefetch->footprint);
	fd_close(prefetch->cgroup_fd);
	free(prefetch);
}

void prefetch_begin(struct run *run)
{
	struct prefetch *prefetch;

	if (!run->footprint)
		return;
	prefetch = calloc(1, sizeof *prefetch);
	if (!prefetch)
		return;
	prefetch->work.data = prefetch;
	prefetch->footprint = run->footprint;
	run->footprint = NULL;
	prefetch->cgroup_fd = fcntl(run->container.cgroup_fd, F_DUPFD_CLOEXEC, 3);
	log_debug("site %s: fetches %llu KiB that it has used before", run->site->name,
		  footprint_bytes(prefetch->footprint) / 1024);
	if (prefetch->cgroup_fd < 0 ||
	    uv_queue_work(&run->site->daemon->loop, &prefetch->work, fetch, after) < 0)
		after(&prefetch->work, 0);
}
