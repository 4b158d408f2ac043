/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ladder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "clock.h"
#include "daemon.h"
#include "log.h"
#include "run.h"
#include "schedule.h"
#include "str.h"
#include "stretch.h"
#include "transition.h"

static uint64_t left_us(const struct site *site, uint64_t after_us)
{
	uint64_t idle_us = (clock_now_ns() - site->run->last_active_ns) / 1000;

	if (after_us == SPEC_INFINITY)
		return SPEC_INFINITY;
	return idle_us < after_us ? after_us - idle_us : 0;
}

uint64_t ladder_page_out_left_us(const struct site *site)
{
	const struct site_spec *spec = site->plan->spec;

	if (site->state != STATE_FROZEN || schedule_keep(site) != KEEP_NONE || site->run->page_error ||
	    site->run->hurried)
		return SPEC_INFINITY;
	return left_us(site, spec->page_out_after_us);
}

uint64_t ladder_stop_left_us(const struct site *site)
{
	const struct site_spec *spec = site->plan->spec;

	if (schedule_keep(site) != KEEP_NONE)
		return SPEC_INFINITY;
	return site->run->hurried ? 0 : left_us(site, spec->stop_after_us);
}

uint64_t ladder_left_us(const struct site *site)
{
	uint64_t page_out_us = ladder_page_out_left_us(site), stop_us = ladder_stop_left_us(site);

	return page_out_us < stop_us ? page_out_us : stop_us;
}

/* A timer of milliseconds may be early by one: it is the nearer rung's. */
enum site_event ladder_due(const struct site *site)
{
	return ladder_page_out_left_us(site) < ladder_stop_left_us(site) ? EVENT_PAGE_OUT : EVENT_TIMEOUT;
}

/* The host's swap is short: said once, until a site finds room again. */
static void say_no_swap(struct daemon *daemon)
{
	if (daemon->swap_full)
		return;
	daemon->swap_full = true;
	log_warning(
		"there is no swap, or too little is left of it: sites that are to be paged out are stopped, "
		"or stay frozen (SwapFullAction=)");
}

void ladder_give_up(struct site *site, const char *by)
{
	if (run_pending(site->run))
		site_dispatch(site, EVENT_CONNECTION, "connection");
	else
		site_dispatch(site, EVENT_TIMEOUT, by);
}

static void not_paged_out(struct site *site, int error)
{
	struct run *run = site->run;
	bool stop = error == -ENOSPC || error == -EDQUOT;

	run->page_error = -error;
	if (error == -ENOSPC)
		say_no_swap(site->daemon);
	else if (error == -EDQUOT)
		log_info("site %s: is not paged out: MemorySwapMax= does not let it into the swap", site->name);
	else
		log_error("site %s: cannot be paged out: %s", site->name, strerror(-error));
	stop &= site->plan->spec->swap_full_action == SWAP_FULL_STOP && schedule_keep(site) == KEEP_NONE &&
		!str_equal(run->page_by, "command");
	if (stop)
		ladder_give_up(site, "no swap left");
	else
		site_dispatch(site, EVENT_FROZEN, "stays in memory");
}

static void on_paged(uv_async_t *async)
{
	struct daemon *daemon = async->data;
	struct pager_result result;

	while (pager_next_result(daemon->pager, &result)) {
		struct site *site = daemon_site_by_id(daemon, result.id);

		if (!site || site->state != STATE_PAGING) {
			footprint_free(result.footprint);
			continue;
		}
		site->run->paging = false;
		footprint_free(site->run->footprint);
		site->run->footprint = result.footprint;
		STRETCH("paged", site->name);
		if (result.error < 0) {
			not_paged_out(site, result.error);
			continue;
		}
		daemon->swap_full = false;
		site->run->paged_before = true;
		log_debug("site %s: paged out: %llu of %llu KiB stay in memory", site->name,
			  (unsigned long long)result.pageout.after_bytes / 1024,
			  (unsigned long long)result.pageout.before_bytes / 1024);
		site_dispatch(site, EVENT_PAGED, "paged out");
	}
}

/* The pager's thread may only wake the loop. */
static void wake_paged(void *userdata)
{
	uv_async_send(&((struct daemon *)userdata)->paged);
}

int ladder_start(struct daemon *daemon)
{
	int r = uv_async_init(&daemon->loop, &daemon->paged, on_paged);

	if (r == 0) {
		daemon->paged.data = daemon;
		r = pager_create(wake_paged, daemon, &daemon->pager);
	}
	if (r < 0)
		log_error("the pager cannot be started: %s", strerror(-r));
	return r < 0 ? r : shortage_start(daemon);
}

void ladder_stop(struct daemon *daemon)
{
	shortage_stop(daemon);
	pager_destroy(daemon->pager);
	daemon->pager = NULL;
	if (daemon->paged.data)
		uv_close((uv_handle_t *)&daemon->paged, NULL);
}

void ladder_page_out(struct site *site, const char *by)
{
	struct run *run = site->run;
	int fd = fcntl(run->container.cgroup_fd, F_DUPFD_CLOEXEC, 3), r;
	/* At the first time it has in memory what it has ever used. */
	bool remember = run->paged_before && site->plan->spec->prefetch;

	STRETCH("paging", site->name);
	r = fd < 0 ? -errno : pager_submit(site->daemon->pager, site->id, fd, remember);
	run->page_by = by;
	run->page_error = 0;
	run->paging = r == 0;
	if (r < 0)
		not_paged_out(site, r);
}

void ladder_cancel(struct run *run)
{
	if (run->paging)
		pager_cancel(run->site->daemon->pager, run->site->id);
	run->paging = false;
}
