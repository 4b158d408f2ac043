/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

struct launch_plan;

/* What a program is told of its user. Empty strings: not known. */
struct environment_account {
	const char *user, *home, *shell;
};

/* The folders in which a program named without '/' is looked for, each ending in '/'; NULL-terminated. */
extern const char *const environment_search_path[];

/* Fills plan->envp: PATH, the user's variables, those of an image, the handover's (LISTEN_FDS, LISTEN_PID=1 as
 * the program is the first of its pid namespace, LISTEN_FDNAMES; NOTIFY_SOCKET), then Environment=, which wins.
 * -ENOMEM. */
int environment_compile(struct launch_plan *plan, const struct environment_account *account);
