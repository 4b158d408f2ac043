/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "diag.h"
#include "environment.h"

/* Users and groups of this host, as units name them. */

/* A user looked up before: ten thousand sites of one user read /etc/passwd once. */
struct account {
	struct account *next;
	char *key; /* the user's name or number as written */
	struct environment_account data;
	uid_t uid;
	gid_t gid;
	char strings[];
};

/* The user of a name or number, from the list, or looked up and added to it, whose it is. A number needs no
 * entry: its group is the same number then. -ENOENT: no such user; -ENOMEM, or what the lookup says. */
int account_find(struct account **list, const char *user, const struct account **ret);

/* The group of a name or number. -ENOENT, or what the lookup says. */
int account_find_group(const char *group, gid_t *ret);

/* Says why the account that a key of a file names was not found, error being what account_find() or
 * account_find_group() said: -EINVAL for -ENOENT. */
int account_refuse(struct diag *diag, int error, const char *file, const char *key, const char *name);

void account_free_list(struct account **list);
