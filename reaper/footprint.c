/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "footprint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cleanup.h"
#include "mapping.h"

#define AT_ONCE 64   /* ranges of one call */
#define ENTRIES 1024 /* of /proc/PID/pagemap, read at a time */
#define MAPPING_MAX                                                                                            \
	(UINT64_C(4)                                                                                           \
	 << 30) /* bytes: larger ones are address space that is kept free, and take long to look at */

/* Of an entry: Documentation/admin-guide/mm/pagemap.rst. */
#define PAGE_PRESENT (UINT64_C(1) << 63)
#define PAGE_OF_FILE (UINT64_C(1) << 61) /* or shared memory */

struct range {
	uint64_t start;
	uint32_t pages;
	int32_t pid;
};

struct footprint {
	unsigned n, size;
	struct range *ranges; /* owned; those of a process in a row */
};

static uint64_t page_bytes(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static int add_page(struct footprint *footprint, int pid, uint64_t at)
{
	struct range *last = footprint->n > 0 ? &footprint->ranges[footprint->n - 1] : NULL;

	if (last && last->pid == pid && last->start + last->pages * page_bytes() == at &&
	    last->pages < UINT32_MAX) {
		last->pages++;
		return 0;
	}
	if (footprint->n == FOOTPRINT_RANGES_MAX)
		return -E2BIG;
	if (footprint->n == footprint->size) {
		unsigned size = footprint->size ? footprint->size * 2 : 64;
		struct range *grown = reallocarray(footprint->ranges, size, sizeof *grown);

		if (!grown)
			return -ENOMEM;
		footprint->ranges = grown;
		footprint->size = size;
	}
	footprint->ranges[footprint->n++] = (struct range){.start = at, .pages = 1, .pid = pid};
	return 0;
}

static int read_mapping(struct footprint *footprint, int pid, int pagemap_fd, uint64_t start, uint64_t end)
{
	uint64_t entries[ENTRIES], bytes = page_bytes();
	int r = 0;

	while (r == 0 && start < end) {
		uint64_t wanted = (end - start) / bytes;
		ssize_t n = pread(pagemap_fd, entries, (wanted < ENTRIES ? wanted : ENTRIES) * sizeof *entries,
				  (off_t)(start / bytes * sizeof *entries));

		if (n <= 0)
			return 0; /* it has ended */
		for (size_t i = 0; r == 0 && i < (size_t)n / sizeof *entries; i++, start += bytes)
			if ((entries[i] & (PAGE_PRESENT | PAGE_OF_FILE)) == PAGE_PRESENT)
				r = add_page(footprint, pid, start);
	}
	return r;
}

static int read_process(struct footprint *footprint, int pid)
{
	autofclose FILE *maps = NULL;
	autoclose int pagemap_fd = -EBADF;
	autofree char *line = NULL;
	char path[64];
	size_t size = 0;
	int r = 0;

	snprintf(path, sizeof path, "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	snprintf(path, sizeof path, "/proc/%d/pagemap", pid);
	pagemap_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (!maps || pagemap_fd < 0)
		return errno == ENOENT || errno == ESRCH ? 0 : -errno;
	while (r == 0 && getline(&line, &size, maps) > 0) {
		uint64_t start, end;

		if (mapping_parse(line, &start, &end) && end - start <= MAPPING_MAX)
			r = read_mapping(footprint, pid, pagemap_fd, start, end);
	}
	return r;
}

int footprint_read(int cgroup_fd, struct footprint **ret)
{
	autofclose FILE *processes = mapping_open_processes(cgroup_fd);
	struct footprint *footprint;
	int r = 0, pid;

	if (!processes)
		return -errno;
	footprint = calloc(1, sizeof *footprint);
	if (!footprint)
		return -ENOMEM;
	while (r == 0 && fscanf(processes, "%d", &pid) == 1)
		r = read_process(footprint, pid);
	if (r < 0 && r != -E2BIG) {
		footprint_free(footprint);
		return r;
	}
	*ret = footprint;
	return 0;
}

/* Once it has a pidfd: its number is of no other. */
static bool is_member(int cgroup_fd, int pid)
{
	autofclose FILE *processes = mapping_open_processes(cgroup_fd);
	int member;

	while (processes && fscanf(processes, "%d", &member) == 1)
		if (member == pid)
			return true;
	return false;
}

/* The ranges of one process, from the first; how many they are. */
static unsigned fetch_process(const struct footprint *footprint, unsigned first, int cgroup_fd)
{
	int pid = footprint->ranges[first].pid;
	autoclose int pidfd = pidfd_open(pid, 0);
	bool wanted = pidfd >= 0 && is_member(cgroup_fd, pid);
	struct iovec pieces[AT_ONCE];
	unsigned at = first;

	while (at < footprint->n && footprint->ranges[at].pid == pid) {
		unsigned n = 0;

		for (; n < AT_ONCE && at < footprint->n && footprint->ranges[at].pid == pid; n++, at++)
			pieces[n] = (struct iovec){
				.iov_base = (void *)(uintptr_t)footprint->ranges[at].start,
				.iov_len = footprint->ranges[at].pages * page_bytes(),
			};
		wanted = wanted && process_madvise(pidfd, pieces, n, MADV_WILLNEED, 0) >= 0;
	}
	return at - first;
}

void footprint_fetch(const struct footprint *footprint, int cgroup_fd)
{
	for (unsigned at = 0; at < footprint->n;)
		at += fetch_process(footprint, at, cgroup_fd);
}

unsigned long long footprint_bytes(const struct footprint *footprint)
{
	unsigned long long bytes = 0;

	for (unsigned i = 0; i < footprint->n; i++)
		bytes += footprint->ranges[i].pages * page_bytes();
	return bytes;
}

void footprint_free(struct footprint *footprint)
{
	if (footprint)
		free(footprint->ranges);
	free(footprint);
}
