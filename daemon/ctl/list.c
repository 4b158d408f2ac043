/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fnmatch.h>
#include <stdint.h>
#include <string.h>

#include "cleanup.h"
#include "command.h"
#include "field.h"
#include "log.h"
#include "moment.h"
#include "options.h"
#include "sheet.h"
#include "sites.h"
#include "state.h"
#include "str.h"
#include "table.h"

/* torporctl list */

static const struct table_column columns[] = {
	{"SITE", .least = 22, .cut = WIDTH_CUT_MIDDLE},
	{"STATE"},
	{"SINCE", .gives_way = 2},
	{"CONN", .right = true, .gives_way = 4},
	{"MEMORY", .right = true, .gives_way = 1},
	{"WAKES", .right = true, .gives_way = 3},
	{"SLICE", .optional = true, .spare = true, .gives_way = 6, .least = 8, .cut = WIDTH_CUT_END},
	{"TEMPLATE", .optional = true, .spare = true, .gives_way = 6, .least = 8, .cut = WIDTH_CUT_END},
	{"ERROR", .optional = true, .gives_way = 5, .least = 20, .cut = WIDTH_CUT_END},
};

#define N_COLUMNS (sizeof columns / sizeof columns[0])

/* Keeps the sites that one of the arguments means; without arguments all. */
static void keep_matches(const struct ctl *ctl, struct sites *sites)
{
	size_t kept = 0;

	for (size_t i = 0; i < sites->count; i++) {
		const char *name = field_raw(sites->items[i], "name");
		bool wanted = ctl->options->n_arguments == 0;

		for (int j = 0; name && !wanted && j < ctl->options->n_arguments; j++)
			wanted = fnmatch(ctl->options->arguments[j], name, 0) == 0;
		if (wanted)
			sites->items[kept++] = sites->items[i];
		else
			json_decref(sites->items[i]);
	}
	sites->count = kept;
}

static json_t *choose(const struct ctl *ctl, const char *state)
{
	return json_pack("{s:s*, s:s*}", "state", state, "slice", ctl->options->slice);
}

/* All sites, or those in the states of --state=A,B; of the slice of --slice=. */
static enum exit_code fetch(struct ctl *ctl, struct sites *sites)
{
	enum exit_code code = EXIT_OK;
	autofree char *states = NULL;

	if (!ctl->options->state)
		return sites_list(ctl, choose(ctl, NULL), sites);
	states = strdup(ctl->options->state);
	for (char *rest = states, *state; code == EXIT_OK && (state = strsep(&rest, ","));)
		code = sites_list(ctl, choose(ctl, state), sites);
	return code;
}

static void print_table(struct ctl *ctl, const struct sites *sites)
{
	uint64_t now = moment_now(), since;
	struct arena *arena = &ctl->arena;
	struct table table;

	table_init(&table, columns, N_COLUMNS);
	for (size_t i = 0; i < sites->count; i++) {
		const json_t *site = sites->items[i];
		const char *error = field_text(arena, site, "error");
		const char *cells[N_COLUMNS] = {
			field_text(arena, site, "name"),
			state_format(arena, field_raw(site, "state")),
			field_u64(site, "since_us", &since) ? moment_relative(arena, since, now) : NULL,
			field_count(arena, site, "connections"),
			field_bytes(arena, site, "memory_bytes"),
			field_count(arena, site, "wakes"),
			field_text(arena, site, "slice"),
			field_text(arena, site, "template"),
			error ? arena_printf(arena, MARK_RED "%s" MARK_PLAIN, error) : NULL,
		};

		if (table_add(&table, cells) < 0)
			break;
	}
	table_print(&table, &ctl->terminal, SIZE_MAX, stdout);
	table_finish(&table);
	if (sites->count > 0)
		putchar('\n');
	sheet_sentence(&ctl->terminal, stdout, sites_summary(ctl, sites));
}

static void print_names(const struct sites *sites)
{
	for (size_t i = 0; i < sites->count; i++) {
		const char *name = field_raw(sites->items[i], "name");

		if (name && str_valid_name(name))
			puts(name);
	}
}

enum exit_code command_list(struct ctl *ctl)
{
	struct sites sites = {0};
	enum exit_code code = ctl_connect(ctl, CTL_TIMEOUT_US);

	if (code == EXIT_OK)
		code = fetch(ctl, &sites);
	if (code == EXIT_OK) {
		keep_matches(ctl, &sites);
		sites_sort_by_name(&sites);
		if (ctl->options->n_arguments > 0 && sites.count == 0) {
			log_error("no site matches");
			code = EXIT_NO_SITE;
		}
		if (ctl->options->json) {
			json_t *array = sites_to_json(&sites);

			ctl_print_json(ctl, array);
			json_decref(array);
		} else if (ctl->options->flags & OPTION_NAMES) {
			print_names(&sites);
		} else {
			print_table(ctl, &sites);
		}
	}
	sites_finish(&sites);
	return code;
}
