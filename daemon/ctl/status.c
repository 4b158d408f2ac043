/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "status.h"

#include <errno.h>

#include "command.h"
#include "field.h"
#include "moment.h"
#include "options.h"
#include "sheet.h"
#include "sites.h"
#include "state.h"
#include "str.h"

/* torporctl status */

#define ADDRESSES_SHOWN 8   /* of the listeners, in one sentence */
#define LIMITS_SHOWN    100 /* there are not that many keys */

static void line(struct ctl *ctl, const char *label, const char *text)
{
	sheet_line(&ctl->terminal, stdout, label, text);
}

/* "ABSOLUTE; 3min 20s ago" of a field. */
static const char *instant(struct ctl *ctl, const json_t *status, const char *key)
{
	uint64_t at;

	if (!field_u64(status, key, &at))
		return NULL;
	return arena_printf(&ctl->arena, "%s; %s", moment_absolute(&ctl->arena, at),
			    moment_relative(&ctl->arena, at, moment_now()));
}

static const char *span(struct ctl *ctl, const json_t *status, const char *key)
{
	uint64_t us;

	return field_u64(status, key, &us) ? moment_span(&ctl->arena, us) : NULL;
}

static const char *took_of(struct ctl *ctl, const json_t *status)
{
	uint64_t us;

	return field_u64(status, "last_wake_took_us", &us) && us > 0 ? moment_span(&ctl->arena, us) : NULL;
}

const char *status_failure(struct ctl *ctl, const json_t *status)
{
	const json_t *failure = json_object_get(status, "failure");
	const char *text, *retry = span(ctl, failure, "retry_in_us");
	uint64_t at, restarts;

	if (!json_is_object(failure))
		return NULL;
	text = field_failed_step(&ctl->arena, failure);
	if (field_u64(failure, "time_us", &at))
		text = arena_printf(&ctl->arena, "%s; %s", text,
				    moment_relative(&ctl->arena, at, moment_now()));
	if (field_u64(failure, "restarts", &restarts) && restarts > 0)
		text = arena_printf(&ctl->arena, "%s; %llu restart%s", text, (unsigned long long)restarts,
				    restarts == 1 ? "" : "s");
	return retry ? arena_printf(&ctl->arena, "%s; retry in %s", text, retry) : text;
}

const char *status_addresses(struct ctl *ctl, const json_t *status)
{
	const json_t *listeners = json_object_get(status, "listeners");
	const char *text = NULL;

	for (size_t i = 0; i < json_array_size(listeners) && i < ADDRESSES_SHOWN; i++) {
		const char *address = field_text(&ctl->arena, json_array_get(listeners, i), "address");

		if (address)
			text = text ? arena_printf(&ctl->arena, "%s, %s", text, address) : address;
	}
	if (text && json_array_size(listeners) > ADDRESSES_SHOWN)
		text = arena_printf(&ctl->arena, "%s and %zu more", text,
				    json_array_size(listeners) - ADDRESSES_SHOWN);
	return text;
}

/* What its program has done with a listener, as far as that is known. */
static const char *taken(const json_t *listener)
{
	const char *how = field_raw(listener, "taken");

	if (!how)
		return "";
	return str_equal(how, "bound") ? ", bound by its program" : ", in use by its program";
}

/* What the kernel did not give to it. */
static const char *dropped(struct ctl *ctl, const json_t *listener)
{
	uint64_t n;

	if (!field_u64(listener, "dropped", &n) || n == 0)
		return "";
	return arena_printf(&ctl->arena, ", %llu packet%s dropped", (unsigned long long)n, n == 1 ? "" : "s");
}

