/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A server that shows what its container is like, and misbehaves when asked to.
 *
 *     probe-server [options]         listeners from LISTEN_FDS
 *       --stdin-listener             the listener is descriptor 0
 *       --listen=ADDRESS             a listener of its own
 *       --exit=CODE                  exits at once
 *       --exit-on-request=CODE       exits with the first request, unanswered
 *       --sleep-start=MS             waits before it does anything
 *       --ready, --ready-after=MS    READY=1 to $NOTIFY_SOCKET
 *       --ready-by-child=MS          the same, but serves meanwhile
 *       --echo                       connections are echoed and stay open
 *       --ignore-term                SIGTERM is caught and does nothing
 *       --say=TEXT                   one line to stdout
 *
 * Datagram listeners echo each datagram, seqpacket listeners each packet. The paths of HTTP requests are in the
 * table at the end. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"
#include "serve.h"

#define DISK_BYTES 4096 /* what O_DIRECT reads at least, at an address that is a multiple of it */

extern char **environ;

static int exit_on_request = -1;

__attribute__((format(printf, 2, 3))) static void print(struct serve_reply *reply, const char *format, ...)
{
	size_t room = SERVE_BODY_BYTES - reply->length;
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(reply->body + reply->length, room, format, list);
	va_end(list);
	if (n > 0)
		reply->length += (size_t)n < room ? (size_t)n : room - 1;
}

static void print_errno(struct serve_reply *reply, int error)
{
	print(reply, "%s\n", error ? strerrorname_np(error) : "ok");
}

static void sleep_ms(unsigned long ms)
{
	struct timespec left = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

/* The value of "name=" in the query, up to the next "&"; fallback when it is not there. In a static buffer. */
static const char *argument(const struct serve_request *request, const char *name, const char *fallback)
{
	static char values[4][SERVE_REQUEST_BYTES];
	static unsigned next;
	char *value = values[next++ % 4];
	size_t size = strlen(name);

	for (const char *at = request->query; at; at = strchr(at, '&') ? strchr(at, '&') + 1 : NULL) {
		if (strncmp(at, name, size) != 0 || at[size] != '=')
			continue;
		at += size + 1;
		memcpy(value, at, strcspn(at, "&"));
		value[strcspn(at, "&")] = '\0';
		return value;
	}
	return fallback;
}

static unsigned long number(const struct serve_request *request, const char *name, unsigned long fallback)
{
	const char *text = argument(request, name, NULL);

	return text ? strtoul(text, NULL, 0) : fallback;
}

static void print_file(struct serve_reply *reply, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		reply->status = 404;
		print_errno(reply, errno);
		return;
	}
	while ((n = read(fd, reply->body + reply->length, SERVE_BODY_BYTES - reply->length)) > 0)
		reply->length += (size_t)n;
	close(fd);
}

static void do_env(const struct serve_request *request, struct serve_reply *reply)
{
	(void)request;
	for (char **variable = environ; *variable; variable++)
		print(reply, "%s\n", *variable);
}

static void print_links(struct serve_reply *reply, const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	char target[4096];

	while (dir && (entry = readdir(dir))) {
		ssize_t n;

		/* The descriptor of this very listing is no part of it. */
		if (entry->d_name[0] == '.' ||
		    (strcmp(directory, "/proc/self/fd") == 0 && strtol(entry->d_name, NULL, 10) == dirfd(dir)))
			continue;
		n = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
		target[n < 0 ? 0 : n] = '\0';
		print(reply, "%s %s\n", entry->d_name, target);
	}
	if (dir)
		closedir(dir);
}

static void do_fds(const struct serve_request *request, struct serve_reply *reply)
{
	(void)request;
	print_links(reply, "/proc/self/fd");
}

static void do_namespaces(const struct serve_request *request, struct serve_reply *reply)
{
	(void)request;
	print_links(reply, "/proc/self/ns");
}

static void do_status(const struct serve_request *request, struct serve_reply *reply)
{
	(void)request;
	print_file(reply, "/proc/self/status");
}

