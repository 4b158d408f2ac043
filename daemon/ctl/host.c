/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl.h"
#include "field.h"
#include "moment.h"
#include "sheet.h"
#include "state.h"
#include "status.h"

/* torporctl status, without a site: the whole box. */

static void line(struct ctl *ctl, const char *label, const char *text)
{
	sheet_line(&ctl->terminal, stdout, label, text);
}

/* "A of B" from two numbers, or A alone. */
static const char *of(struct ctl *ctl, const json_t *host, const char *key, const char *limit_key)
{
	const char *used = field_count(&ctl->arena, host, key),
		   *limit = field_count(&ctl->arena, host, limit_key);

	return used && limit ? arena_printf(&ctl->arena, "%s of at most %s", used, limit) : used;
}

static void print_head(struct ctl *ctl, const json_t *host, bool trouble)
{
	struct arena *arena = &ctl->arena;
	const char *version = field_text(arena, host, "version"), *pid = field_count(arena, host, "pid");
	uint64_t started;

	terminal_print(&ctl->terminal, stdout,
		       arena_printf(arena, "%s%s" MARK_PLAIN " " MARK_BOLD "torpor" MARK_PLAIN "%s%s\n",
				    trouble ? MARK_YELLOW : MARK_GREEN, terminal_bullet(&ctl->terminal),
				    version ? " " : "", version ? version : ""));
	if (field_u64(host, "started_us", &started))
		line(ctl, "Running",
		     arena_printf(arena, "since %s; %s", moment_absolute(arena, started),
				  moment_relative(arena, started, moment_now())));
	line(ctl, "Main PID", pid);
}

static void print_sites(struct ctl *ctl, const json_t *host)
{
	struct arena *arena = &ctl->arena;
	const char *sites = field_count(arena, host, "sites"), *queued = field_count(arena, host, "queued");
	const char *counts = state_format_counts(arena, json_object_get(host, "states"));
	const char *starting = of(ctl, host, "starting", "max_starting");

	line(ctl, "Sites",
	     sites && counts ? arena_printf(arena, "%s: %s", sites, counts)
	     : sites         ? sites
			     : counts);
	line(ctl, "Starting",
	     starting && queued ? arena_printf(arena, "%s, %s waiting for their turn", starting, queued)
				: starting);
	line(ctl, "Wakes", field_count(arena, host, "wakes"));
	line(ctl, "Listeners", field_count(arena, host, "listeners"));
	line(ctl, "Open files", of(ctl, host, "open_files", "open_files_limit"));
}

static void print_use(struct ctl *ctl, const json_t *host)
{
	struct arena *arena = &ctl->arena;
	const char *memory = field_bytes(arena, host, "memory_bytes"), *controllers;
	const char *missing = field_joined(arena, host, "controllers_missing");
	uint64_t cpu;

	line(ctl, "CGroup", field_text(arena, host, "cgroup"));
	controllers = field_joined(arena, host, "controllers");
	if (missing)
		controllers = arena_printf(arena, "%s; " MARK_YELLOW "missing: %s" MARK_PLAIN,
					   controllers ? controllers : "none", missing);
	line(ctl, "Controllers", controllers);
	line(ctl, "Memory", memory);
	line(ctl, "CPU", field_u64(host, "cpu_usage_us", &cpu) ? moment_span(arena, cpu) : NULL);
	line(ctl, "Scans", field_count(arena, host, "scans"));
}

void host_print(struct ctl *ctl, const json_t *host)
{
	const json_t *errors = json_object_get(host, "file_errors"),
		     *warnings = json_object_get(host, "warnings");

	print_head(ctl, host, json_array_size(errors) + json_array_size(warnings) > 0);
	print_sites(ctl, host);
	print_use(ctl, host);
	for (size_t i = 0; i < json_array_size(warnings); i++)
		line(ctl, i == 0 ? "Warnings" : NULL,
		     arena_printf(&ctl->arena, MARK_YELLOW "%s" MARK_PLAIN,
				  field_print(&ctl->arena, json_array_get(warnings, i))));
	for (size_t i = 0; i < json_array_size(errors); i++)
		line(ctl, i == 0 ? "Not in force" : NULL,
		     arena_printf(&ctl->arena, MARK_RED "%s" MARK_PLAIN,
				  field_file_error(&ctl->arena, json_array_get(errors, i))));
}