static void print_listeners(struct ctl *ctl, const json_t *status)
{
	const json_t *listeners = json_object_get(status, "listeners");
	const char *name = field_raw(status, "name");

	line(ctl, "Handover", field_text(&ctl->arena, status, "handover"));

	for (size_t i = 0; i < json_array_size(listeners); i++) {
		const json_t *listener = json_array_get(listeners, i);
		const char *fd_name = field_raw(listener, "fd_name"),
			   *type = field_text(&ctl->arena, listener, "type");
		const char *address = field_text(&ctl->arena, listener, "address");
		/* By default a descriptor is named like the site: not worth a word. */
		bool own_name = fd_name && *fd_name && !(name && str_equal(name, fd_name));

		line(ctl, i == 0 ? "Listeners" : NULL,
		     arena_printf(&ctl->arena, "%s (%s%s%s%s%s)", address ? address : "?", type ? type : "?",
				  own_name ? ", named " : "",
				  own_name ? field_escape(&ctl->arena, fd_name) : "", taken(listener),
				  dropped(ctl, listener)));
	}
}

static void print_head(struct ctl *ctl, const json_t *status)
{
	struct arena *arena = &ctl->arena;
	const char *name = field_text(arena, status, "name"),
		   *description = field_text(arena, status, "description");
	const char *state = field_raw(status, "state"), *file = field_text(arena, status, "file");
	const char *templates = field_joined(arena, status, "templates"),
		   *since = instant(ctl, status, "since_us");
	const char *says = field_text(arena, status, "status_text");

	if (!name)
		name = "?";
	if (description && (!*description || str_equal(description, name)))
		description = NULL;
	terminal_print(&ctl->terminal, stdout,
		       arena_printf(arena, "%s%s" MARK_PLAIN " " MARK_BOLD "%s" MARK_PLAIN "%s%s\n",
				    state_mark(state), terminal_bullet(&ctl->terminal), name,
				    description ? " - " : "", description ? description : ""));
	line(ctl, "File",
	     file && templates ? arena_printf(arena, "%s (templates: %s)", file, templates) : file);
	state = state_format(arena, state);
	line(ctl, "State",
	     arena_printf(arena, "%s%s%s%s", state ? state : "not known",
			  field_is(status, "enabled", false) ? " (disabled)" : "", since ? " since " : "",
			  since ? since : ""));
	if (says && *says)
		line(ctl, "Status", arena_printf(arena, "\"%s\"", says));
}

/* As the host counts them; with a user namespace, the first of its range too. */
static void print_users(struct ctl *ctl, const json_t *status)
{
	struct arena *arena = &ctl->arena;
	const char *uid = field_count(arena, status, "uid"), *gid = field_count(arena, status, "gid"),
		   *first = field_count(arena, status, "first_uid");

	if (uid && gid)
		line(ctl, "User",
		     arena_printf(arena, "%s, group %s%s%s%s", uid, gid,
				  first ? " (its own users begin with " : "", first ? first : "",
				  first ? ")" : ""));
}

static void print_use(struct ctl *ctl, const json_t *status)
{
	struct arena *arena = &ctl->arena;
	const char *used = span(ctl, status, "cpu_usage_us"), *share = NULL;
	const char *open = field_count(arena, status, "connections"),
		   *waiting = field_count(arena, status, "waiting");
	double cpu;

	if (field_double(status, "cpu", &cpu))
		share = arena_printf(arena, "%.1f%% now", cpu * 100);
	line(ctl, "Main PID", field_count(arena, status, "pid"));
	print_users(ctl, status);
	line(ctl, "CGroup", field_text(arena, status, "cgroup"));
	line(ctl, "Memory", field_bytes(arena, status, "memory_bytes"));
	line(ctl, "CPU", used && share ? arena_printf(arena, "%s, %s", used, share) : used ? used : share);
	if (waiting && str_equal(waiting, "0"))
		waiting = NULL;
	line(ctl, "Connections",
	     open || waiting ? arena_printf(arena, "%s%s%s%s", open ? open : "", open && waiting ? ", " : "",
					    waiting ? waiting : "", waiting ? " waiting to be accepted" : "")
			     : NULL);
}

