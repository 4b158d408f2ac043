/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "client.h"
#include "clock.h"
#include "daemon.h"
#include "explain.h"
#include "interface.h"
#include "loader.h"
#include "cause.h"
#include "report.h"
#include "str.h"
#include "transition.h"

#define LIST_PART 128 /* sites of a list that are written before the loop goes on */

static struct daemon *daemon_of(struct client *client)
{
	return control_daemon(client->control);
}

static void error_site(struct client *client, const char *error, const char *site)
{
	client_error(client, error, json_pack("{s:s}", "site", site));
}

static void not_possible(struct client *client, const struct site *site, const char *reason)
{
	client_error(client, PROTOCOL_INTERFACE ".NotPossible",
		     json_pack("{s:s, s:s, s:s}", "site", site->name, "state", site_rule(site->state)->name,
			       "reason", reason));
}

/* The site named in the parameters; answers with an error when there is none. */
static struct site *find_site(struct client *client, const json_t *parameters)
{
	const char *name = json_string_value(json_object_get(parameters, "site"));
	struct site *site = NULL;

	if (!name) {
		client_error(client, "org.varlink.service.InvalidParameter",
			     json_pack("{s:s}", "parameter", "site"));
		return NULL;
	}
	HASH_FIND_STR(daemon_of(client)->sites, name, site);
	if (!site)
		error_site(client, PROTOCOL_INTERFACE ".NoSuchSite", name);
	return site;
}

/* Commands that wait for a site to come to rest. */

static void reply_rested(struct client *client, const struct site *site)
{
	client_reply(client,
		     json_pack("{s:s, s:I}", "state", site_rule(site->state)->name, "took_us",
			       (json_int_t)((clock_now_ns() - client->wait_since_ns) / 1000)),
		     false);
}

/* Why a site is not where a command wanted it. */
static const char *came_to_rest(const struct client *client, const struct site *site)
{
	if (site->state == STATE_AWAKE && (client->target == STATE_FROZEN || client->target == STATE_PAGED))
		return "something came in while it was being frozen: try again";
	if (site->state != STATE_FROZEN || client->target != STATE_PAGED)
		return "it came to rest in another state";
	switch (site->run->page_error) {
	case ENOSPC:
		return "there is no swap, or too little is left of it";
	case EDQUOT:
		return "MemorySwapMax= does not let it into the swap";
	default:
		return "this host cannot page it out: see the log";
	}
}

/* Cold for a moment, on its way to where the command wants it. */
static bool comes_back(const struct client *client, const struct site *site)
{
	return site->state == STATE_COLD && client->target == STATE_AWAKE && site_wants_to_run(site);
}

void method_site_settled(struct client *client, struct site *site, bool gone)
{
	if (gone) {
		if (client->target == STATE_COLD)
			reply_rested(client, site);
		else
			error_site(client, PROTOCOL_INTERFACE ".NoSuchSite", site->name);
	} else if (site->state == client->target) {
		reply_rested(client, site);
	} else if (!site_rule(site->state)->settled || comes_back(client, site)) {
		return;
	} else if (site->state == STATE_FAILED) {
		client_error(client, PROTOCOL_INTERFACE ".StartFailed", report_start_failed(site));
	} else {
		not_possible(client, site, came_to_rest(client, site));
	}
	control_client_resume(client->control, client);
}

static bool command(struct client *client, struct site *site, enum site_event event)
{
	struct cause cause = {.peer = client->peer};

	peer_read_command(&cause.peer);
	return site_dispatch_from(site, event, "command", &cause);
}

static void wait_for(struct client *client, struct site *site, enum site_state target, enum site_event event)
{
	struct daemon *daemon = daemon_of(client);
	uint64_t id = site->id;

	client->wait = WAIT_SITE;
	client->site_id = id;
	client->target = target;
	client->wait_since_ns = clock_now_ns();
	if (site->state == target && event != EVENT_STOP) {
		reply_rested(client, site);
		return;
	}
	if (!command(client, site, event)) {
		not_possible(client, site, daemon->stopping ? "torpord is stopping" : "not in this state");
		return;
	}
	/* Where nothing had to happen, nobody has answered. */
	if (client->wait == WAIT_SITE && client->site_id == id) {
		site = daemon_find_site(daemon, id);
		if (site && site->state == target)
			reply_rested(client, site);
	}
}

