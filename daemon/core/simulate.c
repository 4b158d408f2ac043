/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "client.h"
#include "clock.h"
#include "control.h"
#include "daemon.h"
#include "history.h"
#include "ledgers.h"
#include "str.h"
#include "value.h"

/* Simulate: what other times of [Hibernate] would have cost and saved, by the gaps of a site's ledger. */

#define THAW_US 250.0 /* a thaw of a site that has never been thawed */

static const struct {
	const char *key;
	size_t offset;
} keys[] = {
	{"FreezeAfterSec", offsetof(struct gaps_times, freeze_us)},
	{"PageOutAfterSec", offsetof(struct gaps_times, page_out_us)},
	{"StopAfterSec", offsetof(struct gaps_times, stop_us)},
};

/* Those of its unit. What is to be paged out is frozen by then. */
static struct gaps_times times_of(const struct site_spec *spec)
{
	struct gaps_times times = {spec->freeze_after_us, spec->page_out_after_us, spec->stop_after_us};

	if (spec->keep != KEEP_NONE)
		times.page_out_us = times.stop_us = SPEC_INFINITY;
	if (spec->keep == KEEP_AWAKE)
		times.freeze_us = SPEC_INFINITY;
	return times;
}

/* "KEY=VALUE". -EINVAL. */
static int apply(struct gaps_times *times, const char *setting)
{
	const char *value = setting ? strchr(setting, '=') : NULL;

	for (size_t i = 0; value && i < sizeof keys / sizeof keys[0]; i++)
		if (strlen(keys[i].key) == (size_t)(value - setting) &&
		    strncmp(keys[i].key, setting, (size_t)(value - setting)) == 0)
			return value_parse_span(value + 1, 1000000,
						(uint64_t *)((char *)times + keys[i].offset)) < 0
				       ? -EINVAL
				       : 0;
	return -EINVAL;
}

static json_t *outcome(const struct ledger *ledger, const struct gaps_times *times)
{
	uint64_t cold_us = sketch_quantile(&ledger->cold, 50), thaw_us = sketch_quantile(&ledger->thaw, 50);
	double paged_kib = ledger->paged_kib > 0 ? ledger->paged_kib : ledger->awake_kib, memory;
	struct gaps_cost cost;

	gaps_simulate(&ledger->gaps, ledger->window_us, times, &cost);
	memory = (cost.awake_us + cost.frozen_us) * ledger->awake_kib + cost.paged_us * paged_kib;
	return json_pack("{s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f}", "awake_us", (json_int_t)cost.awake_us,
			 "frozen_us", (json_int_t)cost.frozen_us, "paged_us", (json_int_t)cost.paged_us,
			 "cold_us", (json_int_t)cost.cold_us, "wakes", cost.wakes, "thaws", cost.thaws,
			 "memory_byte_hours", memory * 1024 / 3600e6, "waited_us",
			 cost.wakes * (double)cold_us + cost.thaws * (thaw_us > 0 ? (double)thaw_us : THAW_US));
}

/* The gap that has not ended yet is one too. */
static struct ledger ledger_now(struct site *site)
{
	struct ledger ledger;

	ledgers_note_gaps(site);
	ledger_account(&site->history->ledger, site->state, clock_now_ns());
	ledger = site->history->ledger;
	ledger_used(&ledger, clock_now_ns());
	return ledger;
}

void method_simulate(struct client *client, json_t *parameters)
{
	const char *name = json_string_value(json_object_get(parameters, "site"));
	json_t *settings = json_object_get(parameters, "settings"), *setting;
	struct gaps_times times, other;
	struct ledger ledger;
	struct site *site = NULL;
	size_t i;

	if (name)
		HASH_FIND_STR(control_daemon(client->control)->sites, name, site);
	if (!site) {
		client_error(client, PROTOCOL_INTERFACE ".NoSuchSite",
			     json_pack("{s:s}", "site", name ? name : ""));
		return;
	}
	times = other = times_of(site->plan->spec);
	json_array_foreach(settings, i, setting) if (apply(&other, json_string_value(setting)) < 0)
	{
		client_error(client, PROTOCOL_INTERFACE ".SettingRefused",
			     json_pack("{s:s, s:i, s:s}", "file", "", "line", 0, "message",
				       "expected FreezeAfterSec=, PageOutAfterSec= or StopAfterSec= with a "
				       "time such as "
				       "30s, 10min or infinity"));
		return;
	}
	if (!site->history || site->history->ledger.since_us == 0) {
		client_reply(client, json_object(), false);
		return;
	}
	ledger = ledger_now(site);
	client_reply(client,
		     json_pack("{s:{s:I, s:o*, s:o*}}", "simulation", "window_us", (json_int_t)ledger.window_us,
			       "now", outcome(&ledger, &times), "then", outcome(&ledger, &other)),
		     false);
}