/* "frozen in 18s, paged out in 5min, stopped in 10min": what comes next. */
static const char *format_rungs(struct ctl *ctl, const json_t *status)
{
	static const struct {
		const char *key, *text;
	} rungs[] = {
		{"freezes_in_us", "frozen"},
		{"pages_out_in_us", "paged out"},
		{"stops_in_us", "stopped"},
	};
	const char *text = NULL;

	for (size_t i = 0; i < sizeof rungs / sizeof *rungs; i++) {
		const char *in = span(ctl, status, rungs[i].key);

		if (in)
			text = arena_printf(&ctl->arena, "%s%s%s in %s", text ? text : "", text ? ", " : "",
					    rungs[i].text, in);
	}
	return text;
}

static const char *hibernation(struct ctl *ctl, const json_t *status)
{
	const char *rungs = format_rungs(ctl, status);
	const char *busy = field_text(&ctl->arena, status, "busy"),
		   *keep = field_text(&ctl->arena, status, "keep");

	if (rungs)
		return rungs;
	if (busy && *busy)
		return arena_printf(&ctl->arena, "not while it is busy: %s", busy);
	if (keep && *keep && !str_equal(keep, "no"))
		return arena_printf(&ctl->arena, "Keep=%s", keep);
	return NULL;
}

/* "awake until 18:00; wakes 08:00; hibernates 22:00", or NULL. */
static const char *schedule(struct ctl *ctl, const json_t *status)
{
	static const struct {
		const char *key, *text;
	} instants[] = {{"awake_until_us", "awake until"},
			{"next_wake_us", "wakes"},
			{"next_hibernate_us", "hibernates"}};
	const json_t *schedule = json_object_get(status, "schedule");
	const char *text = NULL;
	uint64_t at;

	for (size_t i = 0; i < sizeof instants / sizeof *instants; i++)
		if (field_u64(schedule, instants[i].key, &at))
			text = arena_printf(&ctl->arena, "%s%s%s %s", text ? text : "", text ? "; " : "",
					    instants[i].text, moment_absolute(&ctl->arena, at));
	return text;
}

/* "2 put off (WakeLimitBurst=), the last for 5min more; 3 ended without a byte", or NULL. */
static const char *probes(struct ctl *ctl, const json_t *status)
{
	const json_t *probes = json_object_get(status, "probes");
	const char *waits = span(ctl, probes, "waits_us"), *text = NULL;
	uint64_t put_off, hung_up;

	if (field_u64(probes, "put_off", &put_off) && put_off > 0)
		text = arena_printf(&ctl->arena, "%llu put off (WakeLimitBurst=)%s%s%s",
				    (unsigned long long)put_off, waits ? ", the last for " : "",
				    waits ? waits : "", waits ? " more" : "");
	if (field_u64(probes, "hung_up", &hung_up) && hung_up > 0)
		text = arena_printf(&ctl->arena, "%s%s%llu ended without a byte", text ? text : "",
				    text ? "; " : "", (unsigned long long)hung_up);
	return text;
}

static void print_wakes(struct ctl *ctl, const json_t *status)
{
	struct arena *arena = &ctl->arena;
	const char *wakes = field_count(arena, status, "wakes"), *thaws = field_count(arena, status, "thaws");
	const char *last = instant(ctl, status, "last_wake_us"), *took = took_of(ctl, status);
	const char *by = field_text(arena, status, "last_wake_by"), *idle = span(ctl, status, "idle_us");

	line(ctl, "Wakes", wakes && thaws ? arena_printf(arena, "%s, thaws: %s", wakes, thaws) : wakes);
	if (last && took)
		last = arena_printf(arena, "%s, took %s", last, took);
	line(ctl, "Last wake",
	     last && by && *by ? arena_printf(arena, "%s, by %s", last, by)
	     : last            ? last
			       : by);
	line(ctl, "Idle", idle ? arena_printf(arena, "for %s", idle) : NULL);
	line(ctl, "Hibernates", hibernation(ctl, status));
	line(ctl, "Schedule", schedule(ctl, status));
	line(ctl, "Probes", probes(ctl, status));
}

