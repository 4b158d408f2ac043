/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "footprint.h"

#define PAGES 16384
#define EACH  256 /* of them is written to; a sanitizer writes to pages of its own for it */

/* A directory that looks like a cgroup of one process. */
static int open_cgroup(char *directory, pid_t pid)
{
	int fd, file;

	assert_non_null(mkdtemp(directory));
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	file = openat(fd, "cgroup.procs", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_return_code(file, errno);
	dprintf(file, "%d\n", pid);
	close(file);
	return fd;
}

static void close_cgroup(const char *directory, int fd)
{
	unlinkat(fd, "cgroup.procs", 0);
	close(fd);
	rmdir(directory);
}

static unsigned long long bytes_of(int cgroup_fd)
{
	struct footprint *footprint;
	unsigned long long bytes;

	assert_int_equal(footprint_read(cgroup_fd, &footprint), 0);
	bytes = footprint_bytes(footprint);
	footprint_fetch(footprint, cgroup_fd);
	footprint_free(footprint);
	return bytes;
}

/* What was written to is in it; what is only mapped is not, and neither is a file. */
static void test_own_pages(void **unused)
{
	char directory[] = "/tmp/torpor-test.XXXXXX";
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int fd = open_cgroup(directory, getpid());
	char *memory = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long long before;

	(void)unused;
	assert_ptr_not_equal(memory, MAP_FAILED);
	madvise(memory, PAGES * page, MADV_NOHUGEPAGE);
	before = bytes_of(fd);
	assert_true(before > 0);
	for (size_t i = 0; i < PAGES; i += EACH)
		memory[i * page] = 1;
	assert_in_range(bytes_of(fd), before + PAGES / EACH * page, before + PAGES / 2 * page);
	munmap(memory, PAGES * page);
	close_cgroup(directory, fd);
}

static void test_nobody(void **unused)
{
	char directory[] = "/tmp/torpor-test.XXXXXX";
	int fd = open_cgroup(directory, 0x7fffffff); /* no process has it */
	struct footprint *footprint;

	(void)unused;
	assert_int_equal(bytes_of(fd), 0);
	unlinkat(fd, "cgroup.procs", 0);
	assert_int_equal(footprint_read(fd, &footprint), -ENOENT);
	close_cgroup(directory, fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_pages),
		cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
