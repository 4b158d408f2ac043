/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fd.h"
#include "memory.h"
#include "pager.h"

#define WAIT_MS 60000

/* Directories that look like cgroups of version 2 with a memory controller, one for each site; pages are
 * written by nobody, so that it is known what every site comes to. */
struct fixture {
	struct pager *pager;
	int pipe[2];
	char directory[32];
	int fd;
};

static void on_notify(void *userdata)
{
	struct fixture *fixture = userdata;

	(void)!write(fixture->pipe[1], "", 1);
}

static void write_file(int fd, const char *name, const char *text)
{
	int file = openat(fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_return_code(file, errno);
	assert_int_equal(fd_write_all(file, text, strlen(text)), 0);
	close(file);
}

static int set_up(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){.directory = "/tmp/torpor-test.XXXXXX"};
	assert_return_code(pipe2(fixture.pipe, O_CLOEXEC | O_NONBLOCK), errno);
	assert_non_null(mkdtemp(fixture.directory));
	fixture.fd = open(fixture.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	write_file(fixture.fd, "memory.current", "1048576\n");
	write_file(fixture.fd, "memory.stat", "anon 4096\nfile 8192\nshmem 4096\nfile_mapped 0\n");
	write_file(fixture.fd, "memory.reclaim", "");
	assert_int_equal(pager_create(on_notify, &fixture, &fixture.pager), 0);
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	static const char *const files[] = {"memory.current", "memory.stat", "memory.reclaim",
					    "memory.swap.max", "memory.swap.current"};
	struct fixture *fixture = *state;

	pager_destroy(fixture->pager);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		(void)unlinkat(fixture->fd, files[i], 0);
	close(fixture->fd);
	close(fixture->pipe[0]);
	close(fixture->pipe[1]);
	return rmdir(fixture->directory);
}

static void submit(struct fixture *fixture, uint64_t id, int fd)
{
	assert_int_equal(pager_submit(fixture->pager, id, fcntl(fd, F_DUPFD_CLOEXEC, 3), false), 0);
}

static struct pager_result await(struct fixture *fixture)
{
	struct pollfd pollfd = {.fd = fixture->pipe[0], .events = POLLIN};
	struct pager_result result;
	char bytes[64];

	while (!pager_next_result(fixture->pager, &result)) {
		assert_int_equal(poll(&pollfd, 1, WAIT_MS), 1);
		assert_true(read(fixture->pipe[0], bytes, sizeof bytes) > 0);
	}
	return result;
}

/* A descriptor that is no cgroup's is an error of its site alone, in the order of the requests. */
static void test_results(void **state)
{
	struct fixture *fixture = *state;
	int null = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct pager_result result;

	for (uint64_t id = 1; id <= 100; id++)
		submit(fixture, id, null);
	for (uint64_t id = 1; id <= 100; id++) {
		result = await(fixture);
		assert_int_equal(result.id, id);
		assert_int_equal(result.error, -ENOENT);
	}
	assert_false(pager_next_result(fixture->pager, &result));
	close(null);
}

/* Nothing of a site is heard after it was cancelled, whether it was waiting, under way or done. */
static void test_cancel(void **state)
{
	struct fixture *fixture = *state;

	for (uint64_t id = 1; id <= 500; id++)
		submit(fixture, id, fixture->fd);
	for (uint64_t id = 1; id < 500; id++)
		pager_cancel(fixture->pager, id);
	pager_cancel(fixture->pager, 12345);
	assert_int_equal(await(fixture).id, 500);
	submit(fixture, 1, fixture->fd);
	assert_int_equal(await(fixture).id, 1);
}

static void test_destroy_with_work_left(void **state)
{
	struct fixture *fixture = *state;

	for (uint64_t id = 1; id <= 100; id++)
		submit(fixture, id, fixture->fd);
}

/* The swap must have room for all that nothing else can hold: 8 KiB here. */
static void test_room(void **state)
{
	struct fixture *fixture = *state;
	atomic_bool cancelled = false;
	struct memory memory = {.swap_total_bytes = 65536, .swap_free_bytes = 8192};
	struct pageout_result result;

	assert_int_equal(pageout_run(fixture->fd, &memory, &cancelled, &result), 0);
	assert_int_equal(result.before_bytes, 1048576);
	memory.swap_free_bytes = 8191;
	assert_int_equal(pageout_run(fixture->fd, &memory, &cancelled, &result), -ENOSPC);
	memory = (struct memory){0};
	assert_int_equal(pageout_run(fixture->fd, &memory, &cancelled, &result), -ENOSPC);
	memory = (struct memory){.swap_total_bytes = 65536, .swap_free_bytes = 65536};
	write_file(fixture->fd, "memory.swap.current", "4096\n");
	write_file(fixture->fd, "memory.swap.max", "12287\n");
	assert_int_equal(pageout_run(fixture->fd, &memory, &cancelled, &result), -EDQUOT);
	write_file(fixture->fd, "memory.swap.max", "12288\n");
	assert_int_equal(pageout_run(fixture->fd, &memory, &cancelled, &result), 0);
	write_file(fixture->fd, "memory.swap.max", "max\n");
	assert_int_equal(pageout_run(fixture->fd, &memory, &cancelled, &result), 0);
}

/* What was given up before it began asks nothing of the kernel. */
static void test_cancelled_from_the_start(void **state)
{
	struct fixture *fixture = *state;
	atomic_bool cancelled = true;
	struct memory memory = {.swap_total_bytes = 65536, .swap_free_bytes = 65536};
	struct pageout_result result;
	char text[64];

	assert_int_equal(pageout_run(fixture->fd, &memory, &cancelled, &result), 0);
	assert_int_equal(fd_read_attribute(fixture->fd, "memory.reclaim", text, sizeof text), 0);
	cancelled = false;
	assert_int_equal(pageout_run(fixture->fd, &memory, &cancelled, &result), 0);
	assert_int_equal(fd_read_attribute(fixture->fd, "memory.reclaim", text, sizeof text), 7);
	assert_string_equal(text, "1048576");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_results, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cancel, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_destroy_with_work_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cancelled_from_the_start, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
