/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "loader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "arrivals.h"
#include "cleanup.h"
#include "daemon.h"
#include "group.h"
#include "log.h"
#include "str.h"
#include "unpacker.h"

enum outcome { LOADED_NEW, LOADED_CHANGED, LOADED_SAME, LOADED_REMOVED, LOADED_REFUSED };

static struct site *find_site(struct daemon *daemon, const char *name)
{
	struct site *site;

	HASH_FIND_STR(daemon->sites, name, site);
	return site;
}

/* The site, other than `self`, that has a listener at this address; NULL when none has. */
static const struct site *find_owner(const struct daemon *daemon, const struct site *self,
				     const struct address *address)
{
	for (const struct site *site = daemon->sites; site; site = site->hh.next)
		for (unsigned i = 0; site != self && i < site->plan->spec->n_listeners; i++)
			if (address_equal(&site->plan->spec->listeners[i].address, address))
				return site;
	return NULL;
}

static struct listener *find_listener(const struct site *site, const struct address *address)
{
	for (unsigned i = 0; site && i < site->plan->spec->n_listeners; i++)
		if (address_equal(site->listeners[i]->address, address))
			return site->listeners[i];
	return NULL;
}

/* The launcher has its start, and its listeners. */
static bool start_in_flight(const struct site *site)
{
	return site->run && site->run->job_in_flight;
}

static int open_one(struct daemon *daemon, const struct site *site, const struct site_spec *spec, unsigned i,
		    struct listener **ret, struct diag *diag)
{
	const struct listener_spec *wanted = &spec->listeners[i];
	const struct site *owner = NULL;
	char text[ADDRESS_TEXT_BYTES];
	ino_t inode;
	int fd;

	if (daemon->n_listeners >= daemon->max_listeners)
		return diag_set(
			diag, -EMFILE, spec->exec_origin.file, 0,
			"listener %s: the open-files limit leaves room for %u listeners and no more: raise "
			"LimitNOFILE= of torpor.service",
			address_format(&wanted->address, text), daemon->max_listeners);
	/* With ReusePort= the kernel would let two sites share a port. It is asked before they are all looked
	 * through, which for each listener of each site is too much. */
	if (spec->reuse_port && !listener_address_free(spec, &wanted->address))
		owner = find_owner(daemon, site, &wanted->address);
	fd = owner ? -EADDRINUSE : listener_open(spec, wanted, &daemon->inheritance, &inode, diag);
	if (fd == -EADDRINUSE && (owner = find_owner(daemon, site, &wanted->address)))
		diag_set(diag, fd, spec->exec_origin.file, 0, "listener %s is already claimed by site %s",
			 address_format(&wanted->address, text), owner->name);
	if (fd < 0)
		return fd;
	*ret = listener_create(&daemon->loop, fd, inode, &wanted->address);
	if (!*ret) {
		fd_close(fd);
		return diag_set(diag, -ENOMEM, spec->exec_origin.file, 0, "out of memory");
	}
	daemon->n_listeners++;
	return 0;
}

/* One that was opened for a unit that is refused. */
static void discard(struct daemon *daemon, struct listener *listener)
{
	inherited_give_back(&daemon->inheritance, &listener->fd);
	listener_close(listener, true);
	daemon->n_listeners--;
}

/* Brings a spec into force on those that the site has already: on all of them, or on none. */
static int update_listeners(const struct site *site, const struct site_spec *spec, struct diag *diag)
{
	unsigned n = 0;
	int r = 0;

	for (; r == 0 && n < spec->n_listeners; n++) {
		const struct listener *listener = find_listener(site, &spec->listeners[n].address);

		r = listener ? listener_update(listener, spec, diag) : 0;
	}
	while (r < 0 && n-- > 0) { /* the last one, too: some of it may have been done */
		const struct listener *listener = find_listener(site, &spec->listeners[n].address);
		struct diag ignored = {0};

		if (listener)
			(void)listener_update(listener, site->plan->spec, &ignored);
	}
	return r;
}

/* The array of listeners for a spec: what the site has already at these addresses, and new ones. On failure
 * nothing is left open, and what the site has is as it was. */
static int open_listeners(struct daemon *daemon, const struct site *site, const struct site_spec *spec,
			  struct listener ***ret, struct diag *diag)
{
	struct listener **listeners = calloc(spec->n_listeners, sizeof(*listeners));
	int r = listeners ? 0 : diag_set(diag, -ENOMEM, spec->exec_origin.file, 0, "out of memory");

