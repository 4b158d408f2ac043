/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The floor of the benchmarks: what starting a server on its first connection costs when nothing else is done.
 * A bare epoll loop holds listeners; the first connection on one vforks and execs the server with LISTEN_FDS;
 * while it runs the listener is not watched. No container, no limits, no state.
 *
 *     floor --address=127.0.0.1 --first-port=20000 --count=10 SERVER [ARGUMENT...]
 *
 * With arguments the SERVER is one that hands descriptor 3 on: it is told nothing of LISTEN_FDS. An ARGUMENT
 * that ends in "PORT" has the number in its place.
 *
 * Says "ready" when all listen. A line "stop PORT..." on stdin ends the servers of these ports, and is answered
 * with "ok" when all are gone and their listeners watched again. End of stdin ends it all. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT_MAX      65536
#define FIRST_FD       3
#define COMMAND_BYTES  65536
#define ARGUMENTS_MAX  32
#define ARGUMENT_BYTES 256

struct listener {
	int fd;
	pid_t pid; /* of the server that has it now; 0: none */
	bool stop_asked;
};

static struct listener listeners[COUNT_MAX];
static unsigned n_listeners, first_port, n_stopping;
static const char *address = "127.0.0.1";
static char *server[ARGUMENTS_MAX + 1]; /* with its arguments */
static unsigned n_arguments;
static int epoll_fd, signal_fd;
static char listen_pid[32] = "LISTEN_PID=";

/* epoll data: a listener's index, or one of these. */
#define DATA_STDIN  UINT64_C(0x100000000)
#define DATA_SIGNAL UINT64_C(0x100000001)

static int watch(int fd, int operation, uint32_t events, uint64_t data)
{
	struct epoll_event event = {.events = events, .data.u64 = data};

	return epoll_ctl(epoll_fd, operation, fd, &event) < 0 ? -errno : 0;
}

static int listen_on(unsigned port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return -errno;
	if (inet_pton(AF_INET, address, &in.sin_addr) != 1)
		return -EINVAL;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&in, sizeof in) < 0 || listen(fd, 4096) < 0)
		return -errno;
	return fd;
}

static void write_listen_pid(void)
{
	char digits[20], *at = listen_pid + strlen("LISTEN_PID=");
	int n = 0;

	for (unsigned pid = (unsigned)getpid(); pid; pid /= 10)
		digits[n++] = (char)('0' + pid % 10);
	while (n)
		*at++ = digits[--n];
	*at = '\0';
}

/* In the memory of the parent, which waits until the exec. */
__attribute__((noinline)) static pid_t spawn(char *const *argv, int fd)
{
	char *envp[] = {n_arguments == 1 ? (char *)"LISTEN_FDS=1" : NULL, listen_pid, NULL};
	sigset_t none;
	pid_t pid;

	sigemptyset(&none);
	pid = vfork();
	if (pid != 0)
		return pid;
	write_listen_pid();
	if (fd == FIRST_FD)
		(void)fcntl(fd, F_SETFD, 0);
	else
		(void)dup2(fd, FIRST_FD);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execve(argv[0], argv, envp);
	_exit(127);
}

static void start(uint64_t index)
{
	struct listener *listener = &listeners[index];
	static char texts[ARGUMENTS_MAX][ARGUMENT_BYTES];
	char *argv[ARGUMENTS_MAX + 1] = {NULL};

	for (unsigned i = 0; i < n_arguments; i++) {
		size_t length = strlen(server[i]);

		argv[i] = server[i];
		if (length < 4 || strcmp(server[i] + length - 4, "PORT") != 0)
			continue;
		snprintf(texts[i], ARGUMENT_BYTES, "%.*s%u", (int)length - 4, server[i],
			 first_port + (unsigned)index);
		argv[i] = texts[i];
	}
	listener->pid = spawn(argv, listener->fd);
	if (listener->pid < 0) {
		perror("vfork");
		listener->pid = 0;
		return;
	}
	(void)watch(listener->fd, EPOLL_CTL_MOD, 0, index);
}

