/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Says what a program is given in its container, and tries to get at a neighbour.
 *
 *     container-probe facts             descriptors, identity, privileges, signals, limits
 *     container-probe keyring           the number of its session keyring
 *     container-probe inotify           how many inotify instances it can have; and keeps them
 *     container-probe leave NAME PORT   makes one of each thing that another program might get at, and stays
 *     container-probe find NAME PORT PID
 *                                       tries to get at what `leave` has made in process PID: "NAME: ok" or
 *                                       "NAME: ENOENT"
 *
 * With a listener in LISTEN_FDS, the answer goes to the first connection. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define KEY 0x746f7270 /* of System V shared memory */

static const char secret[] = "secret of a neighbour";

/* Facts. */

static void print_link(FILE *out, const char *name, const char *path)
{
	char target[4096];
	ssize_t n = readlink(path, target, sizeof target - 1);

	target[n < 0 ? 0 : n] = '\0';
	target[strcspn(target, "[")] = '\0'; /* numbers of sockets and pipes are nobody's */
	fprintf(out, "%s: %s\n", name, n < 0 ? strerrorname_np(errno) : target);
}

/* In the order of their numbers; the one that lists them and the answer's are no part of it. */
static void print_descriptors(FILE *out)
{
	char name[32], path[64];

	for (int fd = 0; fd < 1024; fd++) {
		snprintf(name, sizeof name, "descriptor %d", fd);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		if (fd != fileno(out) && fcntl(fd, F_GETFD) >= 0)
			print_link(out, name, path);
	}
}

/* Lines of /proc/self/status that say what a process may do and whom it listens to. */
static void print_status(FILE *out)
{
	static const char *const wanted[] = {"Uid",    "Gid",    "Groups", "NStgid",     "NSsid",
					     "SigBlk", "SigIgn", "SigCgt", "CapInh",     "CapPrm",
					     "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"};
	FILE *status = fopen("/proc/self/status", "re");
	char line[4096];

	while (status && fgets(line, sizeof line, status)) {
		size_t length = strcspn(line, ":");

		for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
			if (strlen(wanted[i]) == length && strncmp(line, wanted[i], length) == 0)
				fputs(line, out);
	}
	if (status)
		fclose(status);
}

static void print_limits(FILE *out)
{
	static const struct {
		const char *name;
		int resource;
	} limits[] = {{"core", RLIMIT_CORE}, {"nofile", RLIMIT_NOFILE}};

	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		struct rlimit limit;

		(void)getrlimit((__rlimit_resource_t)limits[i].resource, &limit);
		fprintf(out, "limit %s: %lld %lld\n", limits[i].name, (long long)limit.rlim_cur,
			(long long)limit.rlim_max);
	}
}

static void print_facts(FILE *out)
{
	mode_t mask = umask(0);
	int own;

	(void)umask(mask);
	print_descriptors(out);
	print_link(out, "working directory", "/proc/self/cwd");
	print_link(out, "root", "/proc/self/root");
	print_link(out, "program", "/proc/self/exe");
	own = open("/proc/self/exe", O_WRONLY | O_CLOEXEC);
	fprintf(out, "program, to write: %s\n", own < 0 ? strerrorname_np(errno) : "ok");
	own = open("/dev/tty", O_RDWR | O_CLOEXEC);
	fprintf(out, "terminal: %s\n", own < 0 ? strerrorname_np(errno) : "ok");
	print_status(out);
	fprintf(out, "securebits: %d\ndumpable: %d\nparent death signal: %d\n", prctl(PR_GET_SECUREBITS),
		prctl(PR_GET_DUMPABLE), prctl(PR_GET_PDEATHSIG, &own) < 0 ? -1 : own);
	fprintf(out, "umask: %04o\nnice: %d\nscheduler: %d\n", mask, getpriority(PRIO_PROCESS, 0),
		sched_getscheduler(0));
	print_limits(out);
	for (char **variable = environ; *variable; variable++)
		fprintf(out, "environment: %s\n", *variable);
}