/* "memory.max=1073741824, pids.max=512", or NULL. */
static const char *limits(struct ctl *ctl, const json_t *object)
{
	json_t *listed = json_object_get(object, "limits"), *value;
	const char *text = NULL, *key;
	unsigned shown = 0;

	json_object_foreach(listed, key, value)
	{
		const char *name = field_escape(&ctl->arena, key), *amount = field_print(&ctl->arena, value);

		if (name && amount && shown++ < LIMITS_SHOWN)
			text = text ? arena_printf(&ctl->arena, "%s, %s=%s", text, name, amount)
				    : arena_printf(&ctl->arena, "%s=%s", name, amount);
	}
	return text;
}

static void print_not_in_force(struct ctl *ctl, const json_t *object)
{
	const char *missing = field_joined(&ctl->arena, object, "limits_not_in_force");

	line(ctl, "Not in force",
	     missing ? arena_printf(&ctl->arena, MARK_YELLOW "%s" MARK_PLAIN, missing) : NULL);
}

/* What a site shares with others of its slice, and of those around it. */
static void print_slices(struct ctl *ctl, const json_t *status)
{
	const json_t *slices = json_object_get(status, "slices");

	for (size_t i = 0; i < json_array_size(slices); i++) {
		const json_t *slice = json_array_get(slices, i),
			     *errors = json_object_get(slice, "file_errors");
		const char *name = field_text(&ctl->arena, slice, "name"), *shared = limits(ctl, slice);

		line(ctl, i == 0 ? "Slice" : NULL,
		     arena_printf(&ctl->arena, "%s%s%s", name ? name : "?",
				  shared ? ": " : " (no limits of its own)", shared ? shared : ""));
		print_not_in_force(ctl, slice);
		for (size_t k = 0; k < json_array_size(errors); k++)
			line(ctl, "Refused",
			     arena_printf(&ctl->arena, MARK_RED "%s" MARK_PLAIN,
					  field_file_error(&ctl->arena, json_array_get(errors, k))));
	}
}

/* "10.88.0.2/16 on eth0 by 10.88.0.1", or "0.0.0.0/0 by 10.88.0.1" of a route. */
static const char *network_entry(struct ctl *ctl, const json_t *entry, const char *what, const char *by)
{
	const char *text = field_text(&ctl->arena, entry, what),
		   *interface = field_text(&ctl->arena, entry, "interface"),
		   *gateway = field_text(&ctl->arena, entry, by);

	return arena_printf(&ctl->arena, "%s%s%s%s%s", text ? text : "?", interface ? " on " : "",
			    interface ? interface : "", gateway ? " by " : "", gateway ? gateway : "");
}

static const char *network_entries(struct ctl *ctl, const json_t *network, const char *list, const char *what,
				   const char *by)
{
	const json_t *entries = json_object_get(network, list);
	const char *text = NULL;

	for (size_t i = 0; i < json_array_size(entries) && i < ADDRESSES_SHOWN; i++) {
		const char *one = network_entry(ctl, json_array_get(entries, i), what, by);

		text = text ? arena_printf(&ctl->arena, "%s, %s", text, one) : one;
	}
	return text;
}

static void print_network(struct ctl *ctl, const json_t *status)
{
	const json_t *network = json_object_get(status, "network"),
		     *left = json_object_get(status, "networks_left");
	struct arena *arena = &ctl->arena;
	const char *name = field_text(arena, network, "name"),
		   *servers = field_joined(arena, network, "nameservers"),
		   *addresses = network_entries(ctl, network, "addresses", "address", "gateway"),
		   *routes = network_entries(ctl, network, "routes", "to", "via");

	line(ctl, "Network", name && addresses ? arena_printf(arena, "%s: %s", name, addresses) : name);
	line(ctl, "Routes", routes);
	line(ctl, "Name servers", servers);
	for (size_t i = 0; i < json_array_size(left); i++)
		line(ctl, "Left behind",
		     arena_printf(arena, MARK_YELLOW "%s" MARK_PLAIN,
				  field_print(arena, json_array_get(left, i))));
}

static void print_limits(struct ctl *ctl, const json_t *status)
{
	line(ctl, "Limits", limits(ctl, status));
	print_not_in_force(ctl, status);
	print_slices(ctl, status);
}

