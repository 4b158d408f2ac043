/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cgroups.h"
#include "cleanup.h"

static struct cgroups cgroups;

static bool exists(int parent_fd, const char *name)
{
	struct stat st;

	return fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool killed(pid_t pid)
{
	int status = cgroups_wait_child(pid);

	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void test_create_and_remove(void **state)
{
	autoclose int fd = cgroup_create(cgroups.fd, "a");

	(void)state;
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(exists(fd, "cgroup.procs"));
	assert_int_equal(cgroup_remove(cgroups.fd, "a"), 0);
	assert_false(exists(cgroups.fd, "a"));
	assert_int_equal(cgroup_remove(cgroups.fd, "a"), 0);
	assert_int_equal(cgroup_create(cgroups.fd, "missing/a"), -ENOENT);
}

static void test_remove_busy(void **state)
{
	autoclose int fd = cgroup_create(cgroups.fd, "a");
	pid_t pid = cgroups_fork(fd, cgroups_pause, NULL);

	(void)state;
	assert_int_equal(cgroup_remove(cgroups.fd, "a"), -EBUSY);
	assert_int_equal(cgroup_kill(fd), 0);
	assert_true(killed(pid));
	cgroups_wait(fd, false, false);
	assert_int_equal(cgroup_remove(cgroups.fd, "a"), 0);
}

/* What an earlier torpord left behind: its processes are ended, and what was set is not in force any more. */
static void test_create_over_existing(void **state)
{
	autoclose int first = cgroup_create(cgroups.fd, "a"), second = -EBADF;
	autoclose int below = cgroup_create(first, "below");
	pid_t pid = cgroups_fork(first, cgroups_pause, NULL);
	char text[64];

	(void)state;
	assert_true(below >= 0);
	assert_int_equal(fd_write_attribute(first, "cgroup.max.depth", "7"), 0);
	second = cgroup_create(cgroups.fd, "a");
	assert_true(second >= 0);
	assert_true(killed(pid));
	assert_int_equal(fd_read_attribute(second, "cgroup.procs", text, sizeof text), 0);
	assert_int_equal(fd_read_attribute(second, "cgroup.max.depth", text, sizeof text), 3);
	assert_string_equal(text, "max");
	assert_false(exists(second, "below"));
	/* The descriptor of the old one leads nowhere. */
	assert_true(fd_read_attribute(first, "cgroup.procs", text, sizeof text) < 0);
	assert_int_equal(cgroup_remove(cgroups.fd, "a"), 0);
}

static void assert_events(int fd, bool populated, bool frozen)
{
	struct cgroup_events events;

	assert_int_equal(cgroup_read_events(fd, &events), 0);
	assert_int_equal(events.populated, populated);
	assert_int_equal(events.frozen, frozen);
}

static void set_frozen(int fd, bool frozen)
{
	autoclose int freeze_fd = cgroup_open_freeze(fd);

	assert_true(freeze_fd >= 0);
	assert_int_equal(cgroup_set_frozen(freeze_fd, frozen), 0);
}

static void test_events(void **state)
{
	autoclose int fd = cgroup_create(cgroups.fd, "a");
	autoclose int events_fd = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	struct cgroup_events events;
	pid_t pid;

	(void)state;
	assert_events(events_fd, false, false);
	pid = cgroups_fork(fd, cgroups_pause, NULL);
	/* Again and again from the same descriptor. */
	assert_events(events_fd, true, false);
	set_frozen(fd, true);
	cgroups_wait(fd, true, true);
	assert_events(events_fd, true, true);
	set_frozen(fd, false);
	cgroups_wait(fd, true, false);
	assert_events(events_fd, true, false);
	assert_int_equal(cgroup_kill(fd), 0);
	assert_true(killed(pid));
	cgroups_wait(fd, false, false);
	assert_int_equal(cgroup_remove(cgroups.fd, "a"), 0);
	assert_int_equal(cgroup_read_events(events_fd, &events), -ENODEV);
	assert_int_equal(cgroup_read_events(-EBADF, &events), -EBADF);
}

static void echo(void *argument)
{
	const int *fds = argument;
	char byte;

	while (read(fds[0], &byte, 1) == 1)
		if (write(fds[1], &byte, 1) != 1)
			break;
}

/* A frozen process does not answer, and does as soon as it is thawed. */
static void test_freeze(void **state)
{
	autoclose int fd = cgroup_create(cgroups.fd, "a");
	int to[2], from[2], fds[2];
	struct pollfd pollfd;
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	fds[0] = to[0];
	fds[1] = from[1];
	pid = cgroups_fork(fd, echo, fds);
	close(to[0]);
	close(from[1]);
	assert_int_equal(write(to[1], "1", 1), 1);
	assert_int_equal(read(from[0], &byte, 1), 1);
	set_frozen(fd, true);
	cgroups_wait(fd, true, true);
	assert_int_equal(write(to[1], "2", 1), 1);
	pollfd = (struct pollfd){.fd = from[0], .events = POLLIN};
	assert_int_equal(poll(&pollfd, 1, 0), 0);
	set_frozen(fd, false);
	assert_int_equal(read(from[0], &byte, 1), 1);
	assert_int_equal(byte, '2');
	/* Killed while it is frozen, without being thawed first. */
	set_frozen(fd, true);
	cgroups_wait(fd, true, true);
	assert_int_equal(cgroup_kill(fd), 0);
	assert_true(killed(pid));
	close(to[1]);
	close(from[0]);
	assert_int_equal(cgroup_destroy_tree(cgroups.fd, "a"), 0);
}

static void test_destroy_tree(void **state)
{
	autoclose int a = cgroup_create(cgroups.fd, "a"), b = cgroup_create(a, "b"), c = cgroup_create(b, "c"),
		      d = cgroup_create(a, "d");
	pid_t pids[3] = {cgroups_fork(a, cgroups_pause, NULL), cgroups_fork(c, cgroups_pause, NULL),
			 cgroups_fork(d, cgroups_pause, NULL)};

	(void)state;
	set_frozen(b, true);
	cgroups_wait(c, true, true);
	assert_int_equal(cgroup_destroy_tree(cgroups.fd, "a"), 0);
	assert_false(exists(cgroups.fd, "a"));
	for (int i = 0; i < 3; i++)
		assert_true(killed(pids[i]));
	assert_int_equal(cgroup_destroy_tree(cgroups.fd, "a"), 0);
	/* The kernel's own files are not taken for cgroups. */
	assert_int_equal(cgroup_destroy_tree(cgroups.fd, "cgroup.procs"), -ENOTDIR);
}

static void burn(void *argument)
{
	const int *fds = argument;

	for (volatile unsigned long i = 0; i < 100UL * 1000 * 1000; i++)
		;
	(void)!write(fds[1], "", 1);
	cgroups_pause(NULL);
}

static void test_cpu_usage(void **state)
{
	autoclose int fd = cgroup_create(cgroups.fd, "a");
	uint64_t before = UINT64_MAX, after = 0;
	int fds[2];
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(cgroup_cpu_usage_us(fd, &before), 0);
	assert_int_equal(before, 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = cgroups_fork(fd, burn, fds);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	assert_int_equal(cgroup_kill(fd), 0);
	assert_true(killed(pid));
	assert_int_equal(cgroup_cpu_usage_us(fd, &after), 0);
	assert_true(after > 1000);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(cgroup_destroy_tree(cgroups.fd, "a"), 0);
	assert_true(cgroup_cpu_usage_us(fd, &after) < 0);
}

static void test_controllers(void **state)
{
	char text[512];
	uint64_t bytes = 0;

	(void)state;
	assert_true(fd_read_attribute(cgroups.fd, "cgroup.controllers", text, sizeof text) >= 0);
	assert_int_equal(cgroup_has_controller(cgroups.fd, "memory"), strstr(text, "memory") != NULL);
	assert_int_equal(cgroup_has_controller(cgroups.fd, "pids"), strstr(text, "pids") != NULL);
	assert_false(cgroup_has_controller(cgroups.fd, "mem"));
	assert_false(cgroup_has_controller(cgroups.fd, "nosuch"));
	assert_false(cgroup_has_controller(-EBADF, "memory"));
	assert_int_equal(cgroup_memory_bytes(cgroups.fd, &bytes),
			 cgroup_has_controller(cgroups.fd, "memory") ? 0 : -ENOENT);
}

/* What the kernel may list, from a file of ours. */
static void test_controller_words(void **state)
{
	char folder[] = "/tmp/torpor-test-XXXXXX";
	autoclose int fd = mkdtemp(folder) ? open(folder, O_DIRECTORY | O_RDONLY | O_CLOEXEC) : -EBADF;
	autoclose int file = openat(fd, "cgroup.controllers", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	assert_int_equal(fd_write_all(file, "cpuset cpu io memory\n", 21), 0);
	assert_true(cgroup_has_controller(fd, "cpuset"));
	assert_true(cgroup_has_controller(fd, "cpu"));
	assert_true(cgroup_has_controller(fd, "memory"));
	assert_false(cgroup_has_controller(fd, "set"));
	assert_false(cgroup_has_controller(fd, "mem"));
	assert_false(cgroup_has_controller(fd, "cpuset cpu"));
	unlinkat(fd, "cgroup.controllers", 0);
	assert_false(cgroup_has_controller(fd, "cpu"));
	rmdir(folder);
}

static enum cgroup_oom read_oom(int fd, const char *events)
{
	autoclose int file = openat(fd, "memory.events", O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	assert_int_equal(fd_write_all(file, events, strlen(events)), 0);
	return cgroup_read_oom(fd);
}

static void test_oom(void **state)
{
	char folder[] = "/tmp/torpor-test-XXXXXX";
	autoclose int fd = mkdtemp(folder) ? open(folder, O_DIRECTORY | O_RDONLY | O_CLOEXEC) : -EBADF;

	(void)state;
	assert_int_equal(cgroup_read_oom(fd), CGROUP_OOM_NONE);
	assert_int_equal(read_oom(fd, "low 0\nhigh 4\nmax 9\noom 0\noom_kill 0\noom_group_kill 0\n"),
			 CGROUP_OOM_NONE);
	assert_int_equal(read_oom(fd, "low 0\nhigh 0\nmax 9\noom 2\noom_kill 0\n"), CGROUP_OOM_NONE);
	assert_int_equal(read_oom(fd, "low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n"),
			 CGROUP_OOM_OWN_LIMIT);
	assert_int_equal(read_oom(fd, "low 0\nhigh 0\nmax 0\noom 0\noom_kill 3\noom_group_kill 1\n"),
			 CGROUP_OOM_ABOVE);
	unlinkat(fd, "memory.events", 0);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create_and_remove),
		cmocka_unit_test(test_remove_busy),
		cmocka_unit_test(test_create_over_existing),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_freeze),
		cmocka_unit_test(test_destroy_tree),
		cmocka_unit_test(test_cpu_usage),
		cmocka_unit_test(test_controllers),
		cmocka_unit_test(test_controller_words),
		cmocka_unit_test(test_oom),
	};
	int failed;

	if (!cgroups_init(&cgroups))
		return CGROUPS_SKIPPED;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	cgroups_finish(&cgroups);
	return failed;
}