	for (unsigned i = 0; r == 0 && i < spec->n_listeners; i++) {
		listeners[i] = find_listener(site, &spec->listeners[i].address);
		if (!listeners[i])
			r = open_one(daemon, site, spec, i, &listeners[i], diag);
	}
	if (r == 0)
		r = update_listeners(site, spec, diag);
	if (r < 0) {
		for (unsigned i = 0; listeners && i < spec->n_listeners; i++)
			if (listeners[i] && !find_listener(site, listeners[i]->address))
				discard(daemon, listeners[i]);
		free(listeners);
		return r;
	}
	*ret = listeners;
	return 0;
}

static int put_in_force(struct daemon *daemon, struct site *site, struct site_spec *spec, enum outcome *outcome,
			struct diag *diag)
{
	struct listener **listeners = NULL;
	struct launch_plan *plan;
	int r = plan_create(&daemon->planner, spec, &plan, diag);

	if (r == -EINPROGRESS)
		r = unpacker_request(daemon->unpacker, spec, diag);
	if (r < 0) {
		spec_free(spec);
		return r;
	}
	if (plan->oci && plan->oci->image->n_layers > 0)
		r = unpacker_claim(daemon->unpacker, spec, diag);
	if (r == 0)
		r = open_listeners(daemon, site, spec, &listeners, diag);
	if (r == 0 && site) {
		site_replace(site, plan, listeners);
		*outcome = LOADED_CHANGED;
		return 0;
	}
	if (r == 0) {
		if (site_create(daemon, plan, listeners)) {
			*outcome = LOADED_NEW;
			return 0;
		}
		for (unsigned i = 0; i < spec->n_listeners; i++)
			discard(daemon, listeners[i]);
		free(listeners);
		r = diag_set(diag, -ENOMEM, spec->exec_origin.file, 0, "out of memory");
	}
	plan_unref(plan);
	return r;
}

static void name_site_file(const struct daemon *daemon, const char *name, struct diag *diag)
{
	autofree char *file = NULL;

	if (lookup_find(&daemon->options.lookup, UNIT_SITE, name, &file) == 0)
		snprintf(diag->file, sizeof diag->file, "%s", file);
	diag->line = 0;
}

static enum outcome load(struct daemon *daemon, const char *name)
{
	struct site *site = find_site(daemon, name);
	struct site_spec *spec = NULL;
	struct diag diag = {0};
	enum outcome outcome = LOADED_SAME;
	int r;

	if (site && start_in_flight(site)) {
		daemon->n_changed += !site->changed;
		site->changed = true; /* the launcher uses its listeners: when it is done */
		return LOADED_SAME;
	}
	r = spec_load(&daemon->options.lookup, daemon->cache, name, &spec, &diag);
	if (r == -ENOENT || (r == 0 && !spec->enabled)) {
		spec_free(spec);
		refused_clear(&daemon->refused, "site", name);
		if (!site || site->leaving)
			return LOADED_SAME;
		log_info("site %s: %s", name, r == 0 ? "disabled" : "removed");
		site_remove(site);
		return LOADED_REMOVED;
	}
	if (r == 0 && site && !site->leaving && spec_same(site->plan->spec, spec, false) &&
	    plan_image_current(&daemon->planner, site->plan)) {
		spec_free(spec);
		refused_clear(&daemon->refused, "site", name);
		return LOADED_SAME;
	}
	if (r == 0) {
		r = put_in_force(daemon, site, spec, &outcome, &diag);
		/* A user or an address that is not to be had is the site's trouble, wherever the line stands.
		 */
		if (r < 0)
			name_site_file(daemon, name, &diag);
	}
	if (r < 0) {
		refused_set(&daemon->refused, "site", name, r, &diag);
		if (r == -EADDRNOTAVAIL)
			arrivals_await(daemon);
		return LOADED_REFUSED;
	}
	refused_clear(&daemon->refused, "site", name);
	return outcome;
}

/* What need not be wrong with the unit, and may be over without a change of it. */
static bool may_pass(int error)
{
	return error == -EADDRINUSE || error == -EADDRNOTAVAIL || error == -EMFILE;
}

static void retry_refused(struct daemon *daemon)
{
	struct refused *refused, *next;

	HASH_ITER(hh, daemon->refused, refused, next)
	if (may_pass(refused->error)) {
		autofree char *name = strdup(refused->name);

		if (name)
			(void)load(daemon, name);
	}
	arrivals_release(daemon);
}

static int compare_names(const void *key, const void *item)
{
	return strcmp(key, *(const char *const *)item);
}