static void do_mounts(const struct serve_request *request, struct serve_reply *reply)
{
	(void)request;
	print_file(reply, "/proc/self/mountinfo");
}

static void do_cgroup(const struct serve_request *request, struct serve_reply *reply)
{
	(void)request;
	print_file(reply, "/proc/self/cgroup");
}

static void do_limits(const struct serve_request *request, struct serve_reply *reply)
{
	(void)request;
	print_file(reply, "/proc/self/limits");
}

static void do_net(const struct serve_request *request, struct serve_reply *reply)
{
	(void)request;
	print_file(reply, "/proc/self/net/dev");
}

static void do_read(const struct serve_request *request, struct serve_reply *reply)
{
	print_file(reply, argument(request, "path", "/"));
}

static void do_pid(const struct serve_request *request, struct serve_reply *reply)
{
	(void)request;
	print(reply, "%d\n", (int)getpid());
}

static void do_ids(const struct serve_request *request, struct serve_reply *reply)
{
	gid_t groups[256];
	int n = getgroups(256, groups);

	(void)request;
	print(reply, "uid=%u\neuid=%u\ngid=%u\negid=%u\ngroups=", getuid(), geteuid(), getgid(), getegid());
	for (int i = 0; i < n; i++)
		print(reply, "%s%u", i ? "," : "", groups[i]);
	print(reply, "\npid=%d\nppid=%d\nsid=%d\npgid=%d\nkeyring=%ld\n", (int)getpid(), (int)getppid(),
	      (int)getsid(0), (int)getpgid(0),
	      syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
}

static void do_host(const struct serve_request *request, struct serve_reply *reply)
{
	char name[256] = "", directory[4096];
	mode_t mask = umask(0);

	(void)request;
	(void)umask(mask);
	(void)gethostname(name, sizeof name - 1);
	print(reply, "hostname=%s\ncwd=%s\numask=%04o\nnice=%d\n", name,
	      getcwd(directory, sizeof directory) ? directory : "?", mask, getpriority(PRIO_PROCESS, 0));
}

static void do_counter(const struct serve_request *request, struct serve_reply *reply)
{
	print(reply, "%llu\n", (unsigned long long)request->number);
}

/* Which listener this came in by, under which name. */
static void do_listener(const struct serve_request *request, struct serve_reply *reply)
{
	char *names = strdup(getenv("LISTEN_FDNAMES") ? getenv("LISTEN_FDNAMES") : ""), *rest = names;
	const char *name = NULL;
	struct stat status = {0};

	for (int i = SERVE_FIRST_FD; rest && i <= request->listener; i++)
		name = strsep(&rest, ":");
	(void)fstat(request->listener, &status);
	print(reply, "fd=%d\nname=%s\ninode=%llu\nnonblock=%d\n", request->listener, name ? name : "",
	      (unsigned long long)status.st_ino, !!(fcntl(request->listener, F_GETFL) & O_NONBLOCK));
	free(names);
}

static void do_stat(const struct serve_request *request, struct serve_reply *reply)
{
	struct stat status;

	if (lstat(argument(request, "path", "/"), &status) < 0) {
		reply->status = 404;
		print_errno(reply, errno);
		return;
	}
	print(reply, "mode=%o\nuid=%u\ngid=%u\nsize=%lld\nrdev=%llx\n", status.st_mode, status.st_uid,
	      status.st_gid, (long long)status.st_size, (unsigned long long)status.st_rdev);
}

static void do_list(const struct serve_request *request, struct serve_reply *reply)
{
	DIR *dir = opendir(argument(request, "path", "/"));
	struct dirent *entry;

	if (!dir) {
		reply->status = 404;
		print_errno(reply, errno);
		return;
	}
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			print(reply, "%s\n", entry->d_name);
	closedir(dir);
}

/* Writes "text" to the file, which is made when it is not there. */
static void do_write(const struct serve_request *request, struct serve_reply *reply)
{
	const char *path = argument(request, "path", "/"), *text = argument(request, "text", "x");
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644), error = 0;

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		error = errno;
	if (fd >= 0)
		close(fd);
	print_errno(reply, error);
}

