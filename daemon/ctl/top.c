/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "command.h"
#include "dump.h"
#include "field.h"
#include "log.h"
#include "moment.h"
#include "options.h"
#include "screen.h"
#include "sites.h"
#include "state.h"
#include "table.h"
#include "width.h"

/* torporctl top */

#define REFRESH_US 1000000
#define HEAD_LINES 3 /* above the table; the titles come on top */
#define FOOT_LINES 2

static const struct table_column columns[] = {
	{"SITE", .least = 20, .cut = WIDTH_CUT_MIDDLE},
	{"STATE"},
	{"CPU", .right = true, .gives_way = 2, .optional = true},
	{"MEMORY", .right = true, .gives_way = 1},
	{"CONN", .right = true, .gives_way = 3},
	{"WAKES", .right = true, .gives_way = 4},
	{"SINCE", .gives_way = 5},
};

#define N_COLUMNS (sizeof columns / sizeof columns[0])

/* What is known about the box at one instant. */
struct sample {
	struct sites sites;
	json_t *host;   /* owned; NULL: not known */
	uint64_t at_us; /* CLOCK_MONOTONIC */
};

struct top {
	struct ctl *ctl;
	struct screen screen;
	struct sample now, before;
	int trouble; /* why there is no newer sample: 0 or -errno */
	bool quit;
};

static void sample_finish(struct sample *sample)
{
	sites_finish(&sample->sites);
	json_decref(sample->host);
	*sample = (struct sample){0};
}

/* Takes a sample on the connection of ctl, connecting when there is none. 0, 1 with *ret_error, or -errno. */
static int sample_take(struct ctl *ctl, struct sample *sample, struct reply *ret_error)
{
	uint64_t timeout = ctl_timeout(ctl, CTL_TIMEOUT_US);
	struct reply reply;
	int r = 0;

	if (ctl->client.fd < 0)
		r = client_connect(&ctl->client, ctl->options->run_dir, timeout);
	client_set_timeout(&ctl->client, timeout);
	if (r >= 0)
		r = client_send(&ctl->client, "GetHost", NULL, 0);
	if (r >= 0)
		r = client_wait(&ctl->client, &reply);
	if (r < 0)
		return r;
	if (reply.error) {
		*ret_error = reply;
		return 1;
	}
	sample->host = json_incref(json_object_get(reply.parameters, "host"));
	reply_finish(&reply);
	sample->at_us = moment_monotonic();
	return sites_fetch(&ctl->client, NULL, &sample->sites, ret_error);
}

static int compare_u64(const json_t *a, const json_t *b, const char *key)
{
	uint64_t first = 0, second = 0;

	field_u64(a, key, &first);
	field_u64(b, key, &second);
	return (first < second) - (first > second);
}

/* What runs first, by what it uses. */
static int compare_busy(const void *first, const void *second)
{
	const json_t *a = *(json_t *const *)first, *b = *(json_t *const *)second;
	size_t rank_a = state_rank(field_raw(a, "state")), rank_b = state_rank(field_raw(b, "state"));
	const char *name_a = field_raw(a, "name"), *name_b = field_raw(b, "name");
	double cpu_a = 0, cpu_b = 0;
	int order;

	if (rank_a != rank_b)
		return rank_a < rank_b ? -1 : 1;
	field_double(a, "cpu", &cpu_a);
	field_double(b, "cpu", &cpu_b);
	order = (cpu_a < cpu_b) - (cpu_a > cpu_b);
	if (order == 0)
		order = compare_u64(a, b, "connections");
	if (order == 0)
		order = compare_u64(a, b, "memory_bytes");
	return order ? order : strcmp(name_a ? name_a : "", name_b ? name_b : "");
}

/* How much a counter of the host grew a second, or -1. */
static double rate(const struct top *top, const char *key)
{
	uint64_t now, before;

	if (!field_u64(top->now.host, key, &now) || !field_u64(top->before.host, key, &before) ||
	    now < before || top->now.at_us <= top->before.at_us)
		return -1;
	return (double)(now - before) * 1e6 / (double)(top->now.at_us - top->before.at_us);
}

