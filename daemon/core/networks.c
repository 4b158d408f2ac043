/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "networks.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <utlist.h>

#include "attached.h"
#include "cleanup.h"
#include "clock.h"
#include "cni-result.h"
#include "daemon.h"
#include "log.h"
#include "run.h"
#include "str.h"
#include "wake.h"

#define RETRY_MIN_NS UINT64_C(5000000000)   /* until plugins that failed to take it back are called again, */
#define RETRY_MAX_NS UINT64_C(300000000000) /* twice as long after each time */

/* Results. */

static void on_retry(uv_timer_t *timer)
{
	struct networks *networks = timer->data;
	uint64_t now = clock_now_ns(), next = UINT64_MAX;
	struct attached *at, *following;

	for (at = networks->list; at; at = following) {
		following = at->next;
		if (at->stage != STAGE_LEFT)
			continue;
		if (at->retry_ns <= now)
			attached_queue_detach(at);
		else if (at->retry_ns < next)
			next = at->retry_ns;
	}
	if (next != UINT64_MAX)
		uv_timer_start(timer, on_retry, (next - now) / 1000000 + 1, 0);
	attached_begin_next(networks);
}

static void detached(struct attached *attached)
{
	struct networks *networks = attached->networks;
	const struct attachment *attachment = &attached->attachment;
	uint64_t wait_ns = RETRY_MAX_NS;

	if (attached->result == 0) {
		attached_free(attached);
		return;
	}
	if (attached->failures < 6)
		wait_ns = RETRY_MIN_NS << attached->failures;
	attached->failures++;
	attached->stage = STAGE_LEFT;
	attached->retry_ns = clock_now_ns() + wait_ns;
	log_warning("site %s: network %s cannot be taken back: %s (state: %s): trying again in %llu s",
		    attachment->site, attachment->network_name, attachment->message, attachment->folder,
		    (unsigned long long)(wait_ns / 1000000000));
	if (!networks->closing)
		uv_timer_start(&networks->retry, on_retry, 0, 0); /* sets itself */
}

static void take_done(struct networks *networks)
{
	struct attached *at, *next;

	pthread_mutex_lock(&networks->mutex);
	at = networks->first_done;
	networks->first_done = NULL;
	pthread_mutex_unlock(&networks->mutex);
	for (; at; at = next) {
		next = at->next_done;
		if (at->has_thread)
			pthread_join(at->thread, NULL);
		at->stage = STAGE_AT_REST;
		if (at->detach)
			detached(at);
		else if (at->run)
			wake_attached(at->run->site);
		else
			attached_queue_detach(at);
	}
}

static void on_done(uv_async_t *async)
{
	struct networks *networks = async->data;
	struct daemon *daemon = networks->daemon;

	take_done(networks);
	attached_begin_next(networks);
	if (daemon->stopping && !networks_busy(networks))
		daemon_site_settled(daemon);
}

/* Runs. */

int networks_attach(struct run *run)
{
	struct networks *networks = run->site->daemon->networks;
	const struct site_spec *spec = run->plan->spec;
	struct attached *attached = attached_new(networks);
	int r;

	if (!attached)
		return -ENOMEM;
	r = attachment_init(&attached->attachment, &networks->places, run->site->name, spec->network);
	if (r < 0) {
		attached_free(attached);
		return r;
	}
	attached->timeout_us = spec->timeout_stop_us;
	attached->run = run;
	run->network = attached;
	attached_begin_next(networks);
	return 0;
}

bool networks_cancel(struct run *run)
{
	struct attached *attached = run->network;

	if (!attached || attached->stage == STAGE_AT_REST)
		return false;
	if (attached->stage == STAGE_WORKING) {
		(void)eventfd_write(attached->cancel_fd, 1);
		return true;
	}
	attached->result = -ECANCELED;
	attached_push_done(attached);
	attached->stage = STAGE_WORKING;
	return true;
}

void networks_detach(struct run *run)
{
	struct attached *attached = run->network;

	if (!attached)
		return;
	run->network = NULL;
	attached->run = NULL;
	if (attached->stage == STAGE_WORKING) { /* taken back when its thread is done */
		(void)eventfd_write(attached->cancel_fd, 1);
		return;
	}
	attached_queue_detach(attached);
	attached_begin_next(attached->networks);
}

bool networks_waits(const struct run *run)
{
	return run->network && run->network->stage == STAGE_WAITING;
}

const char *networks_folder(const struct run *run)
{
	return run->network ? run->network->attachment.folder : NULL;
}

int networks_error(const struct run *run, const char **message)
{
	*message = run->network->attachment.message;
	return run->network->result;
}

bool networks_busy(const struct networks *networks)
{
	for (const struct attached *at = networks->list; at; at = at->next)
		if (at->stage == STAGE_WAITING || at->stage == STAGE_WORKING)
			return true;
	return false;
}

