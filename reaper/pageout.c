/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pageout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "clock.h"
#include "fd.h"
#include "mapping.h"
#include "memory.h"
#include "str.h"

#define RECLAIM_BYTES   (UINT64_C(8) << 20)  /* asked of memory.reclaim at a time */
#define RECLAIM_LEAST   (UINT64_C(64) << 10) /* less than this came of it: nothing more will, */
#define RECLAIM_TRIES   3                    /* after so many of these in a row */
#define ADVICE_BYTES    (UINT64_C(1) << 20)  /* of addresses, the first piece of a mapping; */
#define ADVICE_LEAST    (UINT64_C(256) << 10)
#define ADVICE_LONG_NS  1000000 /* the next is half as large when one takes longer than this, */
#define ADVICE_SHORT_NS 200000  /* twice as large when it takes less than this */

/* A number in one of the cgroup's files; "max" is UINT64_MAX. */
static int read_bytes(int cgroup_fd, const char *file, uint64_t *ret)
{
	char text[64];
	ssize_t n = fd_read_attribute(cgroup_fd, file, text, sizeof text);

	if (n < 0)
		return (int)n;
	if (str_equal(text, "max")) {
		*ret = UINT64_MAX;
		return 0;
	}
	return str_to_u64(text, ret);
}

/* The line "anon N" of memory.stat is the first; tmpfs, "shmem N", needs the swap as well. */
static int charged_anonymous(int cgroup_fd, uint64_t *ret)
{
	char text[16384];
	ssize_t n = fd_read_attribute(cgroup_fd, "memory.stat", text, sizeof text);
	unsigned long long anonymous, shared;
	const char *shmem;

	if (n < 0)
		return (int)n;
	shmem = strstr(text, "\nshmem ");
	if (sscanf(text, "anon %llu", &anonymous) != 1 || !shmem || sscanf(shmem, "\nshmem %llu", &shared) != 1)
		return -EBADMSG;
	*ret = anonymous + shared;
	return 0;
}

int pageout_resident(int cgroup_fd, uint64_t *ret_anonymous_bytes, uint64_t *ret_bytes)
{
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE), pages = 0, anonymous = 0;
	autofclose FILE *processes = NULL;
	int pid;

	if (cgroup_memory_bytes(cgroup_fd, ret_bytes) == 0)
		return charged_anonymous(cgroup_fd, ret_anonymous_bytes);
	processes = mapping_open_processes(cgroup_fd);
	if (!processes)
		return -errno;
	while (fscanf(processes, "%d", &pid) == 1) {
		char path[64], statm[128];
		unsigned long resident, shared;

		snprintf(path, sizeof path, "/proc/%d/statm", pid);
		if (fd_read_attribute(AT_FDCWD, path, statm, sizeof statm) > 0 &&
		    sscanf(statm, "%*u %lu %lu", &resident, &shared) == 2) {
			pages += resident;
			anonymous += resident > shared ? resident - shared : 0;
		}
	}
	*ret_bytes = pages * page_bytes;
	*ret_anonymous_bytes = anonymous * page_bytes;
	return 0;
}

/* Whether the swap, and the cgroup's own share of it, take that much more: 0, -ENOSPC or -EDQUOT. */
static int find_room(int cgroup_fd, const struct memory *memory, uint64_t bytes)
{
	uint64_t limit, used;

	if (memory->swap_total_bytes == 0 || memory->swap_free_bytes < bytes)
		return -ENOSPC;
	if (read_bytes(cgroup_fd, "memory.swap.max", &limit) == 0 &&
	    read_bytes(cgroup_fd, "memory.swap.current", &used) == 0 && (limit < used || limit - used < bytes))
		return -EDQUOT;
	return 0;
}

