/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "cgroup.h"
#include "fd.h"
#include "reaper.h"

#define INTERVAL_US 2000
#define HOUR_US     UINT64_C(3600000000)
#define WAIT_MS     60000 /* for what must come: a broken test fails, it does not hang */

/* A reaper whose notify writes to a pipe, and a directory that looks like a cgroup. */
struct fixture {
	struct reaper *reaper;
	int pipe[2];
	char directory[32];
	int cgroup_fd;
};

static void on_notify(void *userdata)
{
	struct fixture *fixture = userdata;

	(void)!write(fixture->pipe[1], "", 1);
}

static void set_usage(int cgroup_fd, unsigned long usage_us)
{
	char text[64];
	int fd = openat(cgroup_fd, "cpu.stat.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	snprintf(text, sizeof text, "usage_usec %lu\nuser_usec 0\nsystem_usec 0\n", usage_us);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	close(fd);
	assert_return_code(renameat(cgroup_fd, "cpu.stat.new", cgroup_fd, "cpu.stat"), errno);
}

static void set_up_with(struct fixture *fixture, uint64_t interval_us)
{
	*fixture = (struct fixture){.directory = "/tmp/torpor-test.XXXXXX"};
	assert_return_code(pipe2(fixture->pipe, O_CLOEXEC | O_NONBLOCK), errno);
	assert_non_null(mkdtemp(fixture->directory));
	fixture->cgroup_fd = open(fixture->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fixture->cgroup_fd >= 0);
	set_usage(fixture->cgroup_fd, 0);
	assert_int_equal(reaper_create(interval_us, on_notify, fixture, &fixture->reaper), 0);
}

static void set_up(struct fixture *fixture)
{
	set_up_with(fixture, INTERVAL_US);
}

static void tear_down(struct fixture *fixture)
{
	reaper_destroy(fixture->reaper);
	unlinkat(fixture->cgroup_fd, "cpu.stat", 0);
	close(fixture->cgroup_fd);
	assert_return_code(rmdir(fixture->directory), errno);
	close(fixture->pipe[0]);
	close(fixture->pipe[1]);
}

static int track(struct fixture *fixture, uint64_t id, uint64_t freeze_us, uint64_t stop_us,
		 const struct reaper_listener *listener)
{
	struct reaper_site site = {
		.id = id,
		.cgroup_fd = openat(fixture->cgroup_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.listeners = listener,
		.n_listeners = listener ? 1 : 0,
		.policy = {freeze_us, stop_us, 0.05},
	};

	return reaper_track(fixture->reaper, &site);
}

static void await_notify(struct fixture *fixture)
{
	struct pollfd pollfd = {.fd = fixture->pipe[0], .events = POLLIN};
	char bytes[64];

	assert_int_equal(poll(&pollfd, 1, WAIT_MS), 1);
	assert_true(read(fixture->pipe[0], bytes, sizeof bytes) > 0);
}

static struct reaper_verdict await_verdict(struct fixture *fixture)
{
	struct reaper_verdict verdict;

	while (!reaper_next_verdict(fixture->reaper, &verdict))
		await_notify(fixture);
	return verdict;
}

/* Waits for a scan from start to end, by a site that goes idle at once. */
static void await_scan(struct fixture *fixture)
{
	static uint64_t id = 1000;
	uint64_t before = reaper_scans(fixture->reaper);

	assert_int_equal(track(fixture, ++id, 0, IDLE_NEVER, NULL), 0);
	while (reaper_scans(fixture->reaper) < before + 2)
		await_verdict(fixture);
	reaper_untrack(fixture->reaper, id);
}

static struct reaper_activity activity_of(struct fixture *fixture, uint64_t id)
{
	struct reaper_activity activity;

	assert_true(reaper_get_activity(fixture->reaper, id, &activity));
	return activity;
}

static int open_listener(struct reaper_listener *ret)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_return_code(bind(fd, (struct sockaddr *)&in, sizeof in), errno);
	assert_return_code(listen(fd, 16), errno);
	*ret = (struct reaper_listener){.type = SOCK_STREAM, .length = sizeof ret->address};
	assert_return_code(getsockname(fd, (struct sockaddr *)&ret->address, &ret->length), errno);
	return fd;
}

static int connect_to(const struct reaper_listener *listener)
{
	int fd = socket(listener->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_return_code(connect(fd, (const struct sockaddr *)&listener->address, listener->length), errno);
	return fd;
}

static void test_create(void **unused)
{
	struct reaper *reaper = NULL;

	(void)unused;
	assert_int_equal(reaper_create(0, on_notify, NULL, &reaper), -EINVAL);
	assert_int_equal(reaper_create(REAPER_INTERVAL_MAX_US + 1, on_notify, NULL, &reaper), -EINVAL);
	assert_null(reaper);
	reaper_destroy(NULL);
	assert_int_equal(reaper_create(REAPER_INTERVAL_MAX_US, on_notify, NULL, &reaper), 0);
	reaper_destroy(reaper);
}

static void test_verdicts(void **unused)
{
	struct reaper_verdict verdict;
	struct fixture fixture;

	(void)unused;
	set_up(&fixture);
	assert_int_equal(track(&fixture, 1, 5000, IDLE_NEVER, NULL), 0);
	verdict = await_verdict(&fixture);
	assert_int_equal(verdict.id, 1);
	assert_int_equal(verdict.verdict, IDLE_FREEZE);
	/* Not acted on: it is told again. */
	verdict = await_verdict(&fixture);
	assert_int_equal(verdict.id, 1);
	reaper_untrack(fixture.reaper, 1);

	assert_int_equal(track(&fixture, 2, 5000, 5000, NULL), 0);
	verdict = await_verdict(&fixture);
	assert_int_equal(verdict.id, 2);
	assert_int_equal(verdict.verdict, IDLE_STOP);
	tear_down(&fixture);
}

/* A verdict that nobody takes is queued once, and becomes the later one. */
static void test_verdict_grows(void **unused)
{
	struct reaper_verdict verdict;
	struct fixture fixture;

	(void)unused;
	set_up(&fixture);
	assert_int_equal(track(&fixture, 1, 0, 100000, NULL), 0);
	await_notify(&fixture);
	while (activity_of(&fixture, 1).scanned_ns < activity_of(&fixture, 1).last_active_ns + 150000000)
		poll(NULL, 0, 1);
	assert_true(reaper_next_verdict(fixture.reaper, &verdict));
	assert_int_equal(verdict.verdict, IDLE_STOP);
	tear_down(&fixture);
}

static void test_before_first_scan(void **unused)
{
	struct reaper_activity activity;
	struct reaper_verdict verdict;
	struct fixture fixture;

	(void)unused;
	set_up_with(&fixture, HOUR_US);
	assert_false(reaper_get_activity(fixture.reaper, 1, &activity));
	assert_int_equal(track(&fixture, 1, 0, 0, NULL), 0);
	activity = activity_of(&fixture, 1);
	assert_int_equal(activity.scanned_ns, 0);
	assert_true(activity.last_active_ns > 0);
	assert_false(reaper_next_verdict(fixture.reaper, &verdict));
	reaper_untrack(fixture.reaper, 1);
	reaper_untrack(fixture.reaper, 1);
	reaper_announce(fixture.reaper, 1, true, 0);
	assert_false(reaper_get_activity(fixture.reaper, 1, &activity));
	assert_int_equal(reaper_scans(fixture.reaper), 0);
	tear_down(&fixture);
}

static void test_connections(void **unused)
{
	struct reaper_activity activity;
	struct reaper_listener listener;
	struct fixture fixture;
	int listener_fd, client_fd, server_fd;
	char byte;

	(void)unused;
	set_up(&fixture);
	listener_fd = open_listener(&listener);
	client_fd = connect_to(&listener);
	assert_int_equal(track(&fixture, 1, 200000, IDLE_NEVER, &listener), 0);
	await_scan(&fixture);
	activity = activity_of(&fixture, 1);
	assert_int_equal(activity.reason, BUSY_WAITING);
	assert_int_equal(activity.waiting, 1);
	assert_int_equal(activity.neglected, 1);
	assert_true(activity.neglected_ns && activity.neglected_ns <= activity.scanned_ns);

	server_fd = accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(write(client_fd, "x", 1), 1);
	await_scan(&fixture);
	activity = activity_of(&fixture, 1);
	assert_int_equal(activity.reason, BUSY_QUEUED);
	assert_int_equal(activity.connections, 1);
	assert_int_equal(activity.waiting, 0);
	assert_int_equal(activity.attended, 1);
	assert_int_equal(activity.neglected, 0);

	/* Open, and nothing moves: idle in the end. */
	assert_int_equal(read(server_fd, &byte, 1), 1);
	assert_int_equal(await_verdict(&fixture).id, 1);
	assert_int_equal(activity_of(&fixture, 1).connections, 1);
	close(client_fd);
	close(server_fd);
	close(listener_fd);
	tear_down(&fixture);
}

static void test_cpu(void **unused)
{
	struct reaper_activity activity;
	struct fixture fixture;
	unsigned long usage_us = 0;

	(void)unused;
	set_up(&fixture);
	assert_int_equal(track(&fixture, 1, 1000000, IDLE_NEVER, NULL), 0);
	do {
		usage_us += 100000000;
		set_usage(fixture.cgroup_fd, usage_us);
		poll(NULL, 0, 1);
		activity = activity_of(&fixture, 1);
	} while (activity.reason != BUSY_CPU);
	assert_true(activity.cpu > 0.05);
	/* Used no more. */
	assert_int_equal(await_verdict(&fixture).id, 1);

	/* No figure means busy. */
	assert_return_code(unlinkat(fixture.cgroup_fd, "cpu.stat", 0), errno);
	assert_int_equal(track(&fixture, 2, 0, 0, NULL), 0);
	while (activity_of(&fixture, 2).reason != BUSY_UNKNOWN ||
	       activity_of(&fixture, 1).reason != BUSY_UNKNOWN)
		poll(NULL, 0, 1);
	set_usage(fixture.cgroup_fd, usage_us);
	assert_int_equal(await_verdict(&fixture).id, 2);
	tear_down(&fixture);
}

/* Where cgroups can be made: the directory that this process is in, in a cgroup v2 mount. */
static int make_cgroup(int *parent_fd, const char *name)
{
	static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	char line[512], path[600], *own = NULL;
	FILE *file = fopen("/proc/self/cgroup", "re");

	while (file && !own && fgets(line, sizeof line, file))
		if (strncmp(line, "0::", 3) == 0)
			own = strtok(line + 3, "\n");
	if (file)
		fclose(file);
	for (unsigned i = 0; own && i < 2; i++) {
		snprintf(path, sizeof path, "%s%s", mounts[i], own);
		*parent_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (*parent_fd >= 0 && faccessat(*parent_fd, "cgroup.procs", W_OK, 0) == 0) {
			int fd = cgroup_create(*parent_fd, name);

			if (fd >= 0)
				return fd;
		}
		fd_close(*parent_fd);
	}
	return -1;
}

/* A program in a real cgroup that spins, and then does not. */
static void test_real_cgroup(void **unused)
{
	int parent_fd = -EBADF, cgroup_fd;
	struct reaper_site site = {.id = 1, .policy = {300000, IDLE_NEVER, 0.05}};
	struct fixture fixture;
	char pid_text[16], name[64];
	pid_t pid;

	(void)unused;
	snprintf(name, sizeof name, "torpor-test-reaper-%d", getpid());
	cgroup_fd = make_cgroup(&parent_fd, name);
	if (cgroup_fd < 0) {
		print_message("skipped: no cgroup v2 directory to make a cgroup in\n");
		skip();
	}
	set_up_with(&fixture, 50000);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (volatile unsigned spin = 0;; spin = spin + 1)
			;
	}
	snprintf(pid_text, sizeof pid_text, "%d", pid);
	assert_int_equal(fd_write_attribute(cgroup_fd, "cgroup.procs", pid_text), 0);
	site.cgroup_fd = fcntl(cgroup_fd, F_DUPFD_CLOEXEC, 3);
	assert_int_equal(reaper_track(fixture.reaper, &site), 0);
	do {
		await_scan(&fixture);
	} while (activity_of(&fixture, 1).reason != BUSY_CPU);
	kill(pid, SIGSTOP);
	assert_int_equal(await_verdict(&fixture).id, 1);

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* The open descriptor does not keep the cgroup; once it is gone there are no figures. */
	assert_int_equal(cgroup_destroy_tree(parent_fd, name), 0);
	await_scan(&fixture);
	assert_int_equal(activity_of(&fixture, 1).reason, BUSY_UNKNOWN);
	close(cgroup_fd);
	close(parent_fd);
	tear_down(&fixture);
}

static void test_announce(void **unused)
{
	struct reaper_verdict verdict;
	struct fixture fixture;

	(void)unused;
	set_up(&fixture);
	assert_int_equal(track(&fixture, 1, 0, IDLE_NEVER, NULL), 0);
	await_notify(&fixture);
	/* The verdict that stands in the queue is no longer true. */
	reaper_announce(fixture.reaper, 1, true, 0);
	assert_false(reaper_next_verdict(fixture.reaper, &verdict));
	await_scan(&fixture);
	assert_int_equal(activity_of(&fixture, 1).reason, BUSY_ANNOUNCED);
	reaper_announce(fixture.reaper, 1, false, 0);
	assert_int_equal(await_verdict(&fixture).id, 1);
	tear_down(&fixture);
}

static void test_untrack_drops_verdict(void **unused)
{
	struct reaper_verdict verdict;
	struct fixture fixture;

	(void)unused;
	set_up(&fixture);
	assert_int_equal(track(&fixture, 1, 0, IDLE_NEVER, NULL), 0);
	await_notify(&fixture);
	reaper_untrack(fixture.reaper, 1);
	assert_false(reaper_next_verdict(fixture.reaper, &verdict));
	await_scan(&fixture);
	tear_down(&fixture);
}

/* The descriptor is the reaper's whatever it answers; the other end of a pipe hears of its close. */
static void test_takes_descriptor(void **unused)
{
	struct reaper_site site = {.id = 1};
	struct fixture fixture;

	(void)unused;
	set_up(&fixture);
	assert_int_equal(track(&fixture, 1, HOUR_US, HOUR_US, NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct pollfd pollfd;
		int ends[2];

		assert_return_code(pipe2(ends, O_CLOEXEC), errno);
		pollfd = (struct pollfd){.fd = ends[0]};
		site.cgroup_fd = ends[1];
		assert_int_equal(reaper_track(fixture.reaper, &site), i == 0 ? -EEXIST : 0);
		if (i == 1)
			reaper_untrack(fixture.reaper, site.id);
		else if (i == 2)
			tear_down(&fixture);
		assert_int_equal(poll(&pollfd, 1, WAIT_MS), 1);
		assert_true(pollfd.revents & POLLHUP);
		close(ends[0]);
		site.id++;
	}
}

/* A scan that hangs (cpu.stat is a FIFO without a writer) holds nobody up, and what is untracked meanwhile is
 * not judged by it. */
static void test_slow_scan(void **unused)
{
	struct fixture fixture, slow;
	struct reaper_verdict verdict;
	struct reaper_site site = {.id = 7, .policy = {0, IDLE_NEVER, 0.05}};
	int fifo_fd = -1;

	(void)unused;
	set_up(&fixture);
	set_up_with(&slow, HOUR_US);
	assert_return_code(unlinkat(slow.cgroup_fd, "cpu.stat", 0), errno);
	assert_return_code(mkfifoat(slow.cgroup_fd, "cpu.stat", 0600), errno);
	site.cgroup_fd = openat(slow.cgroup_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(track(&fixture, 1, 0, IDLE_NEVER, NULL), 0);
	assert_int_equal(reaper_track(fixture.reaper, &site), 0);
	/* A writer can open it as soon as the reader is there, which then waits for bytes. */
	while ((fifo_fd = openat(slow.cgroup_fd, "cpu.stat", O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0)
		poll(NULL, 0, 1);
	/* An earlier scan may have come before the FIFO's site. */
	while (reaper_next_verdict(fixture.reaper, &verdict))
		assert_int_equal(verdict.id, 1);

	assert_int_equal(track(&fixture, 2, 0, IDLE_NEVER, NULL), 0);
	activity_of(&fixture, 2);
	reaper_announce(fixture.reaper, 2, false, 0);
	reaper_untrack(fixture.reaper, 1);
	reaper_untrack(fixture.reaper, 7);
	assert_false(reaper_next_verdict(fixture.reaper, &verdict));
	close(fifo_fd);
	assert_int_equal(await_verdict(&fixture).id, 2);
	tear_down(&fixture);
	tear_down(&slow);
}

static int find_thread(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	int found = 0;

	assert_non_null(tasks);
	while (!found && (entry = readdir(tasks))) {
		char path[300], name[32];

		snprintf(path, sizeof path, "/proc/self/task/%s", entry->d_name);
		if (fd_read_attribute(AT_FDCWD, path, name, sizeof name) == -EISDIR) {
			strcat(path, "/comm");
			if (fd_read_attribute(AT_FDCWD, path, name, sizeof name) > 0 &&
			    strcmp(name, "reaper") == 0)
				found = atoi(entry->d_name);
		}
	}
	closedir(tasks);
	return found;
}

static unsigned long long status_of(int thread, const char *field, int base)
{
	char path[64], text[8192], *at;

	snprintf(path, sizeof path, "/proc/self/task/%d/status", thread);
	assert_true(fd_read_attribute(AT_FDCWD, path, text, sizeof text) > 0);
	at = strstr(text, field);
	assert_non_null(at);
	return strtoull(at + strlen(field), NULL, base);
}

/* Whether the thread sleeps in a system call whose fourth argument is zero: futex(2) without a time-out. */
static bool sleeps_for_ever(int thread)
{
	unsigned long long arguments[4] = {1, 1, 1, 1};
	char path[64], text[512];
	long number = -1;

	snprintf(path, sizeof path, "/proc/self/task/%d/syscall", thread);
	return fd_read_attribute(AT_FDCWD, path, text, sizeof text) > 0 &&
	       sscanf(text, "%ld %llx %llx %llx %llx", &number, &arguments[0], &arguments[1], &arguments[2],
		      &arguments[3]) == 5 &&
	       arguments[3] == 0;
}

/* With nothing tracked there is no wake-up: before the first site, and after the last. */
static void test_no_wakeups(void **unused)
{
	struct fixture fixture;
	int thread;

	(void)unused;
	set_up(&fixture);
	thread = find_thread();
	assert_true(thread > 0);
	for (unsigned i = 0; i < 2; i++) {
		struct pollfd pollfd = {.fd = fixture.pipe[0], .events = POLLIN};
		unsigned long long switches;
		uint64_t scans;

		for (unsigned tries = 0; !sleeps_for_ever(thread); tries++) {
			assert_true(tries < WAIT_MS);
			poll(NULL, 0, 1);
		}
		switches = status_of(thread, "\nvoluntary_ctxt_switches:", 10);
		scans = reaper_scans(fixture.reaper);
		assert_int_equal(poll(&pollfd, 1, 100 * INTERVAL_US / 1000), 0);
		assert_int_equal(status_of(thread, "\nvoluntary_ctxt_switches:", 10), switches);
		assert_int_equal(reaper_scans(fixture.reaper), scans);
		await_scan(&fixture);
		while (read(fixture.pipe[0], &(char){0}, 1) > 0)
			;
	}
	tear_down(&fixture);
}

static void test_thread(void **unused)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1, SIGPIPE, SIGALRM};
	unsigned long long blocked;
	struct fixture fixture;
	sigset_t own;

	(void)unused;
	set_up(&fixture);
	blocked = status_of(find_thread(), "\nSigBlk:", 16);
	for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++)
		assert_true(blocked >> (signals[i] - 1) & 1);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &own), 0);
	assert_int_equal(sigismember(&own, SIGTERM), 0);
	tear_down(&fixture);
}

