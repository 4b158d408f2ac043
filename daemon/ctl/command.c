/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "command.h"

#include <limits.h>
#include <stdio.h>

#include "dump.h"
#include "log.h"
#include "options.h"
#include "str.h"

static enum exit_code command_help(struct ctl *ctl);
static enum exit_code command_version(struct ctl *ctl);

static const struct command commands[] = {
	{"list", "[PATTERN...]", 0, INT_MAX, OPTION_STATE | OPTION_NAMES | OPTION_SLICE, "one line a site",
	 command_list},
	{"status", "[SITE...]", 0, INT_MAX, 0, "the whole box, or all about a site", command_status},
	{"why", "SITE", 1, 1, 0, "who woke it, what holds it awake, what comes next", command_why},
	{"wake", "SITE...", 1, INT_MAX, 0, "start or thaw, and wait until it is awake", command_wake},
	{"freeze", "SITE...", 1, INT_MAX, 0, "hibernate in memory", command_freeze},
	{"pageout", "SITE...", 1, INT_MAX, 0, "hibernate to the swap", command_pageout},
	{"stop", "SITE...", 1, INT_MAX, 0, "hibernate to nothing; the next connection wakes it", command_stop},
	{"restart", "SITE...", 1, INT_MAX, 0, "stop, and wake anew", command_restart},
	{"set", "SITE KEY=VALUE...", 1, INT_MAX, OPTION_SLICE | OPTION_PERSIST,
	 "change limits, and keep running", command_set},
	{"reload", "", 0, 0, 0, "read all files again", command_reload},
	{"verify", "FILE|DIR...", 1, INT_MAX, 0, "check files, without a daemon", command_verify},
	{"security", "[SITE...]", 0, INT_MAX, OPTION_OFFLINE | OPTION_THRESHOLD,
	 "what a container may do, and how exposed that is", command_security},
	{"cat", "SITE", 1, 1, OPTION_ALL, "the effective unit", command_cat},
	{"plan", "SITE", 1, 1, 0, "the launch plan that it compiles to", command_plan},
	{"events", "[SITE]", 0, 1, OPTION_FOLLOW, "the last transitions, or new ones as they come",
	 command_events},
	{"simulate", "[SITE] KEY=VALUE", 1, INT_MAX, 0, "what other times would cost and save",
	 command_simulate},
	{"top", "", 0, 0, 0, "a live view of what is awake", command_top},
	{"version", "", 0, 0, 0, "what this is", command_version},
	{"help", "[COMMAND]", 0, 1, 0, "this", command_help},
};

#define N_COMMANDS (sizeof commands / sizeof commands[0])

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (str_equal(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static json_t *describe(const struct command *command)
{
	return json_pack("{s:s, s:s, s:s}", "name", command->name, "arguments", command->arguments, "summary",
			 command->summary);
}

static enum exit_code help_json(const struct ctl *ctl)
{
	json_t *array = json_array();

	for (size_t i = 0; i < N_COMMANDS; i++)
		json_array_append_new(array, describe(&commands[i]));
	dump_print(array, ctl->terminal.is_terminal, stdout);
	json_decref(array);
	return EXIT_OK;
}

static enum exit_code help_about(const struct ctl *ctl, const char *name)
{
	const struct command *command = command_find(name);
	json_t *object;

	if (!command) {
		log_error("there is no command %s", name);
		return EXIT_USAGE;
	}
	if (ctl->options->json) {
		object = describe(command);
		dump_print(object, ctl->terminal.is_terminal, stdout);
		json_decref(object);
		return EXIT_OK;
	}
	printf("torporctl %s", command->name);
	for (const struct command_option *option = command_options; option->name; option++)
		if (command->flags & option->flag)
			printf(" [--%s%s]", option->name, option->argument);
	printf("%s%s\n    %s. More in torporctl(1).\n", *command->arguments ? " " : "", command->arguments,
	       command->summary);
	return EXIT_OK;
}

static void print_command_options(void)
{
	for (const struct command_option *option = command_options; option->name; option++) {
		char letter[] = "-x, ", text[64];

		letter[1] = option->letter;
		snprintf(text, sizeof text, "%s--%s%s", option->letter ? letter : "", option->name,
			 option->argument);
		printf("  %-17s  %s\n", text, option->help);
	}
}

static enum exit_code command_help(struct ctl *ctl)
{
	if (ctl->options->n_arguments > 0)
		return help_about(ctl, ctl->options->arguments[0]);
	if (ctl->options->json)
		return help_json(ctl);
	puts("torporctl [OPTIONS...] COMMAND [ARGUMENTS...]\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		printf("  %-8s %-17s %s\n", commands[i].name, commands[i].arguments, commands[i].summary);
	puts("\n"
	     "Names of sites may be patterns with * and ? (quote them).\n\n"
	     "  --json             objects for programs, on every command");
	print_command_options();
	puts("  --timeout=SECONDS  give up when torpord takes longer\n"
	     "  --color=WHEN       auto, always or never\n"
	     "  --run=DIR          the control socket is DIR/control (/run/torpor)\n"
	     "  --etc=DIR, --lib=DIR\n"
	     "                     verify, security: where templates are looked up\n\n"
	     "Exit codes: 0 done, 1 failed, 2 usage, 3 status: site failed, 4 no such site,\n"
	     "5 no permission, 6 no answer from torpord. More in torporctl(1).");
	return EXIT_OK;
}

static enum exit_code command_version(struct ctl *ctl)
{
	json_t *object;

	if (!ctl->options->json) {
		puts("torporctl " TORPOR_VERSION);
		return EXIT_OK;
	}
	object = json_pack("{s:s}", "version", TORPOR_VERSION);
	dump_print(object, ctl->terminal.is_terminal, stdout);
	json_decref(object);
	return EXIT_OK;
}
