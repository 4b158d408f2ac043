/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <string.h>

#include "argument.h"
#include "client.h"
#include "command.h"
#include "log.h"
#include "str.h"

#define RUN_DIR         "/run/torpor"
#define TIMEOUT_SEC_MAX (365ULL * 86400)
#define SEE_HELP        " (see torporctl help)"
#define LETTERS         "ahf"

enum {
	KEY_ETC = 256,
	KEY_RUN,
	KEY_LIB,
	KEY_JSON,
	KEY_COLOUR,
	KEY_TIMEOUT,
	KEY_STATE,
	KEY_SLICE,
	KEY_PERSIST,
	KEY_NAMES,
	KEY_ALL,
	KEY_FOLLOW,
	KEY_OFFLINE,
	KEY_THRESHOLD,
	KEY_VERSION
};

static const struct option long_options[] = {
	{"etc", required_argument, NULL, KEY_ETC},
	{"run", required_argument, NULL, KEY_RUN},
	{"lib", required_argument, NULL, KEY_LIB},
	{"json", no_argument, NULL, KEY_JSON},
	{"color", required_argument, NULL, KEY_COLOUR},
	{"colour", required_argument, NULL, KEY_COLOUR},
	{"timeout", required_argument, NULL, KEY_TIMEOUT},
	{"state", required_argument, NULL, KEY_STATE},
	{"slice", required_argument, NULL, KEY_SLICE},
	{"persist", no_argument, NULL, KEY_PERSIST},
	{"names", no_argument, NULL, KEY_NAMES},
	{"all", no_argument, NULL, KEY_ALL},
	{"follow", no_argument, NULL, KEY_FOLLOW},
	{"offline", no_argument, NULL, KEY_OFFLINE},
	{"threshold", required_argument, NULL, KEY_THRESHOLD},
	{"version", no_argument, NULL, KEY_VERSION},
	{"help", no_argument, NULL, 'h'},
	{0},
};

const struct command_option command_options[] = {
	{OPTION_STATE, 0, "state", "=STATE,...", "list: only sites in these states"},
	{OPTION_SLICE, 0, "slice", "=NAME",
	 "list: only sites of this slice, and of those in it\n"
	 "                     set: of this slice, instead of a SITE"},
	{OPTION_NAMES, 0, "names", "", "list: only the names, one a line"},
	{OPTION_PERSIST, 0, "persist", "", "set: for good, not until the next boot"},
	{OPTION_ALL, 'a', "all", "", "cat: defaults too"},
	{OPTION_FOLLOW, 'f', "follow", "", "events: go on as they happen"},
	{OPTION_OFFLINE, 0, "offline", "", "security: of unit files and templates, without a daemon"},
	{OPTION_THRESHOLD, 0, "threshold", "=N", "security: fail above this exposure, 0 to 100 (50: 5.0)"},
	{0},
};

static int parse_colour(const char *text, enum terminal_colour *ret)
{
	static const char *const names[] = {"auto", "always", "never"};

	for (size_t i = 0; i < 3; i++)
		if (str_equal(text, names[i])) {
			*ret = (enum terminal_colour)i;
			return 0;
		}
	log_error("--color=%s: expected auto, always or never", text);
	return -EINVAL;
}

static int parse_timeout(const char *text, struct options *options)
{
	uint64_t seconds;

	if (str_to_u64(text, &seconds) < 0 || seconds > TIMEOUT_SEC_MAX) {
		log_error("--timeout=%s: expected whole seconds, 0 for no limit", text);
		return -EINVAL;
	}
	options->has_timeout = true;
	options->timeout_us = seconds > 0 ? seconds * 1000000 : CLIENT_NEVER;
	return 0;
}

static int parse_directory(const char *name, const char *text, const char **ret)
{
	if (!*text) {
		log_error("--%s=: expected a directory", name);
		return -EINVAL;
	}
	*ret = text;
	return 0;
}

/* A file's name is fine, as for sites nowhere else: systemd's slices are written with their suffix. */
static int parse_slice(struct options *options, char *text)
{
	if (str_has_suffix(text, ".slice"))
		text[strlen(text) - strlen(".slice")] = '\0';
	if (!str_valid_name(text)) {
		log_error("--slice=%s: expected the name of a slice", text);
		return -EINVAL;
	}
	options->slice = text;
	options->flags |= OPTION_SLICE;
	return 0;
}

