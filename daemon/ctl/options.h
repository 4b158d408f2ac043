/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "terminal.h"

struct command;

/* Options that belong to one command; struct command says which it takes. */
enum option_flag {
	OPTION_STATE = 1 << 0,
	OPTION_NAMES = 1 << 1,
	OPTION_ALL = 1 << 2,
	OPTION_FOLLOW = 1 << 3,
	OPTION_SLICE = 1 << 4,
	OPTION_PERSIST = 1 << 5,
	OPTION_OFFLINE = 1 << 6,
	OPTION_THRESHOLD = 1 << 7,
};

/* One of them, for help and errors. */
struct command_option {
	enum option_flag flag;
	char letter; /* 0: it has none */
	const char *name;
	const char *argument; /* "=STATE,...", or "" */
	const char *help;     /* "list: only sites in these states"; further lines are indented as help is */
};

/* All of them, in the order of help; a NULL name ends them. */
extern const struct command_option command_options[];

/* The command line. Strings are argv's. */
struct options {
	const struct command *command;
	char **arguments; /* after the command, [n_arguments] */
	int n_arguments;

	const char *run_dir;           /* where the control socket is */
	const char *etc_dir, *lib_dir; /* NULL: torpord's default. Used by verify and security */
	const char *run_option;        /* --run= as it was given, or NULL */
	const char *state;             /* --state=, or NULL */
	const char *slice;             /* --slice=, without its suffix, or NULL */
	unsigned flags;                /* OPTION_... that were given */
	unsigned threshold;            /* --threshold=: 0..100 */
	bool json;
	enum terminal_colour colour;
	bool has_timeout;
	uint64_t timeout_us; /* CLIENT_NEVER: none */
};

/* Reads argv. 0; -EINVAL when it is wrong, which has been said on stderr. --help and --version become the
 * commands help and version. */
int options_parse(struct options *options, int argc, char **argv);
