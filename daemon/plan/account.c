/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "str.h"

static struct account *account_new(const char *key, uid_t uid, gid_t gid, const struct passwd *pw)
{
	const char *name = pw ? pw->pw_name : "", *home = pw ? pw->pw_dir : "/",
		   *shell = pw ? pw->pw_shell : "";
	size_t key_bytes = strlen(key) + 1, name_bytes = strlen(name) + 1, home_bytes = strlen(home) + 1,
	       shell_bytes = strlen(shell) + 1;
	struct account *account =
		calloc(1, sizeof *account + key_bytes + name_bytes + home_bytes + shell_bytes);
	char *at;

	if (!account)
		return NULL;
	at = account->strings;
	account->key = memcpy(at, key, key_bytes);
	at += key_bytes;
	account->data.user = memcpy(at, name, name_bytes);
	at += name_bytes;
	account->data.home = memcpy(at, home, home_bytes);
	at += home_bytes;
	account->data.shell = memcpy(at, shell, shell_bytes);
	account->uid = uid;
	account->gid = gid;
	return account;
}

int account_find(struct account **list, const char *user, const struct account **ret)
{
	struct account *account = NULL;
	struct passwd *pw;
	uint64_t number;
	bool numeric = str_to_u64(user, &number) == 0;

	for (account = *list; account; account = account->next)
		if (str_equal(account->key, user)) {
			*ret = account;
			return 0;
		}
	errno = 0;
	pw = numeric ? getpwuid((uid_t)number) : getpwnam(user);
	if (!pw && !numeric)
		return errno == 0 || errno == ENOENT || errno == ESRCH ? -ENOENT : -errno;
	/* A number needs no entry: its group is the same number. */
	account = account_new(user, pw ? pw->pw_uid : (uid_t)number, pw ? pw->pw_gid : (gid_t)number, pw);
	if (!account)
		return -ENOMEM;
	account->next = *list;
	*list = account;
	*ret = account;
	return 0;
}

int account_find_group(const char *group, gid_t *ret)
{
	struct group *gr;
	uint64_t number;

	if (str_to_u64(group, &number) == 0) {
		*ret = (gid_t)number;
		return 0;
	}
	errno = 0;
	gr = getgrnam(group);
	if (!gr)
		return errno == 0 || errno == ENOENT || errno == ESRCH ? -ENOENT : -errno;
	*ret = gr->gr_gid;
	return 0;
}

int account_refuse(struct diag *diag, int error, const char *file, const char *key, const char *name)
{
	if (error != -ENOENT)
		return diag_set(diag, error, file, 0, "%s=%s: cannot be looked up: %s", key, name,
				strerror(-error));
	return diag_set(diag, -EINVAL, file, 0, "%s=%s: no such %s on this host: create it, or name another",
			key, name, strstr(key, "Group") ? "group" : "user");
}

void account_free_list(struct account **list)
{
	while (*list) {
		struct account *next = (*list)->next;

		free(*list);
		*list = next;
	}
}