/* Opens a file or a device for reading ("r"), writing or both: the name of the error, or "ok". */
static void do_open(const struct serve_request *request, struct serve_reply *reply)
{
	const char *how = argument(request, "how", "r");
	int flags = strcmp(how, "rw") == 0 ? O_RDWR : *how == 'w' ? O_WRONLY : O_RDONLY;
	int fd = open(argument(request, "path", "/"), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	print_errno(reply, fd < 0 ? errno : 0);
	if (fd >= 0)
		close(fd);
}

/* Reads the first block of a file from its disk, past the page cache: the name of the error, or "ok". */
static void do_disk(const struct serve_request *request, struct serve_reply *reply)
{
	static _Alignas(DISK_BYTES) char block[DISK_BYTES];
	int fd = open(argument(request, "path", "/"), O_RDONLY | O_CLOEXEC | O_DIRECT);

	print_errno(reply, fd < 0 || pread(fd, block, sizeof block, 0) < 0 ? errno : 0);
	if (fd >= 0)
		close(fd);
}

/* Tries a system call that a container should be refused: the name of the error, or "ok". */
static void do_try(const struct serve_request *request, struct serve_reply *reply)
{
	const char *call = argument(request, "call", "");
	long r = -1;

	errno = 0;
	if (strcmp(call, "mount") == 0)
		r = mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
	else if (strcmp(call, "socket") == 0)
		r = socket((int)number(request, "family", AF_INET), (int)number(request, "type", SOCK_STREAM),
			   0);
	else if (strcmp(call, "chroot") == 0)
		r = chroot("/");
	else if (strcmp(call, "setuid") == 0)
		r = setuid((uid_t)number(request, "uid", 0));
	else if (strcmp(call, "chown") == 0)
		r = chown(argument(request, "path", "/"), 0, 0);
	else if (strcmp(call, "chmod") == 0)
		r = chmod(argument(request, "path", "/"),
			  (mode_t)strtoul(argument(request, "mode", "0"), NULL, 8));
	else if (strcmp(call, "sethostname") == 0)
		r = sethostname("other", 5);
	else
		r = syscall((long)number(request, "nr", 0), number(request, "a", 0), number(request, "b", 0),
			    number(request, "c", 0), number(request, "d", 0), number(request, "e", 0));
	print_errno(reply, r < 0 ? errno : 0);
}

/* Connects to an address: what the network namespace lets out. */
static void do_connect(const struct serve_request *request, struct serve_reply *reply)
{
	struct endpoint endpoint;
	int fd, error = 0;

	if (endpoint_parse(argument(request, "address", ""), &endpoint) < 0) {
		print_errno(reply, EINVAL);
		return;
	}
	fd = socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&endpoint.address, endpoint.length) < 0)
		error = errno;
	if (fd >= 0)
		close(fd);
	print_errno(reply, error);
}

static void do_slow(const struct serve_request *request, struct serve_reply *reply)
{
	reply->delay_ms = (unsigned)number(request, "ms", 1000);
	print(reply, "slow\n");
}

/* A background job: a process that burns (busy) or sleeps (spawn) for a time, while requests go on. */
static void run_child(const struct serve_request *request, struct serve_reply *reply, bool busy)
{
	unsigned long ms = number(request, "ms", 1000);
	struct timespec start, now;
	pid_t pid;

	(void)signal(SIGCHLD, SIG_IGN);
	pid = fork();
	if (pid != 0) {
		if (pid < 0)
			print_errno(reply, errno);
		else
			print(reply, "%d\n", (int)pid);
		return;
	}
	(void)close_range(SERVE_FIRST_FD, ~0U, 0);
	if (number(request, "ignore-term", 0))
		(void)signal(SIGTERM, SIG_IGN);
	else
		(void)signal(SIGTERM, SIG_DFL);
	clock_gettime(CLOCK_MONOTONIC, &start);
	if (!busy)
		sleep_ms(ms);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((unsigned long)((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000) <
	       ms);
	_exit(0);
}

static void do_busy(const struct serve_request *request, struct serve_reply *reply)
{
	run_child(request, reply, true);
}

static void do_spawn(const struct serve_request *request, struct serve_reply *reply)
{
	run_child(request, reply, false);
}

/* Keeps a socket whose other end is closed, which is readable for ever: the Java machine has one. */
static void do_pair(const struct serve_request *request, struct serve_reply *reply)
{
	int pair[2];

	(void)request;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		print_errno(reply, errno);
		return;
	}
	close(pair[1]);
	print(reply, "%d\n", pair[0]);
}