static const char *format_host(const struct top *top, struct arena *arena)
{
	const json_t *host = top->now.host;
	const char *memory = field_bytes(arena, host, "memory_bytes"),
		   *queued = field_count(arena, host, "queued");
	const char *starting = field_count(arena, host, "starting"), *wakes = field_count(arena, host, "wakes");
	double cpu = rate(top, "cpu_usage_us"), wakes_a_second = rate(top, "wakes");
	const char *text;

	text = arena_printf(arena, "Starting %s, queued %s. Wakes %s", starting ? starting : "-",
			    queued ? queued : "-", wakes ? wakes : "-");
	if (wakes_a_second >= 0)
		text = arena_printf(arena, "%s (%.1f/s)", text, wakes_a_second);
	text = arena_printf(arena, "%s. Memory %s", text, memory ? memory : "-");
	return cpu >= 0 ? arena_printf(arena, "%s, CPU %.1f%%", text, cpu / 1e4) : text;
}

static void print_sites(const struct top *top, struct arena *arena, size_t rows, FILE *out)
{
	uint64_t now = moment_now(), since;
	struct table table;
	double cpu;

	table_init(&table, columns, N_COLUMNS);
	for (size_t i = 0; i < top->now.sites.count && i < rows; i++) {
		const json_t *site = top->now.sites.items[i];
		const char *cells[N_COLUMNS] = {
			field_text(arena, site, "name"),
			state_format(arena, field_raw(site, "state")),
			field_double(site, "cpu", &cpu) ? arena_printf(arena, "%.1f%%", cpu * 100) : NULL,
			field_bytes(arena, site, "memory_bytes"),
			field_count(arena, site, "connections"),
			field_count(arena, site, "wakes"),
			field_u64(site, "since_us", &since) ? moment_relative(arena, since, now) : NULL,
		};

		if (table_add(&table, cells) < 0)
			break;
	}
	table_print(&table, &top->ctl->terminal, rows, out);
	table_finish(&table);
}

static void print_line(const struct top *top, struct arena *arena, const char *text, FILE *out)
{
	const struct terminal *terminal = &top->ctl->terminal;

	text = text ? width_fit(arena, text, terminal->columns, WIDTH_CUT_END, terminal_ellipsis(terminal))
		    : "";
	terminal_print(terminal, out, text);
	putc('\n', out);
}

static void draw(struct top *top)
{
	struct terminal *terminal = &top->ctl->terminal;
	const char *version, *counts;
	autofree char *text = NULL;
	size_t size, rows;
	struct arena arena;
	json_t *tally;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	arena_init(&arena);
	terminal_measure(terminal);
	rows = terminal->rows > HEAD_LINES + 1 + FOOT_LINES ? terminal->rows - HEAD_LINES - 1 - FOOT_LINES : 1;
	tally = sites_tally(&top->now.sites);
	counts = state_format_counts(&arena, tally);
	json_decref(tally);
	version = field_text(&arena, top->now.host, "version");
	print_line(top, &arena,
		   arena_printf(&arena, MARK_BOLD "torpor %s" MARK_PLAIN ", %zu sites%s%s",
				version ? version : "?", top->now.sites.count, counts ? ": " : "",
				counts ? counts : ""),
		   out);
	print_line(top, &arena, format_host(top, &arena), out);
	print_line(top, &arena, NULL, out);
	print_sites(top, &arena, rows, out);
	print_line(top, &arena, NULL, out);
	if (top->trouble)
		print_line(
			top, &arena,
			arena_printf(&arena, MARK_RED "%s" MARK_PLAIN,
				     reply_describe_trouble(&arena, top->trouble, top->ctl->options->run_dir)),
			out);
	else
		print_line(top, &arena, MARK_DIM "q: quit" MARK_PLAIN, out);
	fclose(out);
	screen_show(text, terminal->rows);
	arena_finish(&arena);
}

