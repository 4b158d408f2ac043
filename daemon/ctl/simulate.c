/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "command.h"
#include "field.h"
#include "log.h"
#include "moment.h"
#include "options.h"
#include "sites.h"
#include "str.h"
#include "table.h"

/* torporctl simulate: what sites would cost with other times of [Hibernate]. */

#define DAY_US 86400e6

static const struct table_column columns[] = {
	{"SITE", .least = 16, .cut = WIDTH_CUT_MIDDLE},
	{"SEEN", .right = true, .gives_way = 4},
	{"MEMORY/D", .right = true},
	{"THEN", .right = true},
	{"WAKES/D", .right = true, .gives_way = 1},
	{"THEN", .right = true, .gives_way = 1},
	{"THAWS/D", .right = true, .gives_way = 3},
	{"THEN", .right = true, .gives_way = 3},
	{"WAITED/D", .right = true, .gives_way = 2},
	{"THEN", .right = true, .gives_way = 2},
};

#define N_COLUMNS (sizeof columns / sizeof columns[0])

/* Figures of a day. */
struct figures {
	double memory, wakes, thaws, waited_us;
};

static struct figures read_figures(const json_t *outcome, double days)
{
	struct figures figures = {0};

	field_double(outcome, "memory_byte_hours", &figures.memory);
	field_double(outcome, "wakes", &figures.wakes);
	field_double(outcome, "thaws", &figures.thaws);
	field_double(outcome, "waited_us", &figures.waited_us);
	figures.memory /= days;
	figures.wakes /= days;
	figures.thaws /= days;
	figures.waited_us /= days;
	return figures;
}

static void add(struct figures *sum, const struct figures *figures)
{
	sum->memory += figures->memory;
	sum->wakes += figures->wakes;
	sum->thaws += figures->thaws;
	sum->waited_us += figures->waited_us;
}

static uint64_t whole(double value)
{
	return value > 0 && value < 1e18 ? (uint64_t)value : 0;
}

static void set_cells(struct arena *arena, const struct figures *figures, const char **cells)
{
	char text[32];

	cells[0] = arena_printf(arena, "%sh", str_format_bytes(whole(figures->memory), text, sizeof text));
	cells[2] = arena_printf(arena, "%.1f", figures->wakes);
	cells[4] = arena_printf(arena, "%.1f", figures->thaws);
	cells[6] = moment_span(arena, whole(figures->waited_us));
}

static int add_row(struct ctl *ctl, struct table *table, const char *name, const char *seen,
		   const struct figures figures[2])
{
	const char *cells[N_COLUMNS] = {name, seen};

	set_cells(&ctl->arena, &figures[0], &cells[2]);
	set_cells(&ctl->arena, &figures[1], &cells[3]);
	return table_add(table, cells);
}

static void print(struct ctl *ctl, const json_t *array)
{
	struct figures sum[2] = {{0}};
	struct table table;

	table_init(&table, columns, N_COLUMNS);
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *simulation = json_array_get(array, i);
		uint64_t window_us = 0;
		struct figures figures[2];

		field_u64(simulation, "window_us", &window_us);
		if (window_us == 0)
			continue;
		figures[0] = read_figures(json_object_get(simulation, "now"), (double)window_us / DAY_US);
		figures[1] = read_figures(json_object_get(simulation, "then"), (double)window_us / DAY_US);
		add(&sum[0], &figures[0]);
		add(&sum[1], &figures[1]);
		if (add_row(ctl, &table, field_text(&ctl->arena, simulation, "site"),
			    moment_span(&ctl->arena, window_us), figures) < 0)
			break;
	}
	add_row(ctl, &table, "all", NULL, sum);
	table_print(&table, &ctl->terminal, SIZE_MAX, stdout);
	table_finish(&table);
}

/* Asks for one site; one that has not woken yet has nothing to tell. */
static enum exit_code ask(struct ctl *ctl, const char *site, const json_t *settings, json_t *array)
{
	json_t *simulation;
	struct reply reply;
	enum exit_code code;

	client_set_timeout(&ctl->client, ctl_timeout(ctl, CTL_TIMEOUT_US));
	code = ctl_call(ctl, "Simulate", json_pack("{s:s, s:O}", "site", site, "settings", settings), site,
			&reply);
	simulation = json_object_get(reply.parameters, "simulation");
	if (code == EXIT_OK && json_is_object(simulation)) {
		json_object_set_new(simulation, "site", json_string(site));
		json_array_append(array, simulation);
	}
	reply_finish(&reply);
	return code;
}

static enum exit_code ask_all(struct ctl *ctl, const json_t *settings, json_t *array)
{
	struct sites sites = {0};
	enum exit_code code = sites_list(ctl, NULL, &sites);

	sites_sort_by_name(&sites);
	for (size_t i = 0; i < sites.count && code == EXIT_OK; i++) {
		const char *name = field_raw(sites.items[i], "name");

		if (name && str_valid_name(name))
			code = ask(ctl, name, settings, array);
	}
	sites_finish(&sites);
	return code;
}

static enum exit_code ask_named(struct ctl *ctl, const json_t *settings, json_t *array)
{
	json_t *names = NULL, *value;
	enum exit_code code = sites_select(ctl, &names);
	const char *name;

	json_object_foreach(names, name, value)
	{
		code = ctl_worse(code, ask(ctl, name, settings, array));
		if (code == EXIT_UNREACHABLE)
			break;
	}
	json_decref(names);
	return code;
}

/* The words that are settings, which come last. -EINVAL: complained of. */
static int split(struct options *options, json_t *settings)
{
	int n = options->n_arguments;

	while (n > 0 && strchr(options->arguments[n - 1], '='))
		n--;
	for (int i = n; i < options->n_arguments; i++)
		json_array_append_new(settings, json_string(options->arguments[i]));
	if (json_array_size(settings) == 0) {
		log_error("simulate: something is missing: torporctl simulate [SITE...] KEY=VALUE...");
		return -EINVAL;
	}
	options->n_arguments = n;
	return 0;
}

enum exit_code command_simulate(struct ctl *ctl)
{
	struct options *options = arena_alloc(&ctl->arena, sizeof *options); /* without the settings */
	json_t *settings = json_array(), *array = json_array();
	enum exit_code code = EXIT_USAGE;

	if (options) {
		*options = *ctl->options;
		code = split(options, settings) < 0 ? EXIT_USAGE : EXIT_OK;
	}

	if (code == EXIT_OK)
		code = ctl_connect(ctl, CTL_TIMEOUT_US);
	if (code == EXIT_OK) {
		ctl->options = options;
		code = options->n_arguments > 0 ? ask_named(ctl, settings, array)
						: ask_all(ctl, settings, array);
		if (json_array_size(array) == 0 && code == EXIT_OK && !options->json)
			log_error("nothing has been recorded yet: a site counts from its first wake");
		else if (code == EXIT_OK && options->json)
			ctl_print_json(ctl, array);
		else if (json_array_size(array) > 0 && !options->json)
			print(ctl, array);
	}
	json_decref(settings);
	json_decref(array);
	return code;
}
