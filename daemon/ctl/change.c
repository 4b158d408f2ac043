/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <poll.h>

#include "command.h"
#include "field.h"
#include "moment.h"
#include "options.h"
#include "sites.h"
#include "state.h"

/* torporctl wake, freeze, pageout, stop, restart: one method, many sites. torpord answers when a site has come
 * to rest, so that each is asked on a connection of its own, several at a time. */

#define AT_ONCE 16

struct change {
	const char *site; /* NULL: free */
	size_t index;     /* its place in the results */
	struct client client;
};

struct changes {
	struct ctl *ctl;
	const char *method;
	json_t *results; /* of --json, in the order of the arguments */
	struct change running[AT_ONCE];
	size_t n_running;
	enum exit_code code;
};

static void print_success(struct ctl *ctl, const char *site, const json_t *parameters)
{
	const char *state = state_format(&ctl->arena, field_raw(parameters, "state"));
	uint64_t took = 0;

	if (field_u64(parameters, "took_us", &took) && took > 0)
		terminal_print(&ctl->terminal, stdout,
			       arena_printf(&ctl->arena, "%s: %s after %s\n", site, state ? state : "done",
					    moment_span(&ctl->arena, took)));
	else
		terminal_print(&ctl->terminal, stdout,
			       arena_printf(&ctl->arena, "%s: %s\n", site, state ? state : "done"));
	fflush(stdout);
}

/* A change is over: by a reply, or (reply->message NULL) by the trouble that has been complained of. */
static void finish(struct changes *changes, struct change *change, struct reply *reply, enum exit_code code)
{
	json_t *result;

	changes->code = ctl_worse(changes->code, code);
	if (code == EXIT_OK && !changes->ctl->options->json)
		print_success(changes->ctl, change->site, reply->parameters);
	if (changes->ctl->options->json) {
		result = code == EXIT_OK ? json_pack("{s:s}", "site", change->site)
					 : ctl_error_object(change->site, reply);
		if (code == EXIT_OK && json_is_object(reply->parameters))
			json_object_update_missing(result, (json_t *)reply->parameters);
		json_array_set_new(changes->results, change->index, result);
	}
	reply_finish(reply);
	client_finish(&change->client);
	change->site = NULL;
	changes->n_running--;
}

/* Starts a change in a free place. Its failure to reach the daemon is returned: it will be everybody's. */
static int start(struct changes *changes, const char *site, size_t index)
{
	struct reply none = {0};
	struct change *change = changes->running;
	int r;

	while (change->site)
		change++;
	*change = (struct change){.site = site, .index = index, .client = CLIENT_CLOSED};
	changes->n_running++;
	r = client_connect(&change->client, changes->ctl->options->run_dir, CTL_TIMEOUT_US);
	client_set_timeout(&change->client, ctl_timeout(changes->ctl, CLIENT_NEVER));
	if (r >= 0)
		r = client_send(&change->client, changes->method, json_pack("{s:s}", "site", site), 0);
	if (r < 0)
		finish(changes, change, &none, ctl_complain(changes->ctl, r));
	return r;
}

static void take_reply(struct changes *changes, struct change *change)
{
	struct reply reply = {0};
	int r = client_poll(&change->client, &reply);

	if (r == 0 && moment_monotonic() < change->client.deadline_us)
		return;
	if (r <= 0)
		finish(changes, change, &reply, ctl_complain(changes->ctl, r == 0 ? -ETIMEDOUT : r));
	else if (reply.error)
		finish(changes, change, &reply, ctl_complain_reply(changes->ctl, &reply, change->site));
	else
		finish(changes, change, &reply, EXIT_OK);
}

/* Waits until one of the running has an answer or is out of time. */
static void wait_for_any(struct changes *changes)
{
	struct pollfd fds[AT_ONCE];
	int timeout = -1;

	for (size_t i = 0; i < AT_ONCE; i++) {
		const struct change *change = &changes->running[i];
		int left = change->site ? client_time_left(&change->client) : -1;

		fds[i] = (struct pollfd){.fd = change->site ? change->client.fd : -1, .events = POLLIN};
		if (left >= 0 && (timeout < 0 || left < timeout))
			timeout = left;
	}
	poll(fds, AT_ONCE, timeout);
	for (size_t i = 0; i < AT_ONCE; i++)
		if (changes->running[i].site)
			take_reply(changes, &changes->running[i]);
}

static enum exit_code change_sites(struct ctl *ctl, const char *method)
{
	struct changes changes = {.ctl = ctl, .method = method, .results = json_array()};
	bool alone = ctl->options->n_arguments == 1 && !sites_is_pattern(ctl->options->arguments[0]);
	json_t *names = NULL, *value;
	const char *name;
	size_t index = 0;

	changes.code = sites_select(ctl, &names);
	json_object_foreach(names, name, value)
	{
		while (changes.n_running == AT_ONCE)
			wait_for_any(&changes);
		json_array_append_new(changes.results, json_null());
		if (start(&changes, name, index++) < 0)
			break;
	}
	while (changes.n_running > 0)
		wait_for_any(&changes);
	if (ctl->options->json && (!alone || index > 0))
		ctl_print_json(ctl, alone ? json_array_get(changes.results, 0) : changes.results);
	json_decref(names);
	json_decref(changes.results);
	return changes.code;
}

enum exit_code command_wake(struct ctl *ctl)
{
	return change_sites(ctl, "Wake");
}

enum exit_code command_freeze(struct ctl *ctl)
{
	return change_sites(ctl, "Freeze");
}

enum exit_code command_pageout(struct ctl *ctl)
{
	return change_sites(ctl, "PageOut");
}

enum exit_code command_stop(struct ctl *ctl)
{
	return change_sites(ctl, "Stop");
}

enum exit_code command_restart(struct ctl *ctl)
{
	return change_sites(ctl, "Restart");
}