/* memory.reclaim answers -EAGAIN when it could not reclaim all that it was asked for. */
static int reclaim(int cgroup_fd, const atomic_bool *cancelled)
{
	uint64_t before, after;
	unsigned vain = 0;
	char text[32];
	int r = cgroup_memory_bytes(cgroup_fd, &before);

	while (r == 0 && before > 0 && vain < RECLAIM_TRIES && !atomic_load(cancelled)) {
		snprintf(text, sizeof text, "%llu",
			 (unsigned long long)(before < RECLAIM_BYTES ? before : RECLAIM_BYTES));
		r = fd_write_attribute(cgroup_fd, "memory.reclaim", text);
		if (r == -EAGAIN || r == -EINTR)
			r = 0;
		if (r == 0)
			r = cgroup_memory_bytes(cgroup_fd, &after);
		if (r == 0) {
			vain = after + RECLAIM_LEAST > before ? vain + 1 : 0;
			before = after;
		}
	}
	return r;
}

/* What a mapping refuses (locked in memory, pages of a device) stays: 0. Else 0 or -errno. */
static int advise_mapping(int pidfd, uint64_t start, uint64_t end, const atomic_bool *cancelled)
{
	uint64_t bytes = ADVICE_BYTES;

	while (start < end && !atomic_load(cancelled)) {
		struct iovec piece = {
			.iov_base = (void *)(uintptr_t)start,
			.iov_len = end - start < bytes ? end - start : bytes,
		};
		uint64_t begun_ns = clock_now_ns(), took_ns;
		ssize_t n = process_madvise(pidfd, &piece, 1, MADV_PAGEOUT, 0);

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return errno == EINVAL || errno == ENOMEM ? 0 : -errno;
		start += piece.iov_len;
		took_ns = clock_now_ns() - begun_ns;
		if (took_ns > ADVICE_LONG_NS && bytes > ADVICE_LEAST)
			bytes /= 2;
		else if (took_ns < ADVICE_SHORT_NS)
			bytes *= 2;
	}
	return 0;
}

/* One that has ended meanwhile has nothing left. */
static int advise_process(pid_t pid, const atomic_bool *cancelled)
{
	autoclose int pidfd = pidfd_open(pid, 0);
	autofclose FILE *maps = NULL;
	autofree char *line = NULL;
	char path[64];
	size_t size = 0;
	int r = 0;

	if (pidfd < 0)
		return errno == ESRCH ? 0 : -errno;
	snprintf(path, sizeof path, "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return errno == ENOENT || errno == ESRCH ? 0 : -errno;
	while (r == 0 && !atomic_load(cancelled) && getline(&line, &size, maps) > 0) {
		uint64_t start, end;

		if (mapping_parse(line, &start, &end))
			r = advise_mapping(pidfd, start, end, cancelled);
	}
	return r == -ESRCH ? 0 : r;
}

static int advise(int cgroup_fd, const atomic_bool *cancelled)
{
	autofclose FILE *processes = mapping_open_processes(cgroup_fd);
	int r = 0, pid;

	if (!processes)
		return -errno;
	while (r == 0 && !atomic_load(cancelled) && fscanf(processes, "%d", &pid) == 1)
		r = advise_process((pid_t)pid, cancelled);
	return r;
}

int pageout_run(int cgroup_fd, const struct memory *memory, const atomic_bool *cancelled,
		struct pageout_result *ret)
{
	struct pageout_result result;
	uint64_t anonymous, ignored;
	int r = pageout_resident(cgroup_fd, &anonymous, &result.before_bytes);

	if (r < 0)
		return r;
	r = find_room(cgroup_fd, memory, anonymous);
	if (r < 0)
		return r;
	if (faccessat(cgroup_fd, "memory.reclaim", W_OK, 0) == 0)
		r = reclaim(cgroup_fd, cancelled);
	else
		r = advise(cgroup_fd, cancelled);
	if (r == 0)
		r = pageout_resident(cgroup_fd, &ignored, &result.after_bytes);
	if (r == 0)
		*ret = result;
	return r;
}
