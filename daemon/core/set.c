/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The method Set: settings of a site or a slice, answered when they are in force. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "client.h"
#include "daemon.h"
#include "group.h"
#include "interface.h"
#include "override.h"
#include "report.h"
#include "str.h"

#define SETTINGS_MAX 256 /* in one call */

static struct site *find_site(const struct daemon *daemon, uint64_t id)
{
	for (struct site *site = daemon->sites; site; site = site->hh.next)
		if (site->id == id)
			return site;
	return NULL;
}

static void refuse_parameter(struct client *client, const char *name)
{
	client_error(client, "org.varlink.service.InvalidParameter", json_pack("{s:s}", "parameter", name));
}

/* The strings of a JSON array of them: a new array, the strings are the message's. NULL where it is none. */
static const char **take_settings(const json_t *array, size_t *ret_n)
{
	size_t n = json_array_size(array);
	const char **settings = n > 0 && n <= SETTINGS_MAX ? calloc(n, sizeof *settings) : NULL;

	for (size_t i = 0; settings && i < n; i++) {
		settings[i] = json_string_value(json_array_get(array, i));
		if (!settings[i]) {
			free(settings);
			return NULL;
		}
	}
	*ret_n = n;
	return settings;
}

/* What the client waits for: the enforcement of the site's container or the slice's control group, where there
 * is one that is busy. */
static const struct enforcement *enforcement_of(const struct client *client)
{
	const struct daemon *daemon = control_daemon(client->control);
	const struct site *site = find_site(daemon, client->site_id);
	const struct group *group = *client->slice ? group_find(daemon, client->slice) : NULL;

	if (group)
		return &group->enforcement;
	return site && site->run ? &site->run->enforcement : NULL;
}

static void reply(struct client *client)
{
	const struct daemon *daemon = control_daemon(client->control);
	const struct site *site = find_site(daemon, client->site_id);
	json_t *missing = *client->slice ? report_slice_missing(daemon, client->slice)
			  : site         ? report_missing(site)
					 : json_array();

	client_reply(client, json_pack("{s:s*, s:o*}", "file", client->file, "limits_not_in_force", missing),
		     false);
	free(client->file);
	client->file = NULL;
}

void method_enforced(struct client *client, const struct enforcement *enforcement)
{
	if (enforcement_of(client) != enforcement)
		return;
	reply(client);
	control_client_resume(client->control, client);
}

/* The site or slice that is meant, and its kind. -ENOENT: answered. */
static int find_unit(struct client *client, const json_t *parameters, enum unit_kind *ret_kind,
		     const char **ret_name)
{
	struct daemon *daemon = control_daemon(client->control);
	const char *name = json_string_value(json_object_get(parameters, "site")),
		   *slice = json_string_value(json_object_get(parameters, "slice"));
	struct site *site = NULL;
	autofree char *file = NULL;

	if (!name == !slice) {
		refuse_parameter(client, name ? "slice" : "site");
		return -ENOENT;
	}
	if (slice &&
	    (!slice_valid_name(slice) || lookup_find(&daemon->options.lookup, UNIT_SLICE, slice, &file) < 0)) {
		client_error(client, PROTOCOL_INTERFACE ".NoSuchSlice", json_pack("{s:s}", "slice", slice));
		return -ENOENT;
	}
	if (name)
		HASH_FIND_STR(daemon->sites, name, site);
	if (name && !site) {
		client_error(client, PROTOCOL_INTERFACE ".NoSuchSite", json_pack("{s:s}", "site", name));
		return -ENOENT;
	}
	client->site_id = site ? site->id : 0;
	snprintf(client->slice, sizeof client->slice, "%s", slice ? slice : "");
	*ret_kind = slice ? UNIT_SLICE : UNIT_SITE;
	*ret_name = slice ? slice : site->name;
	return 0;
}

void method_set(struct client *client, json_t *parameters)
{
	struct daemon *daemon = control_daemon(client->control);
	size_t n = 0;
	autofree const char **settings = take_settings(json_object_get(parameters, "settings"), &n);
	const struct enforcement *enforcement;
	struct diag diag = {0};
	enum unit_kind kind;
	const char *name;

	if (!settings) {
		refuse_parameter(client, "settings");
		return;
	}
	if (find_unit(client, parameters, &kind, &name) < 0)
		return;
	free(client->file);
	client->file = NULL;
	if (override_set(daemon, kind, name, settings, n, json_is_true(json_object_get(parameters, "persist")),
			 &client->file, &diag) < 0) {
		client_error(client, PROTOCOL_INTERFACE ".SettingRefused", report_file_error(&diag));
		return;
	}
	enforcement = enforcement_of(client);
	if (enforcement && enforcement_busy(enforcement))
		client->wait = WAIT_LIMITS;
	else
		reply(client);
}
