/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sites.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ctl.h"
#include "field.h"
#include "log.h"
#include "options.h"
#include "state.h"
#include "str.h"

#define SITES_MAX       1000000                /* more than a host can hold */
#define SITES_BYTES_MAX (512ULL * 1024 * 1024) /* of one answer to List */

void sites_finish(struct sites *sites)
{
	for (size_t i = 0; i < sites->count; i++)
		json_decref(sites->items[i]);
	free(sites->items);
	*sites = (struct sites){0};
}

static int append(struct sites *sites, json_t *site)
{
	if (sites->count == SITES_MAX)
		return -EMSGSIZE;
	if (sites->count == sites->allocated) {
		size_t want = sites->allocated ? sites->allocated * 2 : 256;
		json_t **grown = reallocarray(sites->items, want, sizeof(json_t *));

		if (!grown)
			return -ENOMEM;
		sites->items = grown;
		sites->allocated = want;
	}
	sites->items[sites->count++] = json_incref(site);
	return 0;
}

int sites_fetch(struct client *client, json_t *parameters, struct sites *sites, struct reply *ret_error)
{
	uint64_t before = client->received_bytes;
	bool more = true;
	int r = client_send(client, "List", parameters, PROTOCOL_MORE);

	while (r >= 0 && more) {
		struct reply reply;
		json_t *site;

		r = client_wait(client, &reply);
		if (r < 0)
			return r;
		if (reply.error) {
			*ret_error = reply;
			return 1;
		}
		more = reply.continues;
		site = json_object_get(reply.parameters, "site");
		if (json_is_object(site))
			r = append(sites, site);
		else if (more)
			r = -EBADMSG;
		reply_finish(&reply);
		if (client->received_bytes - before > SITES_BYTES_MAX)
			r = -EMSGSIZE;
	}
	return r;
}

enum exit_code sites_list(struct ctl *ctl, json_t *parameters, struct sites *sites)
{
	enum exit_code code;
	struct reply error;
	int r = sites_fetch(&ctl->client, parameters, sites, &error);

	if (r < 0)
		return ctl_complain(ctl, r);
	if (r == 0)
		return EXIT_OK;
	code = ctl_complain_reply(ctl, &error, NULL);
	reply_finish(&error);
	return code;
}

static int compare_names(const void *a, const void *b)
{
	const char *first = field_raw(*(json_t *const *)a, "name"),
		   *second = field_raw(*(json_t *const *)b, "name");

	return strcmp(first ? first : "", second ? second : "");
}

void sites_sort_by_name(struct sites *sites)
{
	if (sites->count > 1)
		qsort(sites->items, sites->count, sizeof *sites->items, compare_names);
}

json_t *sites_to_json(const struct sites *sites)
{
	json_t *array = json_array();

	for (size_t i = 0; i < sites->count; i++)
		json_array_append(array, sites->items[i]);
	return array;
}

json_t *sites_tally(const struct sites *sites)
{
	json_t *counts = json_object();

	for (size_t i = 0; i < sites->count; i++) {
		const char *state = field_raw(sites->items[i], "state");
		uint64_t count = 0;

		if (!state)
			state = "in an unknown state";
		field_u64(counts, state, &count);
		json_object_set_new(counts, state, json_integer((json_int_t)count + 1));
	}
	return counts;
}

const char *sites_summary(struct ctl *ctl, const struct sites *sites)
{
	json_t *counts = sites_tally(sites);
	const char *text = state_format_counts(&ctl->arena, counts);

	json_decref(counts);
	return arena_printf(&ctl->arena, "%zu site%s%s%s", sites->count, sites->count == 1 ? "" : "s",
			    text ? ": " : "", text ? text : "");
}

int sites_is_pattern(const char *argument)
{
	return strpbrk(argument, "*?[") != NULL;
}

/* Adds the names that match pattern. Returns how many. */
static size_t add_matches(json_t *names, const struct sites *sites, const char *pattern)
{
	size_t found = 0;

	for (size_t i = 0; i < sites->count; i++) {
		const char *name = field_raw(sites->items[i], "name");

		if (!name || !str_valid_name(name) || fnmatch(pattern, name, 0) != 0)
			continue;
		json_object_set_new(names, name, json_true());
		found++;
	}
	return found;
}

static enum exit_code fetch_all(struct ctl *ctl, struct sites *sites)
{
	enum exit_code code = ctl->client.fd < 0 ? ctl_connect(ctl, CTL_TIMEOUT_US) : EXIT_OK;

	if (code == EXIT_OK)
		code = sites_list(ctl, NULL, sites);
	sites_sort_by_name(sites);
	return code;
}

static void complain_of_name(const char *argument)
{
	log_error("there is no site %s: this cannot be the name of one", argument);
}

const char *sites_one(struct ctl *ctl)
{
	const char *argument = ctl->options->arguments[0];

	if (str_valid_name(argument))
		return argument;
	complain_of_name(argument);
	return NULL;
}

enum exit_code sites_select(struct ctl *ctl, json_t **ret)
{
	struct sites sites = {0};
	json_t *names = json_object();
	enum exit_code code = EXIT_OK;
	bool fetched = false;

	for (int i = 0; i < ctl->options->n_arguments; i++) {
		const char *argument = ctl->options->arguments[i];

		if (!sites_is_pattern(argument)) {
			if (str_valid_name(argument)) {
				json_object_set_new(names, argument, json_true());
				continue;
			}
			complain_of_name(argument);
			code = ctl_worse(code, EXIT_NO_SITE);
			continue;
		}
		if (!fetched) {
			enum exit_code listed = fetch_all(ctl, &sites);

			code = ctl_worse(code, listed);
			if (listed != EXIT_OK)
				break;
			fetched = true;
		}
		if (add_matches(names, &sites, argument) == 0) {
			log_error("no site matches %s", argument);
			code = ctl_worse(code, EXIT_NO_SITE);
		}
	}
	sites_finish(&sites);
	*ret = names;
	return code;
}
