/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <uthash.h>

#include "clock.h"
#include "daemon.h"
#include "fd.h"
#include "log.h"
#include "sockdiag.h"
#include "stretch.h"
#include "waiting.h"

#define NS_PER_MS UINT64_C(1000000)
#define LOOK_APART_NS                                                                                          \
	(10 * NS_PER_MS) /* at least between two looks at whatever listeners: one takes about half of a ms */
#define LOOK_SHARE    10 /* a look that took so long is followed by as many times as long without one */
#define SAME_APART_NS (100 * NS_PER_MS) /* between two looks at the same one */
#define LOOKS_MAX     64                /* listeners in one look */
#define EVENTS_MAX    64

/* What a site's probes have come to; made when there is something to say. */
struct probed {
	UT_hash_handle hh; /* by site */
	const struct site *site;
	struct wake_limit limit;
	uint64_t put_off, hung_up;
};

/* A listener that is not watched because of who waits there. */
struct held {
	UT_hash_handle hh; /* by listener */
	struct site *site;
	struct listener *listener;
	uint64_t due_ns;    /* CLOCK_MONOTONIC of the next look */
	uint64_t looked_ns; /* 0: not yet */
	bool known;         /* who waits there may not wake the site */
	bool listening;     /* in the epoll set */
};

struct probes {
	struct daemon *daemon;
	struct probed *probed;
	struct held *held;
	struct sockdiag *diag; /* which shows those who wait */
	int epoll_fd;          /* edge-triggered: tells of those who come, not of those who wait */
	uv_poll_t poll;
	uv_timer_t timer;
	unsigned open_handles;
	uint64_t next_ns;  /* CLOCK_MONOTONIC: no look until then */
	uint64_t armed_ns; /* when the timer is due; UINT64_MAX: it is not */
	bool complained;
};

static void arm(struct probes *probes);

static struct held *find_held(const struct probes *probes, const struct listener *listener)
{
	struct held *held = NULL;

	if (probes)
		HASH_FIND_PTR(probes->held, &listener, held);
	return held;
}

static struct probed *find_probed(const struct site *site)
{
	struct probed *probed = NULL;

	if (site->daemon->probes)
		HASH_FIND_PTR(site->daemon->probes->probed, &site, probed);
	return probed;
}

static struct probed *make_probed(const struct site *site)
{
	struct probes *probes = site->daemon->probes;
	struct probed *probed = find_probed(site);

	if (probed || !(probed = calloc(1, sizeof *probed)))
		return probed;
	probed->site = site;
	HASH_ADD_PTR(probes->probed, site, probed);
	if (probed->hh.tbl)
		return probed;
	free(probed);
	return NULL;
}

static void drop(struct probes *probes, struct held *held)
{
	if (held->listening)
		(void)epoll_ctl(probes->epoll_fd, EPOLL_CTL_DEL, held->listener->fd, NULL);
	HASH_DEL(probes->held, held);
	free(held);
}

/* Watched as before; woken, if woken is set: the site may be gone then. */
static void give_back(struct probes *probes, struct held *held, bool woken)
{
	struct site *site = held->site;
	struct listener *listener = held->listener;

	drop(probes, held);
	site_watch_listener(site, listener);
	if (woken)
		site_visited(site, listener);
}

/* Waits for others to come, and for the time to be over. */
static void put_off(struct probes *probes, struct held *held, uint64_t until_ns)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = held->listener};

	if (!held->known) {
		log_debug("site %s: not woken: whoever waits has woken it too often", held->site->name);
		held->known = true;
	}
	held->due_ns = until_ns;
	/* It tells at once of those who wait already; who comes between the look and this is not missed. */
	if (!held->listening)
		held->listening = epoll_ctl(probes->epoll_fd, EPOLL_CTL_ADD, held->listener->fd, &event) == 0;
	if (!held->listening)
		held->due_ns = held->looked_ns + SAME_APART_NS;
}

/* Whether a source that waits may wake the site, which is counted then; else *until_ns is when the first one
 * may. */
static bool spend(struct held *held, const struct waiting *waiting, uint64_t now_ns, uint64_t *until_ns)
{
	const struct site_spec *spec = held->site->plan->spec;
	uint64_t interval_ns = spec->wake_limit_interval_us * 1000;
	struct probed *probed = spec->wake_limit_burst > 0 ? make_probed(held->site) : NULL;
	bool may = !probed || waiting->more;

	*until_ns = UINT64_MAX;
	for (unsigned i = 0; probed && i < waiting->n_sources; i++) {
		uint64_t at_ns = wake_limit_until(&probed->limit, &waiting->sources[i], now_ns, interval_ns,
						  spec->wake_limit_burst);

		if (at_ns > 0) {
			*until_ns = at_ns < *until_ns ? at_ns : *until_ns;
			continue;
		}
		may = true;
		wake_limit_count(&probed->limit, &waiting->sources[i], now_ns, interval_ns);
	}
	if (!may && !held->known)
		probed->put_off++;
	return may;
}