/* Whether to leave; shows the last sample again when the window changed. */
static bool handle_input(void *data)
{
	enum screen_event event;
	struct top *top = data;

	while (!top->quit && (event = screen_next(&top->screen)) != SCREEN_NOTHING) {
		if (event == SCREEN_QUIT)
			top->quit = true;
		else
			draw(top);
	}
	return top->quit;
}

/* Waits for the next refresh. */
static void pause_until(struct top *top, uint64_t due_us)
{
	struct pollfd input = {.fd = top->screen.poll_fd, .events = POLLIN};
	uint64_t now;

	while (!handle_input(top) && (now = moment_monotonic()) < due_us)
		poll(&input, 1, (int)((due_us - now) / 1000 + 1));
}

/* One sample more. false: the daemon refuses, which has been complained of in *ret_code. */
static bool refresh(struct top *top, enum exit_code *ret_code)
{
	struct sample sample = {0};
	struct reply error;
	int r = sample_take(top->ctl, &sample, &error);

	if (r == 0) {
		sample_finish(&top->before);
		top->before = top->now;
		top->now = sample;
		if (top->now.sites.count > 1)
			qsort(top->now.sites.items, top->now.sites.count, sizeof(json_t *), compare_busy);
	} else {
		sample_finish(&sample);
	}
	if (r == 1) {
		screen_finish(&top->screen);
		*ret_code = ctl_complain_reply(top->ctl, &error, NULL);
		reply_finish(&error);
		return false;
	}
	if (r < 0)
		client_finish(&top->ctl->client);
	top->trouble = r;
	return true;
}

static enum exit_code run(struct top *top)
{
	struct client *client = &top->ctl->client;
	enum exit_code code = EXIT_OK;

	client->interrupted = handle_input;
	client->interrupt_fd = top->screen.poll_fd;
	client->data = top;
	while (!top->quit) {
		uint64_t due = moment_monotonic() + REFRESH_US;

		if (!refresh(top, &code))
			return code;
		if (top->quit)
			break;
		draw(top);
		pause_until(top, due);
	}
	screen_finish(&top->screen);
	/* As if it had never been caught: the shell is told. */
	if (top->screen.signal)
		raise(top->screen.signal);
	return EXIT_OK;
}

/* For programs: a line of JSON each second. */
static enum exit_code stream(struct ctl *ctl)
{
	enum exit_code code = EXIT_OK;

	while (code == EXIT_OK) {
		struct sample sample = {0};
		struct reply error;
		int r = sample_take(ctl, &sample, &error);
		json_t *line = json_object();

		if (r == 0) {
			sites_sort_by_name(&sample.sites);
			json_object_set(line, "host", sample.host);
			json_object_set_new(line, "sites", sites_to_json(&sample.sites));
			dump_print(line, false, stdout);
			code = fflush(stdout) != 0 || ferror(stdout) ? EXIT_FAILED : EXIT_OK;
		} else if (r == 1) {
			code = ctl_complain_reply(ctl, &error, NULL);
			reply_finish(&error);
		} else {
			code = ctl_complain(ctl, r);
		}
		json_decref(line);
		sample_finish(&sample);
		if (code == EXIT_OK)
			poll(NULL, 0, REFRESH_US / 1000);
	}
	return code;
}

enum exit_code command_top(struct ctl *ctl)
{
	struct top top = {.ctl = ctl};
	enum exit_code code;
	int r;

	if (!ctl->options->json && (!isatty(STDIN_FILENO) || !ctl->terminal.is_terminal)) {
		log_error("top needs a terminal. Without one: torporctl list, or torporctl top --json");
		return EXIT_USAGE;
	}
	code = ctl_connect(ctl, CTL_TIMEOUT_US);
	if (code != EXIT_OK)
		return code;
	if (ctl->options->json)
		return stream(ctl);
	r = screen_init(&top.screen);
	if (r < 0) {
		log_error("cannot take the terminal: %s", strerror(-r));
		return EXIT_FAILED;
	}
	code = run(&top);
	sample_finish(&top.now);
	sample_finish(&top.before);
	return code;
}