static void method_wake(struct client *client, json_t *parameters)
{
	struct site *site = find_site(client, parameters);

	if (site)
		wait_for(client, site, STATE_AWAKE, EVENT_WAKE);
}

static void method_freeze(struct client *client, json_t *parameters)
{
	struct site *site = find_site(client, parameters);

	if (site && site->state != STATE_AWAKE && site->state != STATE_FREEZING && site->state != STATE_FROZEN)
		not_possible(client, site, "only an awake site can be frozen");
	else if (site)
		wait_for(client, site, STATE_FROZEN, EVENT_FREEZE);
}

static void method_page_out(struct client *client, json_t *parameters)
{
	struct site *site = find_site(client, parameters);

	if (!site)
		return;
	if (site_rule(site->state)->asleep) {
		wait_for(client, site, STATE_PAGED, EVENT_PAGE_OUT);
	} else if (site->state == STATE_AWAKE || site->state == STATE_FREEZING) {
		site->run->page_by = "command";
		wait_for(client, site, STATE_PAGED, EVENT_FREEZE);
	} else {
		not_possible(client, site, "only an awake or a frozen site can be paged out");
	}
}

static void method_stop(struct client *client, json_t *parameters)
{
	struct site *site = find_site(client, parameters);

	if (!site)
		return;
	site->wanted = false;
	site->stopped = true;
	wait_for(client, site, STATE_COLD, EVENT_STOP);
}

static void method_restart(struct client *client, json_t *parameters)
{
	struct site *site = find_site(client, parameters);

	if (!site)
		return;
	if (!site_rule(site->state)->container) {
		wait_for(client, site, STATE_AWAKE, EVENT_WAKE);
		return;
	}
	site->wanted = true;
	client->wait = WAIT_SITE;
	client->site_id = site->id;
	client->target = STATE_AWAKE;
	client->wait_since_ns = clock_now_ns();
	if (!command(client, site, EVENT_STOP))
		not_possible(client, site, "torpord is stopping");
}

/* Reports. */

static void method_get_host(struct client *client, json_t *parameters)
{
	(void)parameters;
	client_reply(client, json_pack("{s:o}", "host", report_host(daemon_of(client))), false);
}

static void method_get_status(struct client *client, json_t *parameters)
{
	const char *name = json_string_value(json_object_get(parameters, "site"));
	struct refused *refused = name ? refused_find(daemon_of(client)->refused, name) : NULL;
	struct site *site = NULL;

	if (name)
		HASH_FIND_STR(daemon_of(client)->sites, name, site);
	if (!site && refused) {
		client_reply(client, json_pack("{s:o}", "status", report_refused_status(refused)), false);
		return;
	}
	site = find_site(client, parameters);
	if (site)
		client_reply(client, json_pack("{s:o}", "status", report_status(site)), false);
}

void method_looked(struct client *client, struct site *site, const struct looker_answer *answer)
{
	if (answer)
		client_reply(client, json_pack("{s:o*}", "why", explain_report(site, answer)), false);
	else
		error_site(client, PROTOCOL_INTERFACE ".NoSuchSite", site->name);
	control_client_resume(client->control, client);
}

static void method_explain(struct client *client, json_t *parameters)
{
	struct site *site = find_site(client, parameters);

	if (!site)
		return;
	if (explain_ask(site, client) < 0) {
		client_reply(client, json_pack("{s:o*}", "why", explain_report(site, NULL)), false);
		return;
	}
	client->wait = WAIT_LOOK;
	client->site_id = site->id;
}

