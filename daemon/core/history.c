/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cause.h"
#include "clock.h"
#include "daemon.h"
#include "report.h"
#include "run.h"

static const char *const step_names[WAKE_STEPS] = {
	[WAKE_NETWORK] = "network", [WAKE_QUEUED] = "queued",     [WAKE_TAKEN] = "taken up",
	[WAKE_CLONED] = "cloned",   [WAKE_EXECUTED] = "executed", [WAKE_READY] = "ready",
};

static const char *const peer_unknown[] = {
	[WAKE_PEER_WANTED] = "it is being looked up",
	[WAKE_PEER_ASKED] = "it is being looked up",
	[WAKE_PEER_GONE] = "the connection had gone when it was looked up",
	[WAKE_PEER_UNSEEN] = "the kernel's socket tables could not be read",
};

static uint8_t listener_number(const struct site *site, const struct listener *listener)
{
	for (unsigned i = 0; listener && i < site->plan->spec->n_listeners && i < WAKE_NO_LISTENER; i++)
		if (site->listeners[i] == listener)
			return (uint8_t)i;
	return WAKE_NO_LISTENER;
}

void history_wake(struct site *site, const char *by)
{
	const struct daemon *daemon = site->daemon;
	const struct cause *cause = daemon->caused_at == site ? daemon->cause : NULL;
	struct wake *wake;

	if (!site->history)
		site->history = calloc(1, sizeof *site->history);
	if (!site->history)
		return;
	wake = &site->history->wake;
	*wake = (struct wake){
		.time_us = clock_realtime_us(),
		.by = by,
		.from = site->state,
		.listener = listener_number(site, cause ? cause->listener : NULL),
	};
	if (cause && cause->peer.family != AF_UNSPEC) {
		wake->peer = cause->peer;
		wake->peer_state = WAKE_PEER_KNOWN;
	}
}

