/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unpacker.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

#include "cleanup.h"
#include "daemon.h"
#include "layer-unpack.h"
#include "loader.h"
#include "log.h"
#include "refused.h"
#include "str.h"

/* A site that waits for an image. */
struct waiter {
	struct waiter *next;
	char name[];
};

struct request {
	struct request *next;
	struct oci_image *image; /* one reference */
	struct waiter *waiters;  /* owned */
};

struct unpacker {
	struct daemon *daemon;
	struct layer_store store;
	char program[PATH_MAX];
	struct request *requests; /* the first is being worked on */
	bool clean;               /* to be done */
	bool closing;
	uv_timer_t soon;
	uv_work_t work;
	bool working;
	int cancel_fd;

	/* The thread's while it works. */
	struct request *current; /* NULL: it cleans up */
	int result;
	struct diag diag;
};

static void begin_next(struct unpacker *unpacker);

static void request_free(struct unpacker *unpacker, struct request *request)
{
	struct waiter *waiter, *next;

	LL_FOREACH_SAFE(request->waiters, waiter, next)
	free(waiter);
	oci_image_unref(&unpacker->daemon->planner.oci_images, request->image);
	free(request);
}

static void unpacker_free(struct unpacker *unpacker)
{
	struct request *request, *next;

	LL_FOREACH_SAFE(unpacker->requests, request, next)
	request_free(unpacker, request);
	layer_store_finish(&unpacker->store);
	fd_close(unpacker->cancel_fd);
	free(unpacker);
}

static void on_closed(uv_handle_t *handle)
{
	struct unpacker *unpacker = handle->data;

	unpacker->soon.data = NULL;
	if (!unpacker->working)
		unpacker_free(unpacker);
}

/* On a thread of libuv's pool. */
static void work(uv_work_t *work)
{
	struct unpacker *unpacker = work->data;

	unpacker->diag = (struct diag){0};
	unpacker->result = unpacker->current
				   ? layers_unpack(&unpacker->store, unpacker->current->image,
						   unpacker->program, unpacker->cancel_fd, &unpacker->diag)
				   : layer_store_clean(&unpacker->store);
}

/* The file of the unit is where it was; what is wrong with it is another thing now. */
static void refuse_waiter(struct unpacker *unpacker, const struct oci_image *image, const char *name)
{
	struct refused *refused = refused_find(unpacker->daemon->refused, name);
	struct diag diag;
	char text[460];

	if (!refused || refused->error != -EINPROGRESS)
		return;
	diag = refused->diag;
	snprintf(diag.message, sizeof diag.message, "RootOCI=%.200s: %s", image->name,
		 diag_format(&unpacker->diag, text, sizeof text - 200));
	refused_set(&unpacker->daemon->refused, "site", name, unpacker->result, &diag);
}

static void finish_request(struct unpacker *unpacker, struct request *request)
{
	struct waiter *waiter, *next;

	LL_DELETE(unpacker->requests, request);
	LL_FOREACH_SAFE(request->waiters, waiter, next)
	{
		if (unpacker->result < 0)
			refuse_waiter(unpacker, request->image, waiter->name);
		else
			loader_apply(unpacker->daemon, waiter->name);
	}
	request_free(unpacker, request);
}

static void after_work(uv_work_t *work, int status)
{
	struct unpacker *unpacker = work->data;
	struct request *request = unpacker->current;

	(void)status;
	unpacker->working = false;
	unpacker->current = NULL;
	if (unpacker->closing) {
		if (!unpacker->soon.data)
			unpacker_free(unpacker);
		return;
	}
	if (request)
		finish_request(unpacker, request);
	else if (unpacker->result < 0)
		log_warning("%s: what is left of layers cannot be removed: %s", unpacker->store.folder,
			    strerror(-unpacker->result));
	begin_next(unpacker);
}

/* Requests first: somebody waits for them. */
static void begin_next(struct unpacker *unpacker)
{
	int r;

	if (unpacker->working || (!unpacker->requests && !unpacker->clean))
		return;
	unpacker->clean = false; /* a request ends with it, too */
	unpacker->current = unpacker->requests;
	unpacker->working = true;
	if (unpacker->current)
		log_notice("image %s: unpacking", unpacker->current->image->name);
	r = uv_queue_work(&unpacker->daemon->loop, &unpacker->work, work, after_work);
	if (r < 0) {
		unpacker->working = false;
		log_error("no thread to unpack images on: %s", uv_strerror(r));
	}
}

static struct request *find_request(const struct unpacker *unpacker, const char *digest)
{
	struct request *request;

	LL_FOREACH(unpacker->requests, request)
	if (str_equal(request->image->digest, digest))
		return request;
	return NULL;
}

static int add_waiter(struct request *request, const char *name)
{
	struct waiter *waiter;

	LL_FOREACH(request->waiters, waiter)
	if (str_equal(waiter->name, name))
		return 0;
	waiter = malloc(sizeof *waiter + strlen(name) + 1);
	if (!waiter)
		return -ENOMEM;
	strcpy(waiter->name, name);
	LL_PREPEND(request->waiters, waiter);
	return 0;
}

