/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <uv.h>

#include "admission.h"
#include "config.h"
#include "delegation.h"
#include "grace.h"
#include "host.h"
#include "inherited.h"
#include "journal.h"
#include "listener.h"
#include "looker.h"
#include "lookup.h"
#include "opening.h"
#include "pager.h"
#include "plan.h"
#include "reaper.h"
#include "refused.h"
#include "security.h"
#include "shortage.h"
#include "site.h"

/* What the command line says. */
struct options {
	struct lookup lookup; /* --etc, --run, --lib */
	const char *state;    /* --state */
	const char *cgroup;   /* --cgroup; NULL: torpord's own */
	bool keep_listeners;  /* --keep-listeners */
};

/* Descriptors kept free of listeners, for containers, connections and files; less where the limit is small. */
#define RESERVED_FILES 1000

/* The daemon: one loop on one thread, which alone writes what is in here. */
struct daemon {
	uv_loop_t loop;
	struct options options;
	struct config config;
	struct host host;
	struct planner planner;
	struct security_cache security;
	struct spec_cache *cache;
	struct site *sites;      /* hash by name */
	struct refused *refused; /* files that are not in force, hash by site */
	struct group *groups;    /* slices, hash by name */
	struct refused *refused_slices;
	struct run *runs;        /* list: sites that are not cold */
	unsigned n_runs, n_held; /* of them, and of the connections that they hold */
	struct run *processes;   /* hash by the pid of the container: those that have one */
	uint64_t next_id;
	struct admission admission;
	struct openings openings;
	struct journal journal;
	const struct cause *cause;    /* of the event being handled, where it is known; NULL */
	const struct site *caused_at; /* the site that it is an event of */
	struct interceptor *interceptor;
	struct id_ranges *ranges;
	struct launcher *launcher;
	struct reaper *reaper;
	struct pager *pager;
	struct shortage shortage;
	struct looker *looker;
	struct ledgers *ledgers;
	uv_poll_t launched; /* the launcher has done something */
	uv_poll_t reported; /* the interceptor has */
	uv_async_t verdict; /* the reaper has found something */
	uv_async_t paged;   /* the pager has done something */
	uv_signal_t terminate, interrupt, hangup;
	uv_timer_t starved, retry, look;
	struct inheritance inheritance;
	bool listeners_left; /* with the service manager: unix sockets keep their files */
	struct watch *watch;
	struct arrivals *arrivals; /* NULL: no refused site waits for an address */
	struct control *control;
	struct networks *networks;
	struct unpacker *unpacker;
	struct notify *notify;
	struct schedule *schedule;
	struct probes *probes;
	struct delegation delegation; /* torpor's own cgroup */
	int lock_fd;
	unsigned n_listeners, max_listeners;
	rlim_t max_files;
	unsigned n_changed;  /* sites whose files are to be read again */
	uint64_t started_us; /* CLOCK_REALTIME */
	uint64_t wakes;
	bool stopping;
	struct grace grace;
	bool failed;    /* it stops because it cannot go on */
	bool swap_full; /* the last page-out found no room, which has been said */
};

/* Sets everything up, loads all sites, says READY=1, runs until SIGTERM, stops all. Returns an exit code. */
int daemon_run(const struct options *options);

/* A site has become cold or is gone: when the daemon is stopping and it was the last one, the loop ends. */
void daemon_site_settled(struct daemon *daemon);

/* There was no memory to start a site: its listeners are left alone for a second, not to spin on them. */
void daemon_starved(struct daemon *daemon, struct site *site);

/* The site of this id, cold or not, or NULL. Looks through all of them. */
struct site *daemon_find_site(const struct daemon *daemon, uint64_t id);

/* Descriptors that may be spent on held connections: what listeners and containers leave of the limit. */
unsigned daemon_files_left(const struct daemon *daemon);

/* The site that has a run and this id, or NULL. */
struct site *daemon_site_by_id(struct daemon *daemon, uint64_t id);

/* Takes in what the launcher has done, now: before anything that a container sent after its start. */
void daemon_take_launched(struct daemon *daemon);

/* Stops every container, then the loop. */
void daemon_stop(struct daemon *daemon);