/* Takes memory and keeps it; says how much it holds in all. */
static void do_allocate(const struct serve_request *request, struct serve_reply *reply)
{
	static size_t held_bytes;
	size_t bytes = number(request, "kb", 1024) * 1024;
	char *volatile memory = malloc(bytes); /* clang does without what nobody can read */

	if (!memory) {
		print_errno(reply, ENOMEM);
		return;
	}
	for (size_t i = 0; i < bytes; i += 1024)
		memory[i] = (char)(i / 1024);
	held_bytes += bytes;
	print(reply, "%zu\n", held_bytes);
}

static int notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct endpoint endpoint;
	int fd, error = 0;

	if (!path || endpoint_parse(path, &endpoint) < 0)
		return ENOENT;
	if (path[0] != '@')
		endpoint.length--;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&endpoint.address,
			     endpoint.length) < 0)
		error = errno;
	if (fd >= 0)
		close(fd);
	return error;
}

static void do_notify(const struct serve_request *request, struct serve_reply *reply)
{
	print_errno(reply, notify(request->query));
}

static void do_exit(const struct serve_request *request, struct serve_reply *reply)
{
	(void)reply;
	exit((int)number(request, "code", 1));
}

static void do_signal(const struct serve_request *request, struct serve_reply *reply)
{
	print_errno(reply, kill((pid_t)strtol(argument(request, "pid", "0"), NULL, 10),
				(int)number(request, "number", 0)) < 0
				   ? errno
				   : 0);
}

static void do_say(const struct serve_request *request, struct serve_reply *reply)
{
	print_errno(reply, dprintf(STDOUT_FILENO, "%s\n", request->query) < 0 ? errno : 0);
}

static void do_big(const struct serve_request *request, struct serve_reply *reply)
{
	size_t bytes = number(request, "bytes", 65536);

	reply->length = bytes < SERVE_BODY_BYTES ? bytes : SERVE_BODY_BYTES;
	memset(reply->body, 'x', reply->length);
}

static const struct {
	const char *path;
	serve_handler *handler;
} paths[] = {
	{"/env", do_env},       /* the environment */
	{"/fds", do_fds},       /* open descriptors: number and link */
	{"/ns", do_namespaces}, /* namespaces: name and link */
	{"/status", do_status}, /* /proc/self/status, mountinfo, cgroup, limits, net/dev */
	{"/mounts", do_mounts},     {"/cgroup", do_cgroup}, {"/limits", do_limits}, {"/net", do_net},
	{"/pid", do_pid},           {"/ids", do_ids}, /* uid, gid, groups, pid, ppid, sid */
	{"/host", do_host},                           /* hostname, cwd, umask, nice */
	{"/counter", do_counter},                     /* requests since the start */
	{"/listener", do_listener},                   /* which one this came in by */
	{"/stat", do_stat},                           /* ?path= */
	{"/list", do_list},                           /* ?path= */
	{"/read", do_read},                           /* ?path= */
	{"/write", do_write},                         /* ?path=&text= */
	{"/open", do_open},                           /* ?path=&how=r|w|rw */
	{"/disk", do_disk},                           /* ?path= */
	{"/try", do_try}, /* ?call=mount|socket|chroot|setuid|chown|chmod|sethostname or ?nr=&a=&b=... */
	{"/connect", do_connect},   /* ?address= */
	{"/slow", do_slow},         /* ?ms= */
	{"/busy", do_busy},         /* ?ms= in a child process */
	{"/pair", do_pair},         /* half of one */
	{"/spawn", do_spawn},       /* ?ms=&ignore-term=1 */
	{"/allocate", do_allocate}, /* ?kb= */
	{"/notify", do_notify},     /* ?STATUS=... */
	{"/exit", do_exit},         /* ?code= unanswered */
	{"/signal", do_signal},     /* ?pid=&number= */
	{"/say", do_say},           /* ?text to stdout */
	{"/big", do_big},           /* ?bytes= */
};

