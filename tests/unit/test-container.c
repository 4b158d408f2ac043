/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/resource.h>
#include <sys/signalfd.h>

#include "cgroups.h"
#include "cleanup.h"
#include "container.h"

static struct cgroups cgroups;

/* One child in a cgroup of its own, as the launcher hands it over. */
struct fixture {
	struct container container;
	int ready_fd, told_fd; /* the child says that it is ready */
};

static int setup(void **state)
{
	static struct fixture fixture;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	fixture = (struct fixture){.ready_fd = fds[0], .told_fd = fds[1]};
	container_init(&fixture.container);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	container_finish(&fixture->container);
	close(fixture->ready_fd);
	close(fixture->told_fd);
	return cgroup_destroy_tree(cgroups.fd, "a.site");
}

static void start(struct fixture *fixture, void (*body)(void *argument))
{
	autoclose int fd = cgroup_create(cgroups.fd, "a.site");
	char byte;
	pid_t pid;

	assert_true(fd >= 0);
	pid = cgroups_fork(fd, body, fixture);
	assert_int_equal(read(fixture->ready_fd, &byte, 1), 1);
	assert_int_equal(container_open(&fixture->container, pid, cgroups.fd, "a.site"), 0);
	assert_true(container_exists(&fixture->container));
	assert_int_equal(fixture->container.pid, pid);
}

static void say_ready(const struct fixture *fixture)
{
	if (write(fixture->told_fd, "", 1) != 1)
		_exit(98);
}

/* Waits until the process has ended, and compares how. */
static void assert_ended(const struct fixture *fixture, int expected_code, int expected_status)
{
	struct pollfd pollfd = {.fd = fixture->container.pidfd, .events = POLLIN};
	int code = 4711, status = 4711;

	assert_int_equal(poll(&pollfd, 1, -1), 1);
	assert_int_equal(container_reap(&fixture->container, &code, &status), 0);
	assert_int_equal(code, expected_code);
	assert_int_equal(status, expected_status);
	/* It is collected once. */
	assert_int_equal(container_reap(&fixture->container, &code, &status), -ECHILD);
}

static void assert_alive(const struct fixture *fixture)
{
	int code = 4711, status = 4711;

	assert_int_equal(container_reap(&fixture->container, &code, &status), -EAGAIN);
	assert_int_equal(code, 4711);
	assert_int_equal(status, 4711);
}

static void exit_with_42(int signal)
{
	(void)signal;
	_exit(42);
}

static void run_ordinary(void *argument)
{
	say_ready(argument);
	cgroups_pause(NULL);
}

/* Programs that do something of their own about SIGTERM, SIGHUP and SIGRTMIN+3. */
static const int handled[] = {SIGTERM, SIGHUP, SIGQUIT, 37};

static void run_handling(void *argument)
{
	for (size_t i = 0; i < sizeof handled / sizeof *handled; i++)
		signal(handled[i], exit_with_42);
	run_ordinary(argument);
}

static void run_ignoring(void *argument)
{
	signal(SIGTERM, SIG_IGN);
	run_ordinary(argument);
}

static void run_signalfd(void *argument)
{
	struct signalfd_siginfo info;
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, 0);
	say_ready(argument);
	if (read(fd, &info, sizeof info) == sizeof info)
		_exit((int)info.ssi_signo);
}

static void run_exit_3(void *argument)
{
	say_ready(argument);
	_exit(3);
}

static void run_core(void *argument)
{
	signal(SIGSEGV, SIG_DFL); /* cmocka catches it */
	say_ready(argument);
	kill(getpid(), SIGSEGV);
	cgroups_pause(NULL);
}

static void test_none(void **state)
{
	struct container container;

	(void)state;
	container_init(&container);
	assert_false(container_exists(&container));
	assert_true(container.pidfd < 0 && container.cgroup_fd < 0 && container.events_fd < 0 &&
		    container.freeze_fd < 0);
	container_finish(&container);
	container_finish(&container);
	assert_false(container_exists(&container));
}

/* Whichever of its parts cannot be opened, nothing stays open and it is none. */
static void test_open_fails(void **state)
{
	struct fixture *fixture = *state;
	int lowest = dup(0), again;

	close(lowest);
	assert_int_equal(container_open(&fixture->container, getpid(), cgroups.fd, "missing.site"), -ENOENT);
	assert_false(container_exists(&fixture->container));
	assert_int_equal(container_open(&fixture->container, getpid(), cgroups.fd, "cgroup.procs"), -ENOTDIR);
	assert_int_equal(container_open(&fixture->container, INT32_MAX, cgroups.fd, "."), -ESRCH);
	assert_false(container_exists(&fixture->container));
	again = dup(0);
	assert_int_equal(again, lowest);
	close(again);
}

