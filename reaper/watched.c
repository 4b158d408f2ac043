/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watched.h"

#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "clock.h"
#include "fd.h"

struct watched *watched_create(const struct reaper_site *from)
{
	struct watched *site = calloc(1, sizeof *site);

	if (!site)
		return NULL;
	site->references = 1;
	site->id = from->id;
	site->policy = from->policy;
	site->request_timeout_us = from->request_timeout_us;
	site->announced_busy = from->announced_busy;
	site->busy_until_ns = from->busy_until_ns;
	site->n_listeners = from->n_listeners;
	if (from->n_listeners > 0) {
		site->listeners = reallocarray(NULL, from->n_listeners, sizeof *site->listeners);
		site->knocks = calloc(from->n_listeners, sizeof *site->knocks);
		if (!site->listeners || !site->knocks) {
			free(site->listeners);
			free(site->knocks);
			free(site);
			return NULL;
		}
		memcpy(site->listeners, from->listeners, from->n_listeners * sizeof *site->listeners);
	}
	for (unsigned i = 0; i < from->n_listeners; i++)
		site->knocks[i] = KNOCK_NONE;
	for (unsigned i = 0; i < from->n_listeners && i < 64; i++)
		site->datagrams |= (uint64_t)(from->listeners[i].type == SOCK_DGRAM) << i;
	site->cgroup_fd = from->cgroup_fd;
	site->state.last_sample_ns = clock_now_ns();
	idle_state_touch(&site->state,
			 from->last_active_ns ? from->last_active_ns : site->state.last_sample_ns);
	return site;
}

void watched_release(struct watched *site)
{
	if (!site || --site->references > 0)
		return;
	fd_close(site->cgroup_fd);
	for (unsigned i = 0; i < site->n_listeners; i++)
		knock_finish(&site->knocks[i]);
	free(site->knocks);
	free(site->listeners);
	free(site);
}

/* Who came and went since the last look has left no connection to date. */
static uint64_t knocked_age_us(struct watched *site)
{
	uint64_t least_us = IDLE_NEVER;

	for (unsigned i = 0; i < site->n_listeners; i++) {
		const struct reaper_listener *listener = &site->listeners[i];
		uint64_t age_us = knock_age_us(&site->knocks[i], &listener->address, listener->length);

		if (age_us < least_us)
			least_us = age_us;
	}
	return least_us;
}

static void fill_sample(struct watched *site)
{
	uint64_t knocked_us = knocked_age_us(site);
	struct idle_sample sample = {
		.sockets_known = site->tally.known,
		.connections = site->tally.connections,
		.waiting = site->tally.waiting,
		.queued = site->tally.queued,
		.requests = site->tally.requests,
		.undated = site->tally.undated,
		.last_data_age_us = site->tally.last_data_age_us,
	};

	if (knocked_us < sample.last_data_age_us)
		sample.last_data_age_us = knocked_us;
	sample.cpu_known = cgroup_cpu_usage_us(site->cgroup_fd, &sample.cpu_usage_us) == 0;
	/* After all figures were taken: the error of the time is one towards use. */
	sample.now_ns = clock_now_ns();
	site->sample = sample;
}

void watched_look(struct watched *const *sites, size_t n, struct tally_table *table, struct sockdiag *diag)
{
	tally_table_clear(table);
	for (size_t i = 0; i < n; i++) {
		tally_init(&sites[i]->tally);
		sites[i]->tally.request_timeout_us = sites[i]->request_timeout_us;
		for (unsigned k = 0; k < sites[i]->n_listeners; k++)
			tally_table_add(table, &sites[i]->listeners[k], &sites[i]->tally);
	}
	tally_table_scan(table, diag);
	for (size_t i = 0; i < n; i++)
		fill_sample(sites[i]);
}