static void answer(const struct serve_request *request, struct serve_reply *reply)
{
	if (exit_on_request >= 0)
		exit(exit_on_request);
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		if (strcmp(request->path, paths[i].path) == 0) {
			paths[i].handler(request, reply);
			return;
		}
	}
	print(reply, "hello\n");
}

struct options {
	bool stdin_listener, echo, ready, ignore_term;
	const char *listen_address;
	unsigned long sleep_ms, ready_after_ms, ready_by_child_ms;
};

static bool parse(const char *text, struct options *options)
{
	const char *value = strchr(text, '=');

	value = value ? value + 1 : "";
	if (strcmp(text, "--stdin-listener") == 0)
		options->stdin_listener = true;
	else if (strncmp(text, "--listen=", 9) == 0)
		options->listen_address = value;
	else if (strncmp(text, "--exit=", 7) == 0)
		exit((int)strtol(value, NULL, 10));
	else if (strncmp(text, "--exit-on-request=", 18) == 0)
		exit_on_request = (int)strtol(value, NULL, 10);
	else if (strncmp(text, "--sleep-start=", 14) == 0)
		options->sleep_ms = strtoul(value, NULL, 10);
	else if (strcmp(text, "--ready") == 0)
		options->ready = true;
	else if (strncmp(text, "--ready-after=", 14) == 0) {
		options->ready = true;
		options->ready_after_ms = strtoul(value, NULL, 10);
	} else if (strncmp(text, "--ready-by-child=", 17) == 0)
		options->ready_by_child_ms = strtoul(value, NULL, 10);
	else if (strcmp(text, "--echo") == 0)
		options->echo = true;
	else if (strcmp(text, "--ignore-term") == 0)
		options->ignore_term = true;
	else if (strncmp(text, "--say=", 6) == 0)
		(void)dprintf(STDOUT_FILENO, "%s\n", value);
	else
		return false;
	return true;
}

static void choose_kinds(struct serve *serve, bool echo)
{
	for (int i = 0; i < serve->n_listeners; i++) {
		int type = SOCK_STREAM;
		socklen_t size = sizeof type;

		(void)getsockopt(serve->first_fd + i, SOL_SOCKET, SO_TYPE, &type, &size);
		if (type == SOCK_DGRAM)
			serve->kinds[i] = SERVE_DATAGRAM;
		else if (echo || type == SOCK_SEQPACKET)
			serve->kinds[i] = SERVE_ECHO;
	}
}

int main(int argc, char **argv)
{
	static struct serve serve = {.handler = answer};
	struct options options = {0};
	int r;

	for (int i = 1; i < argc; i++) {
		if (!parse(argv[i], &options)) {
			fprintf(stderr, "probe-server: unknown option %s\n", argv[i]);
			return 2;
		}
	}
	if (options.sleep_ms)
		sleep_ms(options.sleep_ms);
	r = serve_find_listeners(&serve, options.stdin_listener, options.listen_address);
	if (r < 0) {
		fprintf(stderr, "probe-server: no listeners: %s\n", strerror(-r));
		return 3;
	}
	choose_kinds(&serve, options.echo);
	if (options.ready_after_ms)
		sleep_ms(options.ready_after_ms);
	if (options.ready_by_child_ms && fork() == 0) {
		(void)close_range(SERVE_FIRST_FD, ~0U, 0);
		sleep_ms(options.ready_by_child_ms);
		_exit(notify("READY=1"));
	}
	if (options.ready && notify("READY=1\nSTATUS=probing") != 0)
		fprintf(stderr, "probe-server: READY=1 was not taken\n");
	serve.ignore_term = options.ignore_term;
	return serve_run(&serve) < 0 ? 4 : 0;
}