static void note_step(struct wake *wake, const struct run *run, enum wake_step step, uint64_t at_ns)
{
	uint64_t us = at_ns > run->wake_ns ? (at_ns - run->wake_ns) / 1000 : 0;

	if (at_ns > 0)
		wake->step_us[step] = us == 0 ? 1 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

void history_awake(struct site *site, uint64_t took_us)
{
	const struct run *run = site->run;
	struct wake *wake = site->history ? &site->history->wake : NULL;

	if (!wake || site->state == STATE_FREEZING)
		return;
	wake->took_us = took_us > UINT32_MAX ? UINT32_MAX : took_us == 0 ? 1 : (uint32_t)took_us;
	if (site_rule(wake->from)->asleep)
		return;
	note_step(wake, run, WAKE_NETWORK, run->attached_ns);
	note_step(wake, run, WAKE_QUEUED, run->launched_ns);
	note_step(wake, run, WAKE_TAKEN, run->job.begun_ns);
	note_step(wake, run, WAKE_CLONED, run->job.cloned_ns);
	note_step(wake, run, WAKE_EXECUTED, run->job.done_ns);
	note_step(wake, run, WAKE_READY, run->ready_ns);
}

/* Asks who is connected where the wake came in. */
static void ask(struct site *site, struct wake *wake)
{
	struct reaper_listener listeners[SPEC_LISTENERS_MAX];
	unsigned n = run_listeners(site->plan->spec, listeners);
	bool one = wake->listener < n;
	struct looker_question question = {
		.id = site->id,
		.tag = wake->time_us,
		.since_ns = site->run->wake_ns,
		.fresh = !site_rule(wake->from)->asleep,
		.listeners = one ? &listeners[wake->listener] : listeners,
		.n_listeners = one ? 1 : n,
	};

	wake->peer_state =
		looker_ask(site->daemon->looker, &question) == 0 ? WAKE_PEER_ASKED : WAKE_PEER_UNSEEN;
}

static void on_look(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;

	for (struct run *run = daemon->runs; run; run = run->next) {
		struct history *history = run->site->history;

		if (history && history->wake.peer_state == WAKE_PEER_WANTED)
			ask(run->site, &history->wake);
	}
}

void history_look(struct site *site)
{
	struct wake *wake = site->history ? &site->history->wake : NULL;

	if (!wake)
		return;
	if (wake->peer_state == WAKE_PEER_KNOWN)
		peer_read_command(&wake->peer);
	if (wake->peer_state != WAKE_PEER_NONE || !site->run || strcmp(wake->by, "connection") != 0)
		return;
	wake->peer_state = WAKE_PEER_WANTED;
	if (!uv_is_active((uv_handle_t *)&site->daemon->look))
		uv_timer_start(&site->daemon->look, on_look, HISTORY_LOOK_MS, 0);
}

void history_answered(struct site *site, const struct looker_answer *answer)
{
	struct wake *wake = site->history ? &site->history->wake : NULL;
	const struct connections *connections = &answer->connections;

	if (!wake || wake->time_us != answer->tag || wake->peer_state != WAKE_PEER_ASKED)
		return;
	if (connections->n_recent == 0) {
		wake->peer_state = answer->known ? WAKE_PEER_GONE : WAKE_PEER_UNSEEN;
		return;
	}
	wake->peer_state = WAKE_PEER_KNOWN;
	wake->peer = connections->first.peer;
	wake->others = (uint16_t)(connections->n_recent > UINT16_MAX ? UINT16_MAX : connections->n_recent - 1);
}

json_t *history_peer_json(const struct peer *peer)
{
	char text[128];
	json_t *object = json_pack("{s:o*}", "text", report_string(peer_format(peer, text, sizeof text)));

	if (!object)
		return NULL;
	if (peer->family == AF_INET || peer->family == AF_INET6)
		json_object_set_new(object, "address", json_string(text));
	if (peer->pid > 0)
		json_object_set_new(object, "pid", json_integer(peer->pid));
	if (peer->pid > 0 && *peer->command) {
		snprintf(text, sizeof text, "%.*s", (int)sizeof peer->command, peer->command);
		json_object_set_new(object, "command", report_string(text));
	}
	if (peer->has_uid)
		json_object_set_new(object, "uid", json_integer(peer->uid));
	return object;
}

/* [{"name": "queued", "took_us": 12}, ...]: each since the one before. */
static json_t *steps_json(const struct wake *wake)
{
	json_t *steps = json_array();
	uint32_t before = 0;

	for (unsigned i = 0; steps && i < WAKE_STEPS; i++) {
		uint32_t at = wake->step_us[i];

		if (at == 0)
			continue;
		json_array_append_new(steps, json_pack("{s:s, s:I}", "name", step_names[i], "took_us",
						       (json_int_t)(at > before ? at - before : 0)));
		before = at > before ? at : before;
	}
	return steps;
}

static void add_peer(json_t *object, const struct wake *wake)
{
	if (wake->peer_state == WAKE_PEER_KNOWN)
		json_object_set_new(object, "peer", history_peer_json(&wake->peer));
	else if (wake->peer_state != WAKE_PEER_NONE)
		json_object_set_new(object, "peer_unknown", json_string(peer_unknown[wake->peer_state]));
	if (wake->others > 0)
		json_object_set_new(object, "others", json_integer(wake->others));
}

json_t *history_wake_json(const struct site *site)
{
	const struct wake *wake = site->history ? &site->history->wake : NULL;
	const struct site_spec *spec = site->plan->spec;
	char text[ADDRESS_TEXT_BYTES];
	json_t *object;

	if (!wake || wake->time_us == 0)
		return NULL;
	object = json_pack("{s:I, s:s, s:s, s:o*}", "time_us", (json_int_t)wake->time_us, "from",
			   site_rule(wake->from)->name, "reason", wake->by, "steps", steps_json(wake));
	if (!object)
		return NULL;
	if (wake->took_us > 0)
		json_object_set_new(object, "took_us", json_integer(wake->took_us));
	if (wake->listener < spec->n_listeners)
		json_object_set_new(
			object, "listener",
			report_string(address_format(&spec->listeners[wake->listener].address, text)));
	add_peer(object, wake);
	return object;
}