json_t *networks_report(const struct site *site)
{
	const char *network = site->plan->spec->network;
	const struct attached *attached = site->run ? site->run->network : NULL;
	json_t *object = NULL;

	/* A container has what it was started with. */
	if (site->run)
		network = site->run->plan->spec->network;
	if (attached && attached->stage == STAGE_AT_REST && attached->result == 0)
		object = cni_result_report(attached->attachment.result);
	if (!object)
		object = json_object();
	if (object && json_object_set_new(object, "name", json_string(network ? network : "none")) < 0) {
		json_decref(object);
		return NULL;
	}
	return object;
}

json_t *networks_report_left(const struct site *site)
{
	json_t *array = json_array();

	for (const struct attached *at = site->daemon->networks->list; array && at; at = at->next)
		if (at->failures > 0 && str_equal(at->attachment.site, site->name))
			json_array_append_new(array,
					      json_sprintf("%s: %s", at->attachment.network_name,
							   at->stage == STAGE_LEFT ? at->attachment.message
										   : "being tried again"));
	return array;
}

/* What an earlier torpord has left. */

static void load_one(struct networks *networks, const char *id)
{
	struct attached *attached = attached_new(networks);
	int r = attached ? attachment_load(&attached->attachment, &networks->places, id) : -ENOMEM;

	if (r == 0) {
		attached->detach = true;
		log_notice("site %s: taking network %s back, which an earlier torpord has left",
			   attached->attachment.site, attached->attachment.network_name);
		return;
	}
	/* Nothing was begun: there is only the folder to be removed. */
	if (r == -ENODATA)
		r = attachment_remove(&attached->attachment, &networks->places, attached->cancel_fd, 0);
	if (r < 0)
		log_warning("network of an earlier torpord in %s/%s is left as it is: %s", networks->places.run,
			    id,
			    attached && *attached->attachment.message ? attached->attachment.message
								      : strerror(-r));
	if (attached)
		attached_free(attached);
}

static void load_left(struct networks *networks)
{
	DIR *dir = opendir(networks->places.run);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (*entry->d_name != '.')
			load_one(networks, entry->d_name);
	if (dir)
		closedir(dir);
	attached_begin_next(networks);
}

/* Plugins want the absolute path, and nobody else has anything to look for in there. */
static int make_folder(const char *run_dir, char **ret)
{
	autofree char *path = NULL, *real = NULL;

	if (asprintf(&path, "%s/network", run_dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	real = realpath(path, NULL);
	if (!real)
		return -errno;
	*ret = steal_ptr(real);
	return 0;
}

int networks_create(struct daemon *daemon, struct networks **ret)
{
	struct networks *networks = calloc(1, sizeof *networks);
	char *folder = NULL;
	int r = networks ? make_folder(daemon->options.lookup.dirs[1], &folder) : -ENOMEM;

	if (r == 0)
		r = uv_async_init(&daemon->loop, &networks->done, on_done);
	if (r < 0) {
		log_error("folder %s/network: %s", daemon->options.lookup.dirs[1], strerror(-r));
		free(folder);
		free(networks);
		return r;
	}
	networks->daemon = daemon;
	uv_timer_init(&daemon->loop, &networks->retry);
	networks->done.data = networks->retry.data = networks;
	networks->open_handles = 2;
	pthread_mutex_init(&networks->mutex, NULL);
	networks->places = (struct attachment_places){.run = folder,
						      .configs = daemon->config.network_config_path,
						      .plugins = daemon->config.network_plugin_path,
						      .cgroup_fd = daemon->delegation.fd};
	load_left(networks);
	*ret = networks;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct networks *networks = handle->data;

	if (--networks->open_handles == 0)
		free(networks);
}

void networks_destroy(struct networks *networks)
{
	struct attached *at, *next;

	if (!networks)
		return;
	networks->closing = true;
	DL_FOREACH(networks->list, at)
	if (at->stage == STAGE_WORKING)
		(void)eventfd_write(at->cancel_fd, 1);
	DL_FOREACH_SAFE(networks->list, at, next)
	{
		if (at->stage == STAGE_WORKING && at->has_thread)
			pthread_join(at->thread, NULL);
		if (at->stage != STAGE_WORKING || !at->detach || at->result < 0)
			log_warning("site %s: network %s is left to the next torpord (state: %s)",
				    at->attachment.site, at->attachment.network_name, at->attachment.folder);
		attached_free(at);
	}
	pthread_mutex_destroy(&networks->mutex);
	free((char *)networks->places.run);
	uv_close((uv_handle_t *)&networks->retry, on_closed);
	uv_close((uv_handle_t *)&networks->done, on_closed);
}