struct load_counts loader_load_all(struct daemon *daemon)
{
	struct load_counts counts = {0};
	struct site *site, *next;
	char **names = NULL;
	size_t n = 0;
	int r = lookup_list(&daemon->options.lookup, UNIT_SITE, &names, &n);

	if (r < 0) {
		log_error("the folders of units cannot be read: %s", strerror(-r));
		return counts;
	}
	spec_cache_clear(daemon->cache);
	planner_forget_accounts(&daemon->planner);
	group_load_all(daemon);
	/* Removed first: what they give up may be claimed by others. */
	HASH_ITER(hh, daemon->sites, site, next)
	{
		if (bsearch(site->name, names, n, sizeof *names, compare_names))
			continue;
		if (load(daemon, site->name) == LOADED_REMOVED)
			counts.removed++;
	}
	for (size_t i = 0; i < n; i++)
		switch (load(daemon, names[i])) {
		case LOADED_NEW:
			counts.loaded++;
			break;
		case LOADED_CHANGED:
			counts.changed++;
			break;
		case LOADED_REMOVED:
			counts.removed++;
			break;
		case LOADED_REFUSED:
			counts.refused++;
			break;
		case LOADED_SAME:
			break;
		}
	lookup_free_list(names);
	if (inherited_settle(&daemon->inheritance) || counts.removed || counts.changed)
		retry_refused(daemon); /* not soon: whoever asked for it is told what is refused now */
	spec_cache_clear(daemon->cache);
	return counts;
}

void loader_apply(struct daemon *daemon, const char *name)
{
	enum outcome outcome;

	spec_cache_clear(daemon->cache);
	outcome = load(daemon, name);
	if (outcome == LOADED_NEW || outcome == LOADED_CHANGED)
		log_info("site %s: %s", name, outcome == LOADED_NEW ? "added" : "changed");
	if (outcome == LOADED_REMOVED || outcome == LOADED_CHANGED)
		loader_retry_soon(daemon);
}

static bool built_on(const struct site *site, const char *template)
{
	for (const char *const *name = site->plan->spec->templates; name && *name; name++)
		if (str_equal(*name, template))
			return true;
	return false;
}

void loader_apply_template(struct daemon *daemon, const char *name)
{
	struct site *site, *next_site;
	struct refused *refused, *next_refused;
	unsigned changed = 0;

	spec_cache_clear(daemon->cache);
	HASH_ITER(hh, daemon->sites, site, next_site)
	if (built_on(site, name))
		changed += load(daemon, site->name) == LOADED_CHANGED;
	/* Whatever was wrong with these may have been the template. */
	HASH_ITER(hh, daemon->refused, refused, next_refused)
	{
		autofree char *site_name = strdup(refused->name);

		if (site_name)
			(void)load(daemon, site_name);
	}
	spec_cache_clear(daemon->cache);
	log_info("template %s: %u sites changed", name, changed);
}

static struct site *next_changed(const struct daemon *daemon)
{
	for (struct site *site = daemon->n_changed > 0 ? daemon->sites : NULL; site; site = site->hh.next)
		if (site->changed && !start_in_flight(site))
			return site;
	return NULL;
}

static void on_retry(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;
	struct site *site;

	while ((site = next_changed(daemon))) {
		site->changed = false;
		daemon->n_changed--;
		loader_apply(daemon, site->name);
	}
	retry_refused(daemon);
}

void loader_retry_soon(struct daemon *daemon)
{
	if (!daemon->stopping)
		uv_timer_start(&daemon->retry, on_retry, 0, 0);
}

static void append_drop_ins(json_t *array, const struct lookup *lookup, enum unit_kind kind, const char *name)
{
	char **list = NULL;

	if (lookup_drop_ins(lookup, kind, name, &list) < 0)
		return;
	for (char **path = list; path && *path; path++)
		json_array_append_new(array, json_string(*path));
	lookup_free_list(list);
}

json_t *loader_files(const struct daemon *daemon, const struct site *site)
{
	const struct lookup *lookup = &daemon->options.lookup;
	const char *const *template = site->plan->spec->templates;
	autofree char *file = NULL;
	json_t *array = json_array();

	if (!array)
		return NULL;
	if (lookup_find(lookup, UNIT_SITE, site->name, &file) == 0)
		json_array_append_new(array, json_string(file));
	append_drop_ins(array, lookup, UNIT_SITE, site->name);
	for (; template && *template; template ++) {
		autofree char *path = NULL;

		if (lookup_find(lookup, UNIT_TEMPLATE, *template, &path) == 0)
			json_array_append_new(array, json_string(path));
		append_drop_ins(array, lookup, UNIT_TEMPLATE, *template);
	}
	return array;
}