static void ended(struct listener *listener, uint64_t index)
{
	bool asked = listener->stop_asked;

	listener->stop_asked = false;
	listener->pid = 0;
	(void)watch(listener->fd, EPOLL_CTL_MOD, EPOLLIN, index);
	n_stopping -= asked;
	if (asked && !n_stopping)
		(void)!write(STDOUT_FILENO, "ok\n", 3);
}

static void reap(void)
{
	struct signalfd_siginfo info;
	pid_t pid;

	while (read(signal_fd, &info, sizeof info) > 0)
		;
	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		unsigned i = 0;

		while (i < n_listeners && listeners[i].pid != pid)
			i++;
		if (i < n_listeners)
			ended(&listeners[i], i);
	}
}

static void stop(char *ports)
{
	for (char *word; (word = strsep(&ports, " "));) {
		unsigned long port = strtoul(word, NULL, 10);
		struct listener *listener = &listeners[port - first_port];

		if (port < first_port || port >= first_port + n_listeners || !listener->pid ||
		    listener->stop_asked)
			continue;
		listener->stop_asked = true;
		n_stopping++;
		(void)kill(listener->pid, SIGTERM);
	}
	if (!n_stopping)
		(void)!write(STDOUT_FILENO, "ok\n", 3);
}

/* false: the end. */
static bool read_command(void)
{
	static char line[COMMAND_BYTES];
	static size_t length;
	ssize_t n = read(STDIN_FILENO, line + length, sizeof line - 1 - length);
	char *end;

	if (n <= 0)
		return false;
	length += (size_t)n;
	line[length] = '\0';
	while ((end = strchr(line, '\n'))) {
		*end = '\0';
		if (strncmp(line, "stop ", 5) == 0)
			stop(line + 5);
		length -= (size_t)(end + 1 - line);
		memmove(line, end + 1, length + 1);
	}
	return length < sizeof line - 1;
}

static int set_up(void)
{
	struct rlimit limit;
	sigset_t set;
	int r;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (epoll_fd < 0 || signal_fd < 0)
		return -errno;
	(void)watch(STDIN_FILENO, EPOLL_CTL_ADD, EPOLLIN, DATA_STDIN);
	(void)watch(signal_fd, EPOLL_CTL_ADD, EPOLLIN, DATA_SIGNAL);
	for (unsigned i = 0; i < n_listeners; i++) {
		r = listeners[i].fd = listen_on(first_port + i);
		if (r >= 0)
			r = watch(r, EPOLL_CTL_ADD, EPOLLIN, i);
		if (r < 0) {
			fprintf(stderr, "floor: %s:%u: %s\n", address, first_port + i, strerror(-r));
			return r;
		}
	}
	return 0;
}

static void run(void)
{
	struct epoll_event events[64];

	for (;;) {
		int n = epoll_wait(epoll_fd, events, 64, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.u64 == DATA_SIGNAL)
				reap();
			else if (events[i].data.u64 < COUNT_MAX)
				start(events[i].data.u64);
			else if (!read_command())
				return;
		}
	}
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (n_arguments > 0 && n_arguments < ARGUMENTS_MAX)
			server[n_arguments++] = argv[i];
		else if (strncmp(argv[i], "--address=", 10) == 0)
			address = argv[i] + 10;
		else if (strncmp(argv[i], "--first-port=", 13) == 0)
			first_port = (unsigned)strtoul(argv[i] + 13, NULL, 10);
		else if (strncmp(argv[i], "--count=", 8) == 0)
			n_listeners = (unsigned)strtoul(argv[i] + 8, NULL, 10);
		else
			server[n_arguments++] = argv[i];
	}
	if (!n_arguments || !first_port || n_listeners < 1 || first_port + n_listeners > COUNT_MAX) {
		fprintf(stderr,
			"usage: floor --address=IPV4 --first-port=PORT --count=N SERVER [ARGUMENT...]\n");
		return 2;
	}
	if (set_up() < 0)
		return 1;
	(void)!write(STDOUT_FILENO, "ready\n", 6);
	run();
	for (unsigned i = 0; i < n_listeners; i++)
		if (listeners[i].pid)
			(void)kill(listeners[i].pid, SIGTERM);
	return 0;
}