static void judge(struct probes *probes, struct held *held, const struct waiting *waiting, uint64_t now_ns)
{
	struct probed *probed;
	unsigned dismissed;
	uint64_t until_ns;

	held->looked_ns = now_ns;
	if (waiting->here > 0) {
		if (spend(held, waiting, now_ns, &until_ns))
			give_back(probes, held, true);
		else
			put_off(probes, held, until_ns);
		return;
	}
	dismissed = held->site->plan->spec->defer_accept_us > 0 ? waiting_dismiss(waiting) : 0;
	if (dismissed == 0) { /* somebody who cannot be seen */
		give_back(probes, held, true);
		return;
	}
	probed = make_probed(held->site);
	if (probed)
		probed->hung_up += dismissed;
	held->due_ns = now_ns + SAME_APART_NS; /* a flood of them is looked at so often */
}

/* Sees who waits at n listeners. The kernel goes through all connections of the host for that, on this thread:
 * however many there are, most of its time is left for others. */
static int take_look(struct probes *probes, struct waiting *waiting, size_t n, uint64_t *now_ns)
{
	uint64_t begun_ns = clock_now_ns(), pause_ns;
	int r;

	STRETCH("looking", "-");
	r = waiting_look(probes->diag, waiting, n);
	*now_ns = clock_now_ns();
	pause_ns = (*now_ns - begun_ns) * LOOK_SHARE;
	probes->next_ns = *now_ns + (pause_ns > LOOK_APART_NS ? pause_ns : LOOK_APART_NS);
	return r;
}