static void test_descriptors(void **state)
{
	struct fixture *fixture = *state;
	struct cgroup_events events;
	struct container opened;

	start(fixture, run_ordinary);
	assert_true(fcntl(fixture->container.pidfd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fixture->container.cgroup_fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fixture->container.events_fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(cgroup_read_events(fixture->container.events_fd, &events), 0);
	assert_true(events.populated);
	assert_alive(fixture);
	assert_int_equal(container_kill(&fixture->container), 0);
	assert_ended(fixture, CLD_KILLED, SIGKILL);
	opened = fixture->container;
	container_finish(&fixture->container);
	assert_int_equal(fcntl(opened.pidfd, F_GETFD), -1);
	assert_int_equal(fcntl(opened.cgroup_fd, F_GETFD), -1);
	assert_int_equal(fcntl(opened.events_fd, F_GETFD), -1);
}

static rlim_t allow_descriptors(rlim_t n)
{
	struct rlimit before, limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = (struct rlimit){n, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return before.rlim_cur;
}

/* Without one more descriptor it is not frozen; what is frozen is thawed, and killed. */
static void test_no_descriptor(void **state)
{
	struct fixture *fixture = *state;
	struct container *container = &fixture->container;
	rlim_t before;

	start(fixture, run_ordinary);
	before = allow_descriptors(3);
	assert_int_equal(container_freeze(container), -EMFILE);
	allow_descriptors(before);
	assert_int_equal(container_thaw(container), 0); /* which is not frozen */
	assert_int_equal(container_freeze(container), 0);
	assert_int_equal(container_freeze(container), 0);
	cgroups_wait(container->cgroup_fd, true, true);
	allow_descriptors(3);
	assert_int_equal(container_thaw(container), 0);
	allow_descriptors(before);
	cgroups_wait(container->cgroup_fd, true, false);
	assert_true(container->freeze_fd < 0);
	assert_int_equal(container_freeze(container), 0);
	cgroups_wait(container->cgroup_fd, true, true);
	allow_descriptors(3);
	assert_int_equal(container_kill(container), 0);
	allow_descriptors(before);
	assert_ended(fixture, CLD_KILLED, SIGKILL);
}

/* Finishing lets go of it; the process is nobody's business then. */
static void test_finish_keeps_process(void **state)
{
	struct fixture *fixture = *state;
	pid_t pid;

	start(fixture, run_handling);
	pid = fixture->container.pid;
	container_finish(&fixture->container);
	assert_false(container_exists(&fixture->container));
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(WEXITSTATUS(cgroups_wait_child(pid)), 42);
}

static void test_signal_with_handler(void **state)
{
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof handled / sizeof *handled; i++) {
		start(fixture, run_handling);
		assert_int_equal(container_signal(&fixture->container, handled[i]), 0);
		assert_ended(fixture, CLD_EXITED, 42);
		container_finish(&fixture->container);
	}
}

/* The default action of a signal that the first process of a pid namespace would never see. */
static void test_signal_without_handler(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGKILL, 37, 64};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		start(fixture, run_ordinary);
		assert_int_equal(container_signal(&fixture->container, signals[i]), 1);
		assert_ended(fixture, CLD_KILLED, SIGKILL);
		container_finish(&fixture->container);
	}
}

/* The whole container ends, not the first process alone. */
static void test_signal_kills_all(void **state)
{
	struct fixture *fixture = *state;
	pid_t other;

	start(fixture, run_ordinary);
	other = cgroups_fork(fixture->container.cgroup_fd, cgroups_pause, NULL);
	assert_int_equal(container_signal(&fixture->container, SIGTERM), 1);
	assert_int_equal(WTERMSIG(cgroups_wait_child(other)), SIGKILL);
	assert_ended(fixture, CLD_KILLED, SIGKILL);
}

static void test_signal_ignored(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, run_ignoring);
	assert_int_equal(container_signal(&fixture->container, SIGTERM), 0);
	assert_alive(fixture);
	assert_int_equal(container_kill(&fixture->container), 0);
	assert_ended(fixture, CLD_KILLED, SIGKILL);
}

static void test_signal_blocked(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, run_signalfd);
	assert_int_equal(container_signal(&fixture->container, SIGTERM), 0);
	assert_ended(fixture, CLD_EXITED, SIGTERM);
}

/* A KillSignal= that ends nobody ends nobody here. */
static void test_signal_harmless(void **state)
{
	static const int signals[] = {SIGWINCH, SIGURG, SIGCHLD, SIGCONT};
	struct fixture *fixture = *state;

	start(fixture, run_ordinary);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		assert_int_equal(container_signal(&fixture->container, signals[i]), 0);
	assert_alive(fixture);
	assert_int_equal(container_signal(&fixture->container, SIGTERM), 1);
	assert_ended(fixture, CLD_KILLED, SIGKILL);
}

static void test_signal_after_end(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, run_exit_3);
	assert_ended(fixture, CLD_EXITED, 3);
	assert_int_equal(container_signal(&fixture->container, SIGTERM), -ESRCH);
	assert_int_equal(container_kill(&fixture->container), 0);
}

static void test_reap_codes(void **state)
{
	struct fixture *fixture = *state;
	int code, status;
	struct pollfd pollfd;

	start(fixture, run_exit_3);
	assert_ended(fixture, CLD_EXITED, 3);
	container_finish(&fixture->container);
	start(fixture, run_core);
	pollfd = (struct pollfd){.fd = fixture->container.pidfd, .events = POLLIN};
	assert_int_equal(poll(&pollfd, 1, -1), 1);
	assert_int_equal(container_reap(&fixture->container, &code, &status), 0);
	assert_true(code == CLD_KILLED || code == CLD_DUMPED);
	assert_int_equal(status, SIGSEGV);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		TEST(open_fails),
		TEST(descriptors),
		TEST(no_descriptor),
		TEST(finish_keeps_process),
		TEST(signal_with_handler),
		TEST(signal_without_handler),
		TEST(signal_kills_all),
		TEST(signal_ignored),
		TEST(signal_blocked),
		TEST(signal_harmless),
		TEST(signal_after_end),
		TEST(reap_codes),
	};
	int failed;

	if (!cgroups_init(&cgroups))
		return CGROUPS_SKIPPED;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	cgroups_finish(&cgroups);
	return failed;
}