/* Which session keyring it has, where the unit lets it ask. */
static void print_keyring(FILE *out)
{
	fprintf(out, "%ld\n", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
}

static void take_inotify(FILE *out)
{
	int n = 0;

	while (inotify_init1(IN_CLOEXEC) >= 0)
		n++;
	fprintf(out, "%d %s\n", n, strerrorname_np(errno));
	(void)fclose(out);
	(void)pause();
}

/* Neighbours. */

struct neighbour {
	const char *name;
	int port;
	pid_t pid;
	char path[3][64]; /* of its files, and of its message queue */
	struct sockaddr_un abstract;
	socklen_t abstract_bytes;
	struct sockaddr_in loopback;
};

static void neighbour_init(struct neighbour *n, char **argv)
{
	*n = (struct neighbour){.name = argv[2], .port = atoi(argv[3])};
	snprintf(n->path[0], sizeof n->path[0], "/tmp/%s", n->name);
	snprintf(n->path[1], sizeof n->path[1], "/dev/shm/%s", n->name);
	snprintf(n->path[2], sizeof n->path[2], "/%s", n->name);
	n->abstract = (struct sockaddr_un){.sun_family = AF_UNIX};
	n->abstract_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
					(size_t)snprintf(n->abstract.sun_path + 1,
							 sizeof n->abstract.sun_path - 1, "%s", n->name));
	n->loopback = (struct sockaddr_in){.sin_family = AF_INET,
					   .sin_port = htons((uint16_t)n->port),
					   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listen_at(const void *address, socklen_t bytes)
{
	int fd = socket(*(const sa_family_t *)address, SOCK_STREAM, 0);

	return fd < 0 || bind(fd, address, bytes) < 0 || listen(fd, 8) < 0 ? -1 : 0;
}

/* Things that are there for everybody of this user, until SIGTERM. Says what it could not make. */
static void leave(FILE *out, struct neighbour *n)
{
	int id = shmget(KEY, 4096, IPC_CREAT | 0666);
	struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = 8};
	mqd_t queue = mq_open(n->path[2], O_RDWR | O_CREAT, 0666, &attr);
	sigset_t term;
	int number;

	for (int i = 0; i < 2; i++)
		if (open(n->path[i], O_RDWR | O_CREAT, 0666) < 0)
			fprintf(out, "%s: %s\n", n->path[i], strerrorname_np(errno));
	if (id < 0)
		fprintf(out, "shared memory: %s\n", strerrorname_np(errno));
	if (queue < 0)
		fprintf(out, "message queue: %s\n", strerrorname_np(errno));
	if (listen_at(&n->abstract, n->abstract_bytes) < 0 || listen_at(&n->loopback, sizeof n->loopback) < 0)
		fprintf(out, "listeners: %s\n", strerrorname_np(errno));
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &term, NULL); /* it may come before it is waited for */
	fprintf(out, "left: %s\n", secret);
	(void)fclose(out);
	(void)sigwait(&term, &number);
	(void)shmctl(id, IPC_RMID, NULL);
	(void)mq_unlink(n->path[2]);
	(void)unlink(n->path[0]);
	(void)unlink(n->path[1]);
}

static long find_signal(const struct neighbour *n)
{
	return kill(n->pid, 0);
}

/* Of everybody that a signal to all would reach. */
static long find_anybody(const struct neighbour *n)
{
	(void)n;
	return kill(-1, 0);
}

static long find_pidfd(const struct neighbour *n)
{
	return syscall(SYS_pidfd_open, n->pid, 0);
}

static long find_trace(const struct neighbour *n)
{
	return ptrace(PTRACE_SEIZE, n->pid, NULL, NULL) < 0 ? -1 : ptrace(PTRACE_INTERRUPT, n->pid, NULL, NULL);
}

