/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "container-memory.h"
#include "daemon.h"
#include "group.h"
#include "history.h"
#include "ladder.h"
#include "lookup.h"
#include "networks.h"
#include "probe.h"
#include "schedule.h"
#include "str.h"

json_t *report_string(const char *text)
{
	json_t *string = json_string(text);
	char escaped[4096];

	if (string)
		return string;
	str_escape(text, escaped, sizeof escaped);
	return json_string(escaped);
}

static void set(json_t *object, const char *key, json_t *value)
{
	if (value)
		json_object_set_new(object, key, value);
}

static void set_u64(json_t *object, const char *key, uint64_t value)
{
	set(object, key, json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value));
}

/* One that never ends is not known. */
static void set_span(json_t *object, const char *key, uint64_t us)
{
	if (us != SPEC_INFINITY)
		set_u64(object, key, us);
}

static bool memory_of(const struct site *site, uint64_t *ret)
{
	return site->run && container_memory(&site->run->container, UINT_MAX, ret) == 0;
}

static const char *error_text(const struct site *site, char *buf, size_t size)
{
	const struct refused *refused = refused_find(site->daemon->refused, site->name);

	if (refused)
		return diag_format(&refused->diag, buf, size);
	return site->failure ? site->failure->message : NULL;
}

/* What the reaper saw last, where it watches; a frozen site has the connections that are held. */
static void add_activity(json_t *object, const struct site *site, bool full)
{
	struct reaper_activity activity;
	const struct run *run = site->run;
	uint64_t idle_us;

	if (!run || !container_exists(&run->container))
		return;
	if (!run->tracked || !reaper_get_activity(site->daemon->reaper, site->id, &activity)) {
		if (site_rule(site->state)->asleep)
			set_u64(object, "connections", run->hold.n);
		return;
	}
	if (!activity.scanned_ns)
		return;
	set_u64(object, "connections", activity.connections);
	set(object, "cpu", json_real(activity.cpu));
	if (!full)
		return;
	idle_us = (clock_now_ns() - activity.last_active_ns) / 1000;
	set_u64(object, "waiting", activity.waiting);
	set_u64(object, "idle_us", idle_us);
	if (activity.reason != BUSY_NOT)
		set(object, "busy", json_string(busy_reason_text(activity.reason)));
}

json_t *report_summary(const struct site *site)
{
	const struct site_spec *spec = site->plan->spec;
	json_t *object =
		json_pack("{s:s, s:s, s:I, s:I}", "name", site->name, "state", site_rule(site->state)->name,
			  "since_us", (json_int_t)site->since_us, "wakes", (json_int_t)site->wakes);
	char text[1100];
	const char *error = error_text(site, text, sizeof text);
	uint64_t bytes;

	if (!object)
		return NULL;
	if (spec->templates)
		set(object, "template", report_string(spec->templates[0]));
	if (spec->slice)
		set(object, "slice", json_string(spec->slice));
	if (memory_of(site, &bytes))
		set_u64(object, "memory_bytes", bytes);
	if (error)
		set(object, "error", report_string(error));
	add_activity(object, site, false);
	return object;
}

/* How a site's program has come by a listener; NULL: not known. */
static const char *how_taken(const struct site *site, unsigned listener)
{
	const struct run *run = site->run;
	uint64_t bit = UINT64_C(1) << listener;

	if (!run || !container_exists(&run->container))
		return NULL;
	return run->bound & bit ? "bound" : run->listened & bit ? "listened" : NULL;
}