static void method_cat(struct client *client, json_t *parameters)
{
	struct site *site = find_site(client, parameters);
	autofree char *text = NULL;
	json_t *files;
	size_t size;
	FILE *out;

	if (!site)
		return;
	out = open_memstream(&text, &size);
	if (!out) {
		client_close(client);
		return;
	}
	spec_dump(site->plan->spec, json_is_true(json_object_get(parameters, "all")), out);
	fclose(out);
	files = loader_files(daemon_of(client), site);
	client_reply(client, json_pack("{s:o*, s:s}", "files", files, "text", text ? text : ""), false);
}

static void method_plan(struct client *client, json_t *parameters)
{
	struct site *site = find_site(client, parameters);
	autofree char *text = NULL;
	size_t size;
	FILE *out;

	if (!site)
		return;
	out = open_memstream(&text, &size);
	if (!out) {
		client_close(client);
		return;
	}
	plan_dump(site->plan, out);
	fclose(out);
	client_reply(client, json_pack("{s:s}", "text", text ? text : ""), false);
}

static void method_get_security(struct client *client, json_t *parameters)
{
	struct site *site = find_site(client, parameters);
	json_t *security;

	if (!site)
		return;
	security = security_report(site, json_is_true(json_object_get(parameters, "brief")));
	if (security)
		client_reply(client, json_pack("{s:o}", "security", security), false);
	else
		client_close(client);
}

static void method_reload(struct client *client, json_t *parameters)
{
	struct daemon *daemon = daemon_of(client);
	struct load_counts counts = loader_load_all(daemon);

	(void)parameters;
	client_reply(client,
		     json_pack("{s:I, s:I, s:I, s:o*}", "loaded", (json_int_t)HASH_COUNT(daemon->sites),
			       "changed", (json_int_t)(counts.loaded + counts.changed), "removed",
			       (json_int_t)counts.removed, "file_errors", report_all_file_errors(daemon)),
		     false);
}

/* Streams. */

static bool is_listed(const struct client *client, const struct site *site)
{
	const char *slice = site->plan->spec->slice;

	if (client->list_state != STATE_ILLEGAL && site->state != client->list_state)
		return false;
	return !*client->slice || (slice && slice_contains(client->slice, slice));
}

/* Sites stand in the table in the order of their ids, so that the last id written is all there is to remember.
 */
void method_list_continue(struct client *client)
{
	struct daemon *daemon = daemon_of(client);
	json_t *held = NULL; /* one behind: the last one of all has to say so */
	unsigned written = 0;

	for (const struct site *site = daemon->sites; site; site = site->hh.next) {
		if (site->id <= client->list_after || !is_listed(client, site))
			continue;
		if (held)
			client_reply(client, held, true);
		held = NULL;
		if (client->closing || ++written > LIST_PART)
			return;
		held = json_pack("{s:o*}", "site", report_summary(site));
		client->list_after = site->id;
	}
	client_reply(client, held ? held : json_object(), false);
	client_run(client);
}

static void method_list(struct client *client, json_t *parameters)
{
	const char *name = json_string_value(json_object_get(parameters, "state")),
		   *slice = json_string_value(json_object_get(parameters, "slice"));

	if (slice && !slice_valid_name(slice)) {
		client_error(client, "org.varlink.service.InvalidParameter",
			     json_pack("{s:s}", "parameter", "slice"));
		return;
	}
	snprintf(client->slice, sizeof client->slice, "%s", slice ? slice : "");
	client->list_state = name ? site_state_from_name(name) : STATE_ILLEGAL;
	if (name && client->list_state == STATE_ILLEGAL) {
		client_error(client, PROTOCOL_INTERFACE ".NoSuchState", json_pack("{s:s}", "state", name));
		return;
	}
	client->list_after = 0;
	client->wait = WAIT_LIST;
	method_list_continue(client);
}

/* The last of what is remembered, at most so many. */
static void write_recorded(struct client *client, json_int_t most)
{
	const struct journal *journal = &daemon_of(client)->journal;
	unsigned at = journal->n;

	for (json_int_t found = 0; at > 0 && found < most; at--)
		found += client->site_id == 0 || journal_at(journal, at - 1)->site_id == client->site_id;
	for (; at < journal->n && !client->closing; at++) {
		const struct journal_entry *entry = journal_at(journal, at);

		if (client->site_id == 0 || entry->site_id == client->site_id)
			client_reply(client, json_pack("{s:o*}", "event", journal_event(entry)), true);
	}
}