static long find_memory(const struct neighbour *n)
{
	char to[sizeof secret];
	struct iovec local = {to, sizeof to}, remote = {(void *)(uintptr_t)secret, sizeof secret};

	return process_vm_readv(n->pid, &local, 1, &remote, 1, 0);
}

static long find_proc(const struct neighbour *n, const char *file)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", (int)n->pid, file);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static long find_environment(const struct neighbour *n)
{
	return find_proc(n, "environ");
}

static long find_root(const struct neighbour *n)
{
	return find_proc(n, "root/tmp");
}

static long find_affinity(const struct neighbour *n)
{
	cpu_set_t set;

	return sched_getaffinity(n->pid, sizeof set, &set) < 0 ? -1
							       : sched_setaffinity(n->pid, sizeof set, &set);
}

static long find_priority(const struct neighbour *n)
{
	return setpriority(PRIO_PROCESS, (id_t)n->pid, 19);
}

static long find_limit(const struct neighbour *n)
{
	struct rlimit limit;

	return prlimit(n->pid, RLIMIT_NOFILE, NULL, &limit);
}

static long find_shared_memory(const struct neighbour *n)
{
	(void)n;
	return shmget(KEY, 0, 0);
}

static long find_message_queue(const struct neighbour *n)
{
	return mq_open(n->path[2], O_RDWR);
}

static long find_tmp(const struct neighbour *n)
{
	return open(n->path[0], O_RDWR | O_CLOEXEC);
}

static long find_shm(const struct neighbour *n)
{
	return open(n->path[1], O_RDWR | O_CLOEXEC);
}

static long find_abstract(const struct neighbour *n)
{
	return connect(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), (const struct sockaddr *)&n->abstract,
		       n->abstract_bytes);
}

static long find_loopback(const struct neighbour *n)
{
	return connect(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), (const struct sockaddr *)&n->loopback,
		       sizeof n->loopback);
}

static const struct {
	const char *name;
	long (*find)(const struct neighbour *n);
} tries[] = {
	{"signal", find_signal},
	{"signal to all", find_anybody},
	{"pidfd", find_pidfd},
	{"memory", find_memory},
	{"environment", find_environment},
	{"root", find_root},
	{"affinity", find_affinity},
	{"priority", find_priority},
	{"limit", find_limit},
	{"trace", find_trace},
	{"shared memory", find_shared_memory},
	{"message queue", find_message_queue},
	{"/tmp", find_tmp},
	{"/dev/shm", find_shm},
	{"abstract socket", find_abstract},
	{"loopback", find_loopback},
};

static void find(FILE *out, const struct neighbour *n)
{
	for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
		errno = 0;
		fprintf(out, "%s: %s\n", tries[i].name, tries[i].find(n) < 0 ? strerrorname_np(errno) : "ok");
	}
}

static FILE *open_answer(void)
{
	int fd = getenv("LISTEN_FDS") ? accept4(3, NULL, NULL, SOCK_CLOEXEC) : dup(STDOUT_FILENO);

	return fd < 0 ? NULL : fdopen(fd, "w");
}

int main(int argc, char **argv)
{
	FILE *out = open_answer();
	struct neighbour n;

	if (!out || argc < 2)
		return 2;
	if (argc >= 4)
		neighbour_init(&n, argv);
	if (strcmp(argv[1], "facts") == 0) {
		print_facts(out);
	} else if (strcmp(argv[1], "keyring") == 0) {
		print_keyring(out);
	} else if (strcmp(argv[1], "inotify") == 0) {
		take_inotify(out);
		return 0;
	} else if (strcmp(argv[1], "leave") == 0 && argc == 4) {
		leave(out, &n);
		return 0;
	} else if (strcmp(argv[1], "find") == 0 && argc == 5) {
		n.pid = atoi(argv[4]);
		find(out, &n);
	} else {
		return 2;
	}
	return fclose(out) == 0 ? 0 : 1;
}
