/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "owners.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
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
	unsigned most = search->looked + OWNERS_PROCESS_MAX;
	char path[64], target[64];
	struct dirent *entry;
	unsigned long inode;
	DIR *dir;

	if (most > OWNERS_LOOK_MAX)
		most = OWNERS_LOOK_MAX;
	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && search->missing > 0 && search->looked < most && (entry = readdir(dir))) {
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

/* Whether one of the sockets was made by the user whose process that is. */
static bool is_likely(const struct search *search, int proc_fd, const char *name)
{
	struct stat status;

	if (fstatat(proc_fd, name, &status, 0) < 0)
		return false;
	for (unsigned i = 0; i < search->n; i++)
		if (search->wanted[i].pid == 0 && search->wanted[i].has_uid &&
		    search->wanted[i].uid == status.st_uid)
			return true;
	return false;
}

/* Looks through the processes that are likely, or through the others. */
static void search_processes(struct search *search, DIR *proc, bool likely)
{
	pid_t self = getpid();
	struct dirent *entry;

	rewinddir(proc);
	while (search->missing > 0 && search->looked < OWNERS_LOOK_MAX && (entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);

		/* Its own are listeners, thousands of them. */
		if (pid > 0 && pid != self && is_likely(search, dirfd(proc), entry->d_name) == likely)
			search_process(search, pid);
	}
}

void owners_find(struct owners *owners, struct owner *wanted, unsigned n)
{
	struct search search = {.owners = owners, .wanted = wanted, .n = n};
	uint64_t begun_ns = clock_now_ns();
	DIR *proc;

	recall(&search);
	if (search.missing == 0 || begun_ns < owners->not_before_ns)
		return;
	proc = opendir("/proc");
	if (proc) {
		search_processes(&search, proc, true);
		search_processes(&search, proc, false);
		closedir(proc);
	}
	owners->not_before_ns = clock_now_ns() + (clock_now_ns() - begun_ns) * OWNERS_SHARE;
}