/* One look at all whose time has come. */
static void look(struct probes *probes)
{
	struct waiting waiting[LOOKS_MAX];
	struct held *due[LOOKS_MAX], *held, *next;
	uint64_t now_ns = clock_now_ns();
	size_t n = 0;
	int r;

	for (held = probes->held; held; held = next) {
		next = held->hh.next;
		if (held->due_ns > now_ns || n == LOOKS_MAX)
			continue;
		if (!listener_pending(held->listener)) {
			give_back(probes, held, false);
			continue;
		}
		waiting[n] = (struct waiting){.listener = held->listener};
		due[n++] = held;
	}
	if (n == 0)
		return;
	r = take_look(probes, waiting, n, &now_ns);
	if (r < 0 && !probes->complained)
		log_warning("who waits at a listener cannot be read, so whoever it is wakes the site: %s",
			    strerror(-r));
	probes->complained = r < 0;
	for (size_t i = 0; i < n; i++) {
		/* What became of one before may have released this one. */
		if (find_held(probes, waiting[i].listener) != due[i])
			continue;
		if (r < 0)
			give_back(probes, due[i], true);
		else
			judge(probes, due[i], &waiting[i], now_ns);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct probes *probes = timer->data;

	look(probes);
	arm(probes);
}

/* Has the timer be due at that time; UINT64_MAX: never. */
static void set_timer(struct probes *probes, uint64_t due_ns)
{
	uint64_t now_ns = clock_now_ns();

	if (due_ns != UINT64_MAX && due_ns < probes->next_ns)
		due_ns = probes->next_ns;
	probes->armed_ns = due_ns;
	if (due_ns == UINT64_MAX)
		uv_timer_stop(&probes->timer);
	else
		uv_timer_start(&probes->timer, on_timer,
			       due_ns > now_ns ? (due_ns - now_ns) / NS_PER_MS + 1 : 0, 0);
}

/* For the one whose time comes first: goes through all, as a look does. */
static void arm(struct probes *probes)
{
	uint64_t due_ns = UINT64_MAX;

	for (const struct held *held = probes->held; held; held = held->hh.next)
		if (held->due_ns < due_ns)
			due_ns = held->due_ns;
	set_timer(probes, due_ns);
}

/* The time of one has come nearer, maybe nearer than that of all others. */
static void arm_for(struct probes *probes, const struct held *held)
{
	if (held->due_ns < probes->armed_ns)
		set_timer(probes, held->due_ns);
}

/* Somebody has come to a listener whose queue holds only those who have to wait. */
static void on_arrival(uv_poll_t *poll, int status, int events)
{
	struct probes *probes = poll->data;
	struct epoll_event arrived[EVENTS_MAX];
	int n = epoll_wait(probes->epoll_fd, arrived, EVENTS_MAX, 0);

	(void)status;
	(void)events;
	for (int i = 0; i < n; i++) {
		struct held *held = find_held(probes, arrived[i].data.ptr);

		if (!held || held->looked_ns + SAME_APART_NS >= held->due_ns)
			continue;
		held->due_ns = held->looked_ns + SAME_APART_NS;
		arm_for(probes, held);
	}
}

static bool is_guarded(const struct site *site, const struct listener *listener)
{
	const struct site_spec *spec = site->plan->spec;

	return (spec->wake_limit_burst > 0 || spec->defer_accept_us > 0) &&
	       listener->address->type == SOCK_STREAM && address_family(listener->address) != AF_UNIX;
}

bool probes_admit(struct site *site, struct listener *listener)
{
	struct probes *probes = site->daemon->probes;
	struct held *held;

	if (!probes || !is_guarded(site, listener) || !(held = calloc(1, sizeof *held)))
		return true;
	held->site = site;
	held->listener = listener;
	held->due_ns = probes->next_ns;
	HASH_ADD_PTR(probes->held, listener, held);
	if (!held->hh.tbl) {
		free(held);
		return true;
	}
	listener_unwatch(listener);
	if (held->due_ns > clock_now_ns()) {
		arm_for(probes, held);
		return false;
	}
	look(probes);
	arm(probes);
	return false;
}

void probes_release(struct site *site, const struct listener *listener)
{
	struct probes *probes = site->daemon->probes;
	struct held *held = find_held(probes, listener);

	if (!held)
		return;
	drop(probes, held);
	if (!probes->held)
		set_timer(probes, UINT64_MAX); /* else one turn of it may be for nothing */
}

bool probes_hold(const struct site *site, const struct listener *listener)
{
	const struct held *held = find_held(site->daemon->probes, listener);

	return held && held->known;
}

void probes_forget(const struct site *site)
{
	struct probed *probed = find_probed(site);

	if (!probed)
		return;
	HASH_DEL(site->daemon->probes->probed, probed);
	wake_limit_finish(&probed->limit);
	free(probed);
}

json_t *probes_report(const struct site *site)
{
	const struct probed *probed = find_probed(site);
	const struct probes *probes = site->daemon->probes;
	uint64_t now_ns = clock_now_ns(), due_ns = UINT64_MAX;
	json_t *object;

	if (!probed || (probed->put_off == 0 && probed->hung_up == 0))
		return NULL;
	object = json_pack("{s:I, s:I}", "put_off", (json_int_t)probed->put_off, "hung_up",
			   (json_int_t)probed->hung_up);
	for (const struct held *held = probes->held; held; held = held->hh.next)
		if (held->site == site && held->known && held->due_ns < due_ns)
			due_ns = held->due_ns;
	if (object && due_ns != UINT64_MAX)
		json_object_set_new(object, "waits_us",
				    json_integer(due_ns > now_ns ? (json_int_t)(due_ns - now_ns) / 1000 : 0));
	return object;
}

static void on_closed(uv_handle_t *handle)
{
	struct probes *probes = handle->data;

	if (--probes->open_handles == 0)
		free(probes);
}

int probes_create(struct daemon *daemon, struct probes **ret)
{
	struct probes *probes = calloc(1, sizeof *probes);
	int r;

	if (!probes)
		return -ENOMEM;
	probes->daemon = daemon;
	probes->armed_ns = UINT64_MAX;
	probes->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	r = probes->epoll_fd < 0 ? -errno : sockdiag_create(&probes->diag);
	if (r == 0)
		sockdiag_show_waiting(probes->diag);
	if (r == 0)
		r = uv_poll_init(&daemon->loop, &probes->poll, probes->epoll_fd);
	if (r < 0) {
		sockdiag_destroy(probes->diag);
		fd_close(probes->epoll_fd);
		free(probes);
		return r;
	}
	uv_timer_init(&daemon->loop, &probes->timer);
	probes->poll.data = probes->timer.data = probes;
	probes->open_handles = 2;
	*ret = probes;
	return uv_poll_start(&probes->poll, UV_READABLE, on_arrival);
}

void probes_destroy(struct probes *probes)
{
	struct probed *probed, *next;

	if (!probes)
		return;
	while (probes->held)
		drop(probes, probes->held);
	HASH_ITER(hh, probes->probed, probed, next)
	{
		HASH_DEL(probes->probed, probed);
		wake_limit_finish(&probed->limit);
		free(probed);
	}
	sockdiag_destroy(probes->diag);
	uv_close((uv_handle_t *)&probes->poll, on_closed);
	uv_close((uv_handle_t *)&probes->timer, on_closed);
	fd_close(probes->epoll_fd);
}
