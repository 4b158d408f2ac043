/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "ctl.h"

/* What torporctl can do. Each command is a function that prints and returns what to exit with. */
struct command {
	const char *name;
	const char *arguments; /* "[SITE...]" */
	int least, most;       /* how many of them */
	unsigned flags;        /* OPTION_... it takes */
	const char *summary;   /* one line */
	enum exit_code (*run)(struct ctl *ctl);
};

/* NULL when there is none of this name. */
const struct command *command_find(const char *name);

enum exit_code command_list(struct ctl *ctl);
enum exit_code command_status(struct ctl *ctl);
enum exit_code command_why(struct ctl *ctl);
enum exit_code command_wake(struct ctl *ctl);
enum exit_code command_freeze(struct ctl *ctl);
enum exit_code command_pageout(struct ctl *ctl);
enum exit_code command_stop(struct ctl *ctl);
enum exit_code command_restart(struct ctl *ctl);
enum exit_code command_set(struct ctl *ctl);
enum exit_code command_reload(struct ctl *ctl);
enum exit_code command_security(struct ctl *ctl);
enum exit_code command_verify(struct ctl *ctl);
enum exit_code command_cat(struct ctl *ctl);
enum exit_code command_plan(struct ctl *ctl);
enum exit_code command_events(struct ctl *ctl);
enum exit_code command_simulate(struct ctl *ctl);
enum exit_code command_top(struct ctl *ctl);
