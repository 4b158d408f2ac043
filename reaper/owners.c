/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "owners.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"

struct search {
	struct owners *owners;
	struct owner *wanted;
	unsigned n, missing, looked;
};

/* From what was found before. An inode's number may be used again: the answers are those of one moment. */
static void recall(struct search *search)
{
	for (unsigned i = 0; i < search->n; i++) {
		struct owner *wanted = &search->wanted[i];

		wanted->pid = 0;
		for (unsigned k = 0; k < OWNERS_REMEMBERED; k++)
			if (search->owners->found[k].inode == wanted->inode && wanted->inode > 0)
				wanted->pid = search->owners->found[k].pid;
		search->missing += wanted->pid == 0;
	}
}

static void found(struct search *search, uint32_t inode, pid_t pid)
{
	for (unsigned i = 0; i < search->n; i++) {
		struct owner *wanted = &search->wanted[i];

		if (wanted->inode != inode || wanted->pid > 0)
			continue;
		wanted->pid = pid;
		search->missing--;
		search->owners->found[search->owners->next] = *wanted;
		search->owners->next = (search->owners->next + 1) % OWNERS_REMEMBERED;
	}
}

static void search_process(struct search *search, pid_t pid)
{
	char path[64], target[64];
	struct dirent *entry;
	unsigned long inode;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && search->missing > 0 && search->looked < OWNERS_LOOK_MAX && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);

		search->looked++;
		if (n < 0)
			continue;
		target[n] = '\0';
		if (sscanf(target, "socket:[%lu]", &inode) == 1)
			found(search, (uint32_t)inode, pid);
	}
	if (dir)
		closedir(dir);
}

void owners_find(struct owners *owners, struct owner *wanted, unsigned n)
{
	struct search search = {.owners = owners, .wanted = wanted, .n = n};
	uint64_t begun_ns = clock_now_ns();
	pid_t self = getpid();
	struct dirent *entry;
	DIR *dir;

	recall(&search);
	if (search.missing == 0 || begun_ns < owners->not_before_ns)
		return;
	dir = opendir("/proc");
	while (dir && search.missing > 0 && search.looked < OWNERS_LOOK_MAX && (entry = readdir(dir))) {
		pid_t pid = atoi(entry->d_name);

		if (pid > 0 && pid != self) /* its own are listeners, thousands of them */
			search_process(&search, pid);
	}
	if (dir)
		closedir(dir);
	owners->not_before_ns = clock_now_ns() + (clock_now_ns() - begun_ns) * OWNERS_SHARE;
}
