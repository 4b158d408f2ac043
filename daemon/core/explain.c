/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "explain.h"

#include "client.h"
#include "clock.h"
#include "control.h"
#include "daemon.h"
#include "history.h"
#include "ledgers.h"
#include "report.h"
#include "run.h"
#include "schedule.h"
#include "view.h"

#define CLIENT_TAG (UINT64_C(1) << 63) /* the question is a client's; those of wakes are instants */

void view_init(struct view *view, const struct site *site, const struct looker_answer *answer)
{
	*view = (struct view){
		.site = site,
		.spec = site->plan->spec,
		.answer = answer,
		.keep = schedule_keep(site),
		.now_ns = clock_now_ns(),
	};
	if (site->run && site->run->tracked)
		view->watched = reaper_get_activity(site->daemon->reaper, site->id, &view->activity) &&
				view->activity.scanned_ns > 0;
}

uint64_t view_idle_us(const struct view *view)
{
	uint64_t last_ns = view->activity.last_active_ns;

	return view->now_ns > last_ns ? (view->now_ns - last_ns) / 1000 : 0;
}

static json_t *connection_json(const struct site_spec *spec, const struct connection *connection)
{
	char text[ADDRESS_TEXT_BYTES] = "";
	json_t *object;

	if (connection->listener < spec->n_listeners)
		address_format(&spec->listeners[connection->listener].address, text);
	object = json_pack("{s:o*, s:o*, s:s, s:I, s:I}", "listener", report_string(text), "peer",
			   history_peer_json(&connection->peer), "state",
			   connection_state_name(connection->state), "unread_bytes",
			   (json_int_t)connection->unread, "unsent_bytes", (json_int_t)connection->unsent);
	if (object && connection->dated)
		json_object_set_new(object, "idle_us", json_integer((json_int_t)connection->last_data_age_us));
	return object;
}

static void add_connections(json_t *object, const struct view *view)
{
	const struct connections *connections = &view->answer->connections;
	json_t *array = json_array();

	if (!view->answer->known) {
		json_decref(array);
		return;
	}
	for (unsigned i = 0; array && i < connections->n; i++)
		json_array_append_new(array, connection_json(view->spec, &connections->shown[i]));
	json_object_set_new(object, "connections", array);
	json_object_set_new(object, "waiting", json_integer(connections->counts[CONNECTION_WAITING]));
	json_object_set_new(object, "open", json_integer(connections->counts[CONNECTION_OPEN]));
}

json_t *explain_report(const struct site *site, const struct looker_answer *answer)
{
	struct view view;
	json_t *object;

	view_init(&view, site, answer);
	object = json_pack("{s:o*, s:o*, s:o*}", "status", report_status(site), "holds", view_holds(&view),
			   "next", view_nexts(&view));
	if (!object)
		return NULL;
	if (site->history) {
		json_object_set_new(object, "wake", history_wake_json(site));
		json_object_set_new(object, "ledger", ledgers_report(site));
	}
	if (answer)
		add_connections(object, &view);
	return object;
}

int explain_ask(const struct site *site, struct client *client)
{
	struct reaper_listener listeners[SPEC_LISTENERS_MAX];
	struct looker_question question = {
		.id = site->id,
		.tag = CLIENT_TAG | ++site->daemon->next_id,
		.listeners = listeners,
		.n_listeners = run_listeners(site->plan->spec, listeners),
	};

	client->look_tag = question.tag;
	return looker_ask(site->daemon->looker, &question);
}

void explain_answered(struct daemon *daemon, const struct looker_answer *answer)
{
	struct run *run = daemon->runs;

	if (answer->tag & CLIENT_TAG) {
		control_looked(daemon, answer);
		return;
	}
	while (run && run->site->id != answer->id)
		run = run->next;
	if (run)
		history_answered(run->site, answer);
}
