/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a scan of the reaper costs: tracks LISTENERS sites of one listener each, holds CONNECTIONS loopback
 * connections to them in turn, lets the thread scan, and prints the CPU time of a scan as JSON.
 *
 *   scan [--listeners=100] [--connections=5000] [--others=0] [--scans=100] [--interval-ms=20]
 *        [--kind=tcp4|tcp6|unix] [--cgroup=DIR]
 *
 * --others adds listeners that are not tracked, as cold sites have. --cgroup names a cgroup v2 directory in
 * which each site gets a cgroup of its own; without it all read one file that looks like cpu.stat. The clients
 * are a process of their own, with its own share of the files that RLIMIT_NOFILE allows. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "fd.h"
#include "reaper.h"

#define REQUEST_TIMEOUT_US 120000000 /* the default of RequestTimeoutSec= */

struct options {
	unsigned listeners, connections, others, scans, interval_ms;
	const char *kind, *cgroup;
};

static void fail(const char *what)
{
	fprintf(stderr, "scan: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void parse_options(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{"listeners", required_argument, NULL, 'l'},   {"connections", required_argument, NULL, 'c'},
		{"others", required_argument, NULL, 'o'},      {"scans", required_argument, NULL, 's'},
		{"interval-ms", required_argument, NULL, 'i'}, {"kind", required_argument, NULL, 'k'},
		{"cgroup", required_argument, NULL, 'g'},      {0},
	};
	int c;

	*options = (struct options){100, 5000, 0, 100, 20, "tcp4", NULL};
	while ((c = getopt_long(argc, argv, "", known, NULL)) >= 0) {
		unsigned number = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;

		/* clang-format off */
		switch (c) {
		case 'l': options->listeners = number; break;
		case 'c': options->connections = number; break;
		case 'o': options->others = number; break;
		case 's': options->scans = number; break;
		case 'i': options->interval_ms = number; break;
		case 'k': options->kind = optarg; break;
		case 'g': options->cgroup = optarg; break;
		default: exit(2);
		}
		/* clang-format on */
	}
}

/* A listener of the kind: any free port of the loopback, or an abstract name that the kernel chooses. */
static int open_listener(const char *kind, struct reaper_listener *ret)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	sa_family_t unix_family = AF_UNIX;
	const void *address = &in;
	socklen_t length = sizeof in;
	int fd;

	if (strcmp(kind, "tcp6") == 0) {
		address = &in6;
		length = sizeof in6;
	} else if (strcmp(kind, "unix") == 0) {
		address = &unix_family;
		length = sizeof unix_family;
	}
	fd = socket(*(const sa_family_t *)address, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*ret = (struct reaper_listener){.type = SOCK_STREAM, .length = sizeof ret->address};
	if (fd < 0 || bind(fd, address, length) < 0 || listen(fd, 4096) < 0 ||
	    getsockname(fd, (struct sockaddr *)&ret->address, &ret->length) < 0)
		fail("listener");
	return fd;
}

static void connect_to(const struct reaper_listener *listener)
{
	int fd = socket(listener->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&listener->address, listener->length) < 0)
		fail("connection");
}

/* Connects to the listeners in turn, from a child that lives until it is killed, or its parent dies. */
static pid_t open_connections(const struct options *options, const int *fds,
			      const struct reaper_listener *listeners)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (unsigned i = 0; i < options->connections; i++)
			connect_to(&listeners[i % options->listeners]);
		pause();
		_exit(0);
	}
	for (unsigned i = 0; i < options->connections; i++)
		if (accept4(fds[i % options->listeners], NULL, NULL, SOCK_CLOEXEC) < 0)
			fail("accept");
	return pid;
}

