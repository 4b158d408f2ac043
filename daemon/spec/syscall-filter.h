/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "syscall-group.h"

/* SystemCallFilter= as a spec keeps it: all its words in their order, separated by spaces, each with the "~" of
 * its assignment, "@system-service ~@mount:EPERM ~@swap:EPERM". A bare "~" stands for an assignment that denies
 * nothing where it is the first: the first word says whether the list allows or denies. */

#define SYSCALL_KILL (-1) /* in the place of an errno: the process is killed with SIGSYS */

struct setting;

struct syscall_word {
	bool deny;
	bool has_error;                /* ":EPERM", ":5", ":kill" */
	int error;                     /* an errno, 0 (success without the call), or SYSCALL_KILL */
	char name[SYSCALL_NAME_BYTES]; /* of a call or a group; empty after a bare "~" */
};

/* Reads one assignment and appends its words to *filter (NULL: none yet), which is replaced by a string of the
 * setting's arena. -EINVAL with the setting's message, or -ENOMEM. */
int syscall_filter_add(struct setting *setting, const char *text, const char **filter);

/* Takes the next word off a filter that syscall_filter_add() made. False at its end. */
bool syscall_filter_next(const char **filter, struct syscall_word *ret);

/* Writes the filter as assignments to the key: one line a run of words with or without "~". */
void syscall_filter_write(const char *key, const char *filter, FILE *out);

/* "EPERM", "1", "kill". -EINVAL for what is none of them. */
int syscall_error_parse(const char *text, int *ret);
void syscall_error_write(int error, FILE *out);