static json_t *listeners_json(const struct site *site)
{
	const struct site_spec *spec = site->plan->spec;
	json_t *array = json_array();
	char text[ADDRESS_TEXT_BYTES];

	for (unsigned i = 0; array && i < spec->n_listeners; i++) {
		const struct listener_spec *listener = &spec->listeners[i];
		const char *taken = how_taken(site, i);
		uint64_t dropped;
		json_t *object = json_object();

		if (!object)
			break;
		set(object, "address", report_string(address_format(&listener->address, text)));
		set(object, "type",
		    json_string(listener->address.type == SOCK_STREAM  ? "stream"
				: listener->address.type == SOCK_DGRAM ? "datagram"
								       : "seqpacket"));
		set(object, "fd_name", report_string(listener->fd_name));
		if (taken)
			set(object, "taken", json_string(taken));
		if (listener_dropped(site->listeners[i], &dropped) == 0 && dropped > 0)
			set_u64(object, "dropped", dropped);
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *templates_json(const struct site_spec *spec)
{
	json_t *array = json_array();

	for (const char *const *name = spec->templates; array && name && *name; name++)
		json_array_append_new(array, report_string(*name));
	return array;
}

/* {"memory.max": "536870912", "io.max": "8:0 rbps=..., 8:16 rbps=..."} */
static json_t *limits_json(const struct resource_list *list)
{
	json_t *limits = json_object();

	for (unsigned i = 0; limits && i < list->n_writes; i++) {
		const char *file = cgroup_file_name(list->writes[i].file),
			   *value = resource_text(list, list->writes[i].value),
			   *before = json_string_value(json_object_get(limits, file));

		set(limits, file, before ? json_sprintf("%s, %s", before, value) : report_string(value));
	}
	return limits;
}

static json_t *missing_json(const struct resource_list *list)
{
	const char *text = resource_text(list, list->missing);
	json_t *missing = json_array();

	for (unsigned i = 0; missing && i < list->n_missing; i++, text = resource_next_missing(text))
		json_array_append_new(missing, report_string(text));
	return missing;
}

/* What was written last into a control group, and is there; NULL: there is none. */
static const struct enforcement *enforcement_of_site(const struct site *site)
{
	return site->run && container_exists(&site->run->container) ? &site->run->enforcement : NULL;
}

static json_t *missing_with(const struct resource_list *list, const struct enforcement *enforcement)
{
	json_t *missing = missing_json(list);

	if (missing && enforcement && enforcement->error)
		json_array_append_new(missing, report_string(enforcement->error));
	return missing;
}

json_t *report_missing(const struct site *site)
{
	return missing_with(site->plan->resources->data, enforcement_of_site(site));
}

json_t *report_slice_missing(const struct daemon *daemon, const char *name)
{
	const struct group *group = group_find(daemon, name);

	return group ? missing_with(group->resources->data, &group->enforcement) : json_array();
}

/* Those of one slice: in its control group, or as its file says. */
static json_t *slice_json(const struct daemon *daemon, const char *name)
{
	const struct group *group = group_find(daemon, name);
	const struct blob *list = group && group->fd >= 0 ? group->enforcement.resources
				  : group                 ? group->resources
							  : NULL;
	json_t *object = json_pack("{s:s}", "name", name);
	autofree char *file = NULL;

	if (!object)
		return NULL;
	set(object, "description", report_string(group && group->spec ? group->spec->description : name));
	if (lookup_find(&daemon->options.lookup, UNIT_SLICE, name, &file) == 0)
		set(object, "file", report_string(file));
	set(object, "limits", list ? limits_json(list->data) : json_object());
	set(object, "limits_not_in_force", report_slice_missing(daemon, name));
	set(object, "file_errors", report_file_errors(refused_find(daemon->refused_slices, name)));
	return object;
}

/* The site's slice, then those around it. */
static json_t *slices_json(const struct site *site)
{
	const char *slice = site->plan->spec->slice;
	char name[NAME_BYTES_MAX + 1];
	json_t *array = json_array();
	bool more = array && slice;

	if (more)
		snprintf(name, sizeof name, "%s", slice);
	for (; more; more = slice_parent(name, name, sizeof name))
		json_array_append_new(array, slice_json(site->daemon, name));
	return array;
}

/* A container has what was written last, and will have what the unit says. */
static void add_limits(json_t *object, const struct site *site)
{
	const struct enforcement *enforcement = enforcement_of_site(site);
	const struct blob *list = enforcement ? enforcement->resources : site->plan->resources;

	set(object, "limits", limits_json(list->data));
	set(object, "limits_not_in_force", report_missing(site));
}

static json_t *failure_json(const struct failure *failure)
{
	json_t *object =
		json_pack("{s:I, s:s, s:i, s:I}", "time_us", (json_int_t)failure->realtime_us, "step",
			  failure->step, "errno", failure->error, "restarts", (json_int_t)failure->restarts);
	uint64_t now = clock_now_ns();

	if (!object)
		return NULL;
	set(object, "message", report_string(failure->message));
	if (failure->retry_ns > now)
		set_u64(object, "retry_in_us", (failure->retry_ns - now) / 1000);
	return object;
}

/* When the next rungs come, as far as the times alone say. */
static void add_next_rung(json_t *object, const struct site *site)
{
	const struct site_spec *spec = site->plan->spec;
	json_t *idle = json_object_get(object, "idle_us");
	uint64_t idle_us = idle ? (uint64_t)json_integer_value(idle) : 0;
	enum keep keep = schedule_keep(site);

	if (site_rule(site->state)->asleep) {
		set_span(object, "pages_out_in_us", ladder_page_out_left_us(site));
		set_span(object, "stops_in_us", ladder_stop_left_us(site));
	}
	if (site->state != STATE_AWAKE || !idle || json_object_get(object, "busy"))
		return;
	if (keep != KEEP_AWAKE && spec->freeze_after_us != SPEC_INFINITY)
		set_u64(object, "freezes_in_us",
			spec->freeze_after_us > idle_us ? spec->freeze_after_us - idle_us : 0);
	if (keep == KEEP_NONE && spec->page_out_after_us != SPEC_INFINITY)
		set_u64(object, "pages_out_in_us",
			spec->page_out_after_us > idle_us ? spec->page_out_after_us - idle_us : 0);
	if (keep == KEEP_NONE && spec->stop_after_us != SPEC_INFINITY)
		set_u64(object, "stops_in_us",
			spec->stop_after_us > idle_us ? spec->stop_after_us - idle_us : 0);
}

static void add_run(json_t *object, const struct site *site)
{
	const struct run *run = site->run;
	char path[4352];
	uint64_t value;

	if (!run || !container_exists(&run->container))
		return;
	set_u64(object, "pid", (uint64_t)run->container.pid);
	set_u64(object, "uid", identity_on_host(&run->job.identity, run->plan->uid));
	set_u64(object, "gid", identity_on_host(&run->job.identity, run->plan->gid));
	if (run->job.identity.first)
		set_u64(object, "first_uid", run->job.identity.first);
	snprintf(path, sizeof path, "%s/%s", site->daemon->delegation.path, run->plan->cgroup);
	set(object, "cgroup", report_string(path));
	if (cgroup_cpu_usage_us(run->container.cgroup_fd, &value) == 0)
		set_u64(object, "cpu_usage_us", value);
	if (memory_of(site, &value))
		set_u64(object, "memory_bytes", value);
	if (run->status_text)
		set(object, "status_text", report_string(run->status_text));
}

static const char *keep_name(enum keep keep)
{
	return keep == KEEP_AWAKE ? "awake" : keep == KEEP_WARM ? "warm" : "no";
}

json_t *report_status(const struct site *site)
{
	const struct site_spec *spec = site->plan->spec;
	json_t *object = report_summary(site);
	autofree char *file = NULL;

	if (!object)
		return NULL;
	json_object_del(object, "error");
	set(object, "description", report_string(spec->description));
	set(object, "enabled", json_boolean(spec->enabled));
	set(object, "keep", json_string(keep_name(spec->keep)));
	(void)lookup_find(&site->daemon->options.lookup, UNIT_SITE, site->name, &file);
	set(object, "file", report_string(file ? file : ""));
	set(object, "templates", templates_json(spec));
	set(object, "handover", json_string(handover_name(spec->handover)));
	set(object, "listeners", listeners_json(site));
	add_limits(object, site);
	set(object, "network", networks_report(site));
	set(object, "networks_left", networks_report_left(site));
	set(object, "slices", slices_json(site));
	add_run(object, site);
	add_activity(object, site, true);
	add_next_rung(object, site);
	set(object, "schedule", schedule_report(site));
	set(object, "probes", probes_report(site));
	set_u64(object, "thaws", site->thaws);
	if (site->history && site->history->wake.time_us) {
		set_u64(object, "last_wake_us", site->history->wake.time_us);
		set_u64(object, "last_wake_took_us", site->history->wake.took_us);
		set(object, "last_wake_by", report_string(site->history->wake.by));
	}
	set(object, "restart_needed", json_boolean(site->restart_needed));
	set(object, "file_errors", report_file_errors(refused_find(site->daemon->refused, site->name)));
	if (site->failure)
		set(object, "failure", failure_json(site->failure));
	return object;
}

json_t *report_file_error(const struct diag *diag)
{
	json_t *object = json_object();

	if (!object)
		return NULL;
	set(object, "file", report_string(diag->file));
	set_u64(object, "line", diag->line);
	set(object, "message", report_string(diag->message));
	return object;
}

json_t *report_file_errors(const struct refused *refused)
{
	json_t *array = json_array();

	if (array && refused)
		json_array_append_new(array, report_file_error(&refused->diag));
	return array;
}

json_t *report_all_file_errors(struct daemon *daemon)
{
	json_t *array = json_array();

	for (const struct refused *refused = daemon->refused_slices; array && refused;
	     refused = refused->hh.next)
		json_array_append_new(array, report_file_error(&refused->diag));
	for (const struct refused *refused = daemon->refused; array && refused; refused = refused->hh.next)
		json_array_append_new(array, report_file_error(&refused->diag));
	return array;
}

json_t *report_refused_status(const struct refused *refused)
{
	json_t *object = json_object();

	if (!object)
		return NULL;
	set(object, "name", report_string(refused->name));
	set(object, "description", report_string(refused->name));
	set(object, "state", json_string("refused"));
	set(object, "file", report_string(refused->diag.file));
	set(object, "enabled", json_false());
	set(object, "wakes", json_integer(0));
	set(object, "file_errors", report_file_errors(refused));
	return object;
}

json_t *report_start_failed(const struct site *site)
{
	const struct failure *failure = site->failure;

	if (!failure)
		return json_pack("{s:s, s:s, s:i, s:s}", "site", site->name, "step", "start", "errno", 0,
				 "message", "failed");
	return json_pack("{s:s, s:s, s:i, s:o}", "site", site->name, "step", failure->step, "errno",
			 failure->error, "message", report_string(failure->message));
}

static unsigned count_open_files(void)
{
	unsigned n = 0;
	DIR *dir = opendir("/proc/self/fd");

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n > 3 ? n - 3 : 0; /* ".", ".." and the folder itself */
}

static json_t *controllers_json(unsigned mask)
{
	json_t *array = json_array();

	for (unsigned bit = CONTROLLER_CPU; array && bit <= CONTROLLER_PIDS; bit <<= 1)
		if (mask & bit)
			json_array_append_new(array, json_string(controller_name(bit)));
	return array;
}

static void add_usage(json_t *object)
{
	struct rusage usage;
	char statm[128];
	unsigned long resident = 0;

	getrusage(RUSAGE_SELF, &usage);
	set_u64(object, "cpu_usage_us",
		(uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
			(uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
	if (fd_read_attribute(AT_FDCWD, "/proc/self/statm", statm, sizeof statm) > 0)
		(void)sscanf(statm, "%*u %lu", &resident);
	set_u64(object, "memory_bytes", resident * (uint64_t)sysconf(_SC_PAGESIZE));
}

static void add_memory(json_t *object, const struct daemon *daemon, json_t *warnings)
{
	struct memory memory;

	if (memory_read(&memory) == 0) {
		set_u64(object, "memory_available_bytes", memory.available_bytes);
		set_u64(object, "swap_free_bytes", memory.swap_free_bytes);
	}
	set(object, "memory_short", json_boolean(daemon->shortage.low));
	if (daemon->config.max_awake)
		set_u64(object, "awake_limit", daemon->config.max_awake);
	if (daemon->shortage.low)
		json_array_append_new(warnings,
				      json_string("memory is short: the coldest sites go down a rung"));
	if (daemon->swap_full)
		json_array_append_new(warnings,
				      json_string("no swap, or too little of it, is left to page sites "
						  "out to"));
}

json_t *report_host(struct daemon *daemon)
{
	unsigned states[SITE_STATES] = {0}, missing = ~daemon->host.controllers & (CONTROLLER_PIDS * 2 - 1);
	json_t *object = json_object(), *counts = json_object(), *warnings = json_array();
	struct rlimit limit;
	char text[256];

	if (!object)
		return NULL;
	for (const struct site *site = daemon->sites; site; site = site->hh.next)
		states[site->state]++;
	for (enum site_state state = STATE_ILLEGAL + 1; counts && state < SITE_STATES; state++)
		set_u64(counts, site_rule(state)->name, states[state]);
	getrlimit(RLIMIT_NOFILE, &limit);
	if (missing) {
		snprintf(text, sizeof text,
			 "some controllers are not in this host's cgroup v2: limits that need them are not in "
			 "force");
		json_array_append_new(warnings, json_string(text));
	}
	if (daemon->n_listeners >= daemon->max_listeners) {
		snprintf(text, sizeof text,
			 "the open-files limit (%llu) leaves no room for more than %u listeners",
			 (unsigned long long)limit.rlim_cur, daemon->max_listeners);
		json_array_append_new(warnings, json_string(text));
	}
	set(object, "version", json_string(TORPOR_VERSION));
	set_u64(object, "pid", (uint64_t)getpid());
	set_u64(object, "started_us", daemon->started_us);
	set_u64(object, "sites", HASH_COUNT(daemon->sites));
	set(object, "states", counts);
	set_u64(object, "listeners", daemon->n_listeners);
	set_u64(object, "open_files", count_open_files());
	set_u64(object, "open_files_limit", limit.rlim_cur);
	set(object, "cgroup", report_string(daemon->delegation.path));
	set(object, "controllers", controllers_json(daemon->host.controllers));
	set(object, "controllers_missing", controllers_json(missing));
	add_usage(object);
	add_memory(object, daemon, warnings);
	set_u64(object, "wakes", daemon->wakes);
	set_u64(object, "starting", daemon->admission.starting);
	set_u64(object, "queued", daemon->admission.n_waiting);
	set_u64(object, "max_starting", daemon->admission.limit);
	set_u64(object, "scans", reaper_scans(daemon->reaper));
	set(object, "file_errors", report_all_file_errors(daemon));
	set(object, "warnings", warnings);
	return object;
}