/* As systemd-analyze(1) has it: ten times the exposure. */
static int parse_threshold(const char *text, struct options *options)
{
	uint64_t tenths;

	if (str_to_u64(text, &tenths) < 0 || tenths > 100) {
		log_error("--threshold=%s: expected a whole number from 0 to 100, ten times an exposure", text);
		return -EINVAL;
	}
	options->threshold = (unsigned)tenths;
	options->flags |= OPTION_THRESHOLD;
	return 0;
}

static int parse_one(struct options *options, int key)
{
	switch (key) {
	case KEY_ETC:
		return parse_directory("etc", optarg, &options->etc_dir);
	case KEY_LIB:
		return parse_directory("lib", optarg, &options->lib_dir);
	case KEY_RUN:
		options->run_option = optarg;
		return parse_directory("run", optarg, &options->run_dir);
	case KEY_JSON:
		options->json = true;
		return 0;
	case KEY_COLOUR:
		return parse_colour(optarg, &options->colour);
	case KEY_TIMEOUT:
		return parse_timeout(optarg, options);
	case KEY_STATE:
		options->state = optarg;
		options->flags |= OPTION_STATE;
		return 0;
	case KEY_SLICE:
		return parse_slice(options, optarg);
	case KEY_PERSIST:
		options->flags |= OPTION_PERSIST;
		return 0;
	case KEY_NAMES:
		options->flags |= OPTION_NAMES;
		return 0;
	case KEY_ALL:
	case 'a':
		options->flags |= OPTION_ALL;
		return 0;
	case KEY_OFFLINE:
		options->flags |= OPTION_OFFLINE;
		return 0;
	case KEY_THRESHOLD:
		return parse_threshold(optarg, options);
	default:
		options->flags |= OPTION_FOLLOW;
		return 0;
	}
}

/* getopt(3) would print the word raw. */
static int complain(int key, char **argv)
{
	char text[ARGUMENT_REFUSED_BYTES];
	const char *word = argument_refused(argv, LETTERS, text);

	if (key == ':')
		log_error("%s needs a value" SEE_HELP, word);
	else if (strchr(word, '=') && strncmp(word, "--", 2) == 0)
		log_error("%s: there is no such option, or it takes no value" SEE_HELP, word);
	else
		log_error("%s: there is no such option" SEE_HELP, word);
	return -EINVAL;
}

static int check_flags(const struct options *options)
{
	for (const struct command_option *option = command_options; option->name; option++)
		if (options->flags & option->flag && !(options->command->flags & option->flag)) {
			log_error("%s takes no --%s" SEE_HELP, options->command->name, option->name);
			return -EINVAL;
		}
	return 0;
}

static int check_arguments(const struct options *options)
{
	const struct command *command = options->command;

	if (options->n_arguments < command->least) {
		log_error("%s: something is missing: torporctl %s %s", command->name, command->name,
			  command->arguments);
		return -EINVAL;
	}
	if (options->n_arguments > command->most) {
		log_error("%s: %s is one too many: torporctl %s%s%s", command->name,
			  options->arguments[command->most], command->name, *command->arguments ? " " : "",
			  command->arguments);
		return -EINVAL;
	}
	return check_flags(options);
}

/* The command is the first word that is no option; instead, --help and --version win over any. */
static int choose_command(struct options *options, const char *instead, int argc, char **argv)
{
	const char *word = optind < argc ? argv[optind] : NULL;

	options->arguments = argv + (word ? optind + 1 : argc);
	options->n_arguments = word ? argc - optind - 1 : 0;
	if (instead) {
		/* "torporctl wake --help" is "torporctl help wake". */
		bool about = word && str_equal(instead, "help") && command_find(word);

		options->command = command_find(instead);
		options->arguments = argv + optind;
		options->n_arguments = about ? 1 : 0;
		options->flags = 0;
		return 0;
	}
	if (!word) {
		log_error("a command is missing" SEE_HELP);
		return -EINVAL;
	}
	options->command = command_find(word);
	if (!options->command) {
		log_error("there is no command %s" SEE_HELP, word);
		return -EINVAL;
	}
	return check_arguments(options);
}

int options_parse(struct options *options, int argc, char **argv)
{
	const char *instead = NULL;
	int key, r;

	*options = (struct options){.run_dir = RUN_DIR, .timeout_us = CLIENT_NEVER};
	opterr = 0;
	while ((key = getopt_long(argc, argv, ":" LETTERS, long_options, NULL)) >= 0) {
		if (key == '?' || key == ':')
			return complain(key, argv);
		if (key == 'h' || key == KEY_VERSION) {
			instead = key == 'h' ? "help" : "version";
			continue;
		}
		r = parse_one(options, key);
		if (r < 0)
			return r;
	}
	return choose_command(options, instead, argc, argv);
}