int unpacker_claim(struct unpacker *unpacker, const struct site_spec *spec, struct diag *diag)
{
	int r = layer_store_open(&unpacker->store);

	if (r < 0)
		return diag_set(diag, r, spec->exec_origin.file, 0, "RootOCI=%s: the folder %s: %s",
				spec->root_oci, unpacker->store.folder,
				r == -EWOULDBLOCK
					? "another torpord has it: start one of them with another --state="
					: strerror(-r));
	return 0;
}

int unpacker_request(struct unpacker *unpacker, const struct site_spec *spec, struct diag *diag)
{
	const char *file = spec->exec_origin.file;
	struct request *request;
	struct oci_image *image;
	int r = unpacker_claim(unpacker, spec, diag);

	if (r < 0)
		return r;
	r = oci_cache_get(&unpacker->daemon->planner.oci_images, spec->root_oci, &image, NULL);
	if (r < 0)
		return diag_set(diag, r, file, 0, "RootOCI=%s: changed while it was read", spec->root_oci);
	request = find_request(unpacker, image->digest);
	if (!request) {
		request = calloc(1, sizeof *request);
		if (request) {
			request->image = oci_image_ref(image);
			LL_APPEND(unpacker->requests, request);
		}
	}
	oci_image_unref(&unpacker->daemon->planner.oci_images, image);
	if (!request || add_waiter(request, spec->name) < 0)
		return diag_set(diag, -ENOMEM, file, 0, "out of memory");
	begin_next(unpacker);
	return -EINPROGRESS;
}

/* Removing. */

static bool is_used(const struct unpacker *unpacker, const char *digest)
{
	const struct oci_image *image;

	LL_FOREACH(unpacker->daemon->planner.oci_images.images, image)
	for (unsigned i = 0; i < image->n_layers; i++)
		if (str_equal(image->layers[i].digest, digest))
			return true;
	return false;
}

static void sweep_one(void *context, const char *digest)
{
	struct unpacker *unpacker = context;

	if (is_used(unpacker, digest))
		return;
	if (layer_store_drop(&unpacker->store, digest) == 0)
		unpacker->clean = true;
	log_info("layer sha256:%s: no unit has it any more", digest);
}

static void on_soon(uv_timer_t *timer)
{
	struct unpacker *unpacker = timer->data;

	if (!unpacker->daemon->refused && unpacker->store.fd >= 0)
		layer_store_each(&unpacker->store, sweep_one, unpacker);
	begin_next(unpacker);
}

void unpacker_sweep_soon(struct unpacker *unpacker)
{
	uv_timer_start(&unpacker->soon, on_soon, 0, 0);
}

static void on_unused(void *context)
{
	unpacker_sweep_soon(context);
}

/* Where it was built, beside torpord; else where it is installed. */
static void find_program(struct unpacker *unpacker)
{
	char own[PATH_MAX - 64];
	ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);

	own[n < 0 ? 0 : n] = '\0';
	if (n > 0 && strrchr(own, '/')) {
		*strrchr(own, '/') = '\0';
		snprintf(unpacker->program, sizeof unpacker->program, "%s/../unpack/torpor-unpack", own);
	}
	if (access(unpacker->program, X_OK) < 0)
		snprintf(unpacker->program, sizeof unpacker->program, "%s", UNPACK_PROGRAM);
}

int unpacker_create(struct daemon *daemon, struct unpacker **ret)
{
	struct unpacker *unpacker = calloc(1, sizeof *unpacker);
	int r = unpacker ? layer_store_init(&unpacker->store, daemon->options.state) : -ENOMEM;

	if (r == 0) {
		unpacker->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r = unpacker->cancel_fd < 0 ? -errno : uv_timer_init(&daemon->loop, &unpacker->soon);
	}
	if (r < 0) {
		log_error("images cannot be unpacked: %s", strerror(-r));
		if (unpacker)
			layer_store_finish(&unpacker->store);
		free(unpacker);
		return r;
	}
	unpacker->daemon = daemon;
	unpacker->soon.data = unpacker->work.data = unpacker;
	find_program(unpacker);
	daemon->host.layers_dir = unpacker->store.folder;
	daemon->planner.oci_images.unused = on_unused;
	daemon->planner.oci_images.context = unpacker;
	/* No layers: nothing is made before the first unit wants some. */
	if (access(unpacker->store.folder, F_OK) == 0) {
		r = layer_store_open(&unpacker->store);
		unpacker->clean = r == 0;
		if (r < 0)
			log_warning("%s: %s", unpacker->store.folder,
				    r == -EWOULDBLOCK ? "another torpord has it" : strerror(-r));
		begin_next(unpacker);
	}
	*ret = unpacker;
	return 0;
}

void unpacker_destroy(struct unpacker *unpacker)
{
	if (!unpacker)
		return;
	unpacker->closing = true;
	unpacker->daemon->planner.oci_images.unused = NULL;
	(void)eventfd_write(unpacker->cancel_fd, 1);
	uv_close((uv_handle_t *)&unpacker->soon, on_closed);
}