/* The directory that the n-th site's CPU time is read in. */
static int open_cgroup(const struct options *options, int parent_fd, unsigned n)
{
	char name[32] = ".";
	int fd;

	if (options->cgroup) {
		snprintf(name, sizeof name, "scan-%u", n);
		fd = cgroup_create(parent_fd, name);
	} else {
		fd = openat(parent_fd, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0)
		fail("cgroup");
	return fd;
}

/* Where the cgroups are made; without one to make them in, a new directory with a file like cpu.stat. */
static int open_parent(const struct options *options, char *directory)
{
	static const char text[] = "usage_usec 0\nuser_usec 0\nsystem_usec 0\n";
	const char *path = options->cgroup ? options->cgroup : mkdtemp(directory);
	int fd = path ? open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		fail("directory");
	if (!options->cgroup) {
		int file_fd = openat(fd, "cpu.stat", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		if (file_fd < 0 || fd_write_all(file_fd, text, sizeof text - 1) < 0)
			fail("cpu.stat");
		fd_close(file_fd);
	}
	return fd;
}

static void clean_up(const struct options *options, int parent_fd, const char *directory)
{
	char name[32];

	for (unsigned i = 0; options->cgroup && i < options->listeners; i++) {
		snprintf(name, sizeof name, "scan-%u", i);
		cgroup_remove(parent_fd, name);
	}
	if (!options->cgroup) {
		unlinkat(parent_fd, "cpu.stat", 0);
		rmdir(directory);
	}
	fd_close(parent_fd);
}

static double seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void wait_scans(struct reaper *reaper, uint64_t scans)
{
	const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};

	while (reaper_scans(reaper) < scans)
		nanosleep(&pause, NULL);
}

/* The main thread sleeps meanwhile: the CPU time of the process is the reaper's. */
static void measure(const struct options *options, struct reaper *reaper)
{
	struct reaper_activity activity;
	unsigned seen = 0;
	uint64_t from;
	double cpu;

	wait_scans(reaper, 2);
	from = reaper_scans(reaper);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	wait_scans(reaper, from + options->scans);
	cpu = (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)(reaper_scans(reaper) - from);
	for (unsigned i = 0; i < options->listeners; i++)
		if (reaper_get_activity(reaper, i, &activity))
			seen += activity.connections;
	printf("{\"kind\": \"%s\", \"listeners\": %u, \"others\": %u, \"connections\": %u, \"seen\": %u, "
	       "\"real_cgroups\": %s, \"cpu_ms_per_scan\": %.3f}\n",
	       options->kind, options->listeners, options->others, options->connections, seen,
	       options->cgroup ? "true" : "false", cpu * 1000);
}

static void ignore(void *userdata)
{
	(void)userdata;
}

int main(int argc, char **argv)
{
	char directory[] = "/tmp/torpor-scan.XXXXXX";
	struct reaper_listener *listeners, other;
	struct options options;
	struct rlimit limit;
	struct reaper *reaper;
	int parent_fd, *fds;
	pid_t clients;

	parse_options(argc, argv, &options);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	parent_fd = open_parent(&options, directory);
	listeners = calloc(options.listeners, sizeof *listeners);
	fds = calloc(options.listeners, sizeof *fds);
	if (!listeners || !fds)
		fail("memory");
	for (unsigned i = 0; i < options.listeners; i++)
		fds[i] = open_listener(options.kind, &listeners[i]);
	for (unsigned i = 0; i < options.others; i++)
		open_listener(options.kind, &other);
	clients = open_connections(&options, fds, listeners);
	if (reaper_create(options.interval_ms * 1000, ignore, NULL, &reaper) < 0) /* after the fork: a thread */
		fail("reaper");
	for (unsigned i = 0; i < options.listeners; i++) {
		struct reaper_site site = {
			.id = i,
			.cgroup_fd = open_cgroup(&options, parent_fd, i),
			.listeners = &listeners[i],
			.n_listeners = 1,
			.policy = {.freeze_after_us = IDLE_NEVER, .stop_after_us = IDLE_NEVER},
			.request_timeout_us = REQUEST_TIMEOUT_US,
		};

		if (reaper_track(reaper, &site) < 0)
			fail("track");
	}
	measure(&options, reaper);
	reaper_destroy(reaper);
	kill(clients, SIGKILL);
	waitpid(clients, NULL, 0);
	clean_up(&options, parent_fd, directory);
	free(listeners);
	free(fds);
	return 0;
}