static void method_monitor(struct client *client, json_t *parameters)
{
	const json_t *recorded = json_object_get(parameters, "recorded");
	struct site *site = NULL;

	if (recorded && !json_is_null(recorded) &&
	    (!json_is_integer(recorded) || json_integer_value(recorded) < 0)) {
		client_error(client, "org.varlink.service.InvalidParameter",
			     json_pack("{s:s}", "parameter", "recorded"));
		return;
	}
	if (json_is_string(json_object_get(parameters, "site"))) {
		site = find_site(client, parameters);
		if (!site)
			return;
	}
	client->wait = WAIT_EVENTS;
	client->site_id = site ? site->id : 0;
	client_reply(client, json_object(), true);
	write_recorded(client, json_integer_value(recorded));
	if (json_is_false(json_object_get(parameters, "follow")))
		client_reply(client, json_object(), false);
}

/* The standard interface. */

static void method_get_info(struct client *client, json_t *parameters)
{
	(void)parameters;
	client_reply(client,
		     json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor", "torpor", "product", "torpord",
			       "version", TORPOR_VERSION, "url", "https://torpor.io", "interfaces",
			       "org.varlink.service", PROTOCOL_INTERFACE),
		     false);
}

static void method_get_interface(struct client *client, json_t *parameters)
{
	const char *name = json_string_value(json_object_get(parameters, "interface"));

	if (name && str_equal(name, PROTOCOL_INTERFACE))
		client_reply(client, json_pack("{s:s}", "description", interface_description), false);
	else
		client_error(client, "org.varlink.service.InterfaceNotFound",
			     json_pack("{s:s}", "interface", name ? name : ""));
}

static const struct {
	const char *name;
	void (*call)(struct client *client, json_t *parameters);
	bool changes; /* for root */
	bool streams;
} methods[] = {
	{PROTOCOL_INTERFACE ".List", method_list, false, true},
	{PROTOCOL_INTERFACE ".GetHost", method_get_host, false, false},
	{PROTOCOL_INTERFACE ".GetStatus", method_get_status, false, false},
	{PROTOCOL_INTERFACE ".Explain", method_explain, false, false},
	{PROTOCOL_INTERFACE ".Simulate", method_simulate, false, false},
	{PROTOCOL_INTERFACE ".Wake", method_wake, true, false},
	{PROTOCOL_INTERFACE ".Freeze", method_freeze, true, false},
	{PROTOCOL_INTERFACE ".PageOut", method_page_out, true, false},
	{PROTOCOL_INTERFACE ".Stop", method_stop, true, false},
	{PROTOCOL_INTERFACE ".Restart", method_restart, true, false},
	{PROTOCOL_INTERFACE ".Set", method_set, true, false},
	{PROTOCOL_INTERFACE ".Reload", method_reload, true, false},
	{PROTOCOL_INTERFACE ".Cat", method_cat, false, false},
	{PROTOCOL_INTERFACE ".Plan", method_plan, false, false},
	{PROTOCOL_INTERFACE ".GetSecurity", method_get_security, false, false},
	{PROTOCOL_INTERFACE ".Monitor", method_monitor, false, true},
	{"org.varlink.service.GetInfo", method_get_info, false, false},
	{"org.varlink.service.GetInterfaceDescription", method_get_interface, false, false},
};

void method_call(struct client *client, const char *method, json_t *parameters)
{
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		if (!str_equal(methods[i].name, method))
			continue;
		if (methods[i].changes && !client->may_change)
			client_error(client, PROTOCOL_INTERFACE ".PermissionDenied", NULL);
		else if (methods[i].streams && !client->more)
			client_error(client, PROTOCOL_INTERFACE ".ExpectedMore", NULL);
		else
			methods[i].call(client, parameters);
		return;
	}
	client_error(client, "org.varlink.service.MethodNotFound", json_pack("{s:s}", "method", method));
}