/* Sites come and go while it scans: for the thread sanitizer, and that no verdict is one of a site that went.
 */
static void test_churn(void **unused)
{
	struct reaper_listener listener;
	struct fixture fixture;
	uint64_t oldest = 1, newest = 0, taken = 0;
	int listener_fd = open_listener(&listener);

	(void)unused;
	set_up_with(&fixture, 100);
	while (taken < 500) {
		struct reaper_verdict verdict;

		if (newest < oldest + 20) {
			newest++;
			assert_int_equal(track(&fixture, newest, 0, IDLE_NEVER, newest % 2 ? &listener : NULL),
					 0);
		}
		reaper_announce(fixture.reaper, newest, newest % 3 == 0, 0);
		reaper_announce(fixture.reaper, newest, false, 0);
		if (newest % 4 == 0)
			reaper_untrack(fixture.reaper, oldest++);
		while (reaper_next_verdict(fixture.reaper, &verdict)) {
			assert_true(verdict.id >= oldest && verdict.id <= newest);
			taken++;
			if (verdict.id == oldest)
				reaper_untrack(fixture.reaper, oldest++);
		}
		if (newest >= oldest + 20)
			await_notify(&fixture);
	}
	close(listener_fd);
	tear_down(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_verdict_grows),
		cmocka_unit_test(test_before_first_scan),
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_cpu),
		cmocka_unit_test(test_real_cgroup),
		cmocka_unit_test(test_announce),
		cmocka_unit_test(test_untrack_drops_verdict),
		cmocka_unit_test(test_takes_descriptor),
		cmocka_unit_test(test_slow_scan),
		cmocka_unit_test(test_no_wakeups),
		cmocka_unit_test(test_thread),
		cmocka_unit_test(test_churn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
