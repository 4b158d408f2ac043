/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "enforcement.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "device-program.h"
#include "enforce.h"
#include "fd.h"
#include "log.h"

/* One change on its way. References are taken and given up on the loop's thread alone. */
struct enforcement_job {
	uv_work_t work;
	struct enforcement *owner; /* NULL: it is gone */
	struct blob *was, *resources, *devices;
	int cgroup_fd; /* its own */
	bool again, swap_devices;
	char error[ENFORCE_TEXT_BYTES + 64]; /* what failed */
};

static void reference(struct blob **field, struct blob *blob)
{
	if (blob)
		blob_ref(blob);
	blob_unref(*field);
	*field = blob;
}

void enforcement_init(struct enforcement *e, struct blob *resources, struct blob *devices,
		      void (*done)(void *userdata), void *userdata)
{
	*e = (struct enforcement){.done = done, .userdata = userdata};
	reference(&e->resources, resources);
	reference(&e->devices, devices);
}

static int swap_devices(const struct enforcement_job *job)
{
	int fd = -EBADF, r;

	if (job->devices) {
		fd = device_program_load(job->devices->data, job->devices->data_bytes);
		if (fd < 0)
			return fd;
	}
	r = device_program_attach(job->cgroup_fd, fd);
	fd_close(fd);
	return r;
}

/* In a thread of the pool. */
static void work(uv_work_t *request)
{
	struct enforcement_job *job = request->data;
	int r = job->swap_devices ? swap_devices(job) : 0;
	char text[ENFORCE_TEXT_BYTES];

	(void)enforce_resources(job->cgroup_fd, job->was ? job->was->data : NULL, job->resources->data,
				job->again, text);
	if (r < 0)
		snprintf(job->error, sizeof job->error, "the device program (%s)%s%s", strerror(-r),
			 *text ? ", " : "", text);
	else
		strcpy(job->error, text);
}

static void job_free(struct enforcement_job *job)
{
	blob_unref(job->was);
	blob_unref(job->resources);
	blob_unref(job->devices);
	fd_close(job->cgroup_fd);
	free(job);
}

void enforcement_set_error(struct enforcement *e, const char *text)
{
	free(e->error);
	e->error = *text ? strdup(text) : NULL;
}

static void after(uv_work_t *request, int status);

static void begin(struct enforcement *e, uv_loop_t *loop, int cgroup_fd, struct blob *resources,
		  struct blob *devices)
{
	struct enforcement_job *job = calloc(1, sizeof *job);
	int fd = fcntl(cgroup_fd, F_DUPFD_CLOEXEC, 3), r = fd < 0 ? -errno : -ENOMEM;
	char text[96];

	if (job && fd >= 0) {
		*job = (struct enforcement_job){.owner = e, .cgroup_fd = fd, .again = e->error != NULL};
		job->work.data = job;
		job->swap_devices = devices != e->devices || job->again;
		reference(&job->was, e->resources);
		reference(&job->resources, resources);
		reference(&job->devices, devices);
		r = uv_queue_work(loop, &job->work, work, after);
		if (r == 0) {
			e->job = job;
			return;
		}
		job_free(job);
		fd = -EBADF;
		job = NULL;
	}
	free(job);
	fd_close(fd);
	snprintf(text, sizeof text, "new limits (%s)", strerror(-r));
	enforcement_set_error(e, text);
}

static void after(uv_work_t *request, int status)
{
	struct enforcement_job *job = request->data;
	struct enforcement *e = job->owner;

	(void)status; /* nobody cancels it */
	if (e) {
		e->job = NULL;
		reference(&e->resources, job->resources);
		reference(&e->devices, job->devices);
		enforcement_set_error(e, job->error);
		if (e->next_resources) {
			struct blob *resources = e->next_resources, *devices = e->next_devices;

			e->next_resources = e->next_devices = NULL;
			begin(e, request->loop, job->cgroup_fd, resources, devices);
			blob_unref(resources);
			blob_unref(devices);
		}
		if (!e->job)
			e->done(e->userdata);
	}
	job_free(job);
}

void enforcement_change(struct enforcement *e, uv_loop_t *loop, int cgroup_fd, struct blob *resources,
			struct blob *devices)
{
	if (e->job) {
		reference(&e->next_resources, resources);
		reference(&e->next_devices, devices);
	} else if (resources != e->resources || devices != e->devices || e->error) {
		begin(e, loop, cgroup_fd, resources, devices);
	}
}

void enforcement_finish(struct enforcement *e)
{
	if (e->job) {
		e->job->owner = NULL;
		e->job = NULL;
		e->done(e->userdata);
	}
	reference(&e->resources, NULL);
	reference(&e->devices, NULL);
	reference(&e->next_resources, NULL);
	reference(&e->next_devices, NULL);
	free(e->error);
	*e = (struct enforcement){0};
}