void status_print(struct ctl *ctl, const json_t *status)
{
	const json_t *errors = json_object_get(status, "file_errors");
	const char *failure = status_failure(ctl, status), *name = field_text(&ctl->arena, status, "name");

	print_head(ctl, status);
	print_listeners(ctl, status);
	print_use(ctl, status);
	print_network(ctl, status);
	print_wakes(ctl, status);
	print_limits(ctl, status);
	if (failure)
		line(ctl, "Failure", arena_printf(&ctl->arena, MARK_RED "%s" MARK_PLAIN, failure));
	if (field_is(status, "restart_needed", true))
		line(ctl, "Changed",
		     arena_printf(&ctl->arena,
				  MARK_YELLOW
				  "the unit, since this container started; it gets it by: torporctl restart "
				  "%s" MARK_PLAIN,
				  name ? name : "SITE"));
	for (size_t i = 0; i < json_array_size(errors); i++)
		line(ctl, i == 0 ? "Refused" : NULL,
		     arena_printf(&ctl->arena, MARK_RED "%s" MARK_PLAIN,
				  field_file_error(&ctl->arena, json_array_get(errors, i))));
	if (json_array_size(errors) > 0)
		line(ctl, NULL, "The site runs on its last good unit; the file on disk is not in force.");
}

static enum exit_code host_status(struct ctl *ctl)
{
	struct reply reply;
	enum exit_code code = ctl_call(ctl, "GetHost", NULL, NULL, &reply);
	const json_t *host = json_object_get(reply.parameters, "host");

	if (code == EXIT_OK && !json_is_object(host))
		code = ctl_complain(ctl, -EBADMSG);
	else if (code == EXIT_OK && ctl->options->json)
		ctl_print_json(ctl, host);
	else if (code == EXIT_OK)
		host_print(ctl, host);
	reply_finish(&reply);
	return code;
}

/* Asks for one site and prints it, or appends it to array. */
static enum exit_code site_status(struct ctl *ctl, const char *site, bool first, json_t *array)
{
	struct reply reply;
	enum exit_code code = ctl_call(ctl, "GetStatus", json_pack("{s:s}", "site", site), site, &reply);
	json_t *status = json_object_get(reply.parameters, "status");
	const char *state = field_raw(status, "state");

	if (code == EXIT_OK && !json_is_object(status))
		code = ctl_complain(ctl, -EBADMSG);
	else if (code == EXIT_OK && state && str_equal(state, "failed"))
		code = EXIT_SITE_FAILED;
	if (!reply.message)
		return code;
	if (ctl->options->json && json_is_object(status)) {
		json_array_append(array, status);
	} else if (ctl->options->json) {
		json_array_append_new(array, ctl_error_object(site, &reply));
	} else if (json_is_object(status)) {
		if (!first)
			putchar('\n');
		status_print(ctl, status);
	}
	reply_finish(&reply);
	return code;
}

enum exit_code command_status(struct ctl *ctl)
{
	enum exit_code code = ctl_connect(ctl, CTL_TIMEOUT_US);
	json_t *names = NULL, *value, *array;
	bool first = true,
	     alone = ctl->options->n_arguments == 1 && !sites_is_pattern(ctl->options->arguments[0]);
	const char *name;

	if (code != EXIT_OK)
		return code;
	if (ctl->options->n_arguments == 0)
		return host_status(ctl);
	array = json_array();
	code = sites_select(ctl, &names);
	json_object_foreach(names, name, value)
	{
		client_set_timeout(&ctl->client, ctl_timeout(ctl, CTL_TIMEOUT_US));
		code = ctl_worse(code, site_status(ctl, name, first, array));
		first = false;
		if (code == EXIT_UNREACHABLE)
			break;
	}
	if (ctl->options->json && (!alone || json_array_size(array) > 0))
		ctl_print_json(ctl, alone ? json_array_get(array, 0) : array);
	json_decref(names);
	json_decref(array);
	return code;
}
