/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A server that knows nothing of torpor, and makes its sockets in whatever way its arguments say, one after the
 * other:
 *
 *     socket=FAMILY,TYPE[,FLAG...]  a new socket: inet, inet6 or unix; stream, dgram or seqpacket; nonblock,
 *                                   cloexec, mptcp. What follows is about this one.
 *     set=OPTION,NUMBER             setsockopt(2), of the table below
 *     flags=[FLAG][,FLAG]           nonblock, cloexec; none of them: neither
 *     inherit                       descriptor 3 instead of a new one
 *     epoll                         puts it into an epoll set
 *     bind=ADDRESS  listen=BACKLOG  connect=ADDRESS  close
 *     look                          what the socket is now: its name, flags, options
 *     loop=NUMBER,ADDRESS           so many sockets, bound to the address and closed, one after the other
 *     unlink=PATH  chmod=PATH,MODE  stat=PATH
 *     await=PATH                    until it is there
 *     i386=bind  i386=socketcall  x32=bind    by another entry of the kernel, in a child; one may be none
 *     fork=NUMBER                   so many workers; each does the rest, and this process waits for them
 *     child                         the same with one
 *     thread:STEP                   any of these in another thread
 *     serve[=NUMBER]                answers on every listening socket, or so many requests before it goes on
 *     serve-epoll                   the same, but waits for what the epoll set says alone
 *
 * A connection is answered by HTTP, a datagram by itself: in JSON, every step so far with its result, what the
 * environment says of descriptors, the process, and what the socket that it came in by is like. A step that
 * fails says so and does not keep the others from being made. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"

#define STEPS_MAX        64
#define SOCKETS_MAX      64
#define TEXT_BYTES       16384
#define CHILD_DIED       250
#define NOTHING_TO_SERVE 5

/* JSON on its way. */
struct text {
	size_t length;
	char bytes[TEXT_BYTES];
};

static struct text steps; /* the members of a list, one a step */
static int sockets[SOCKETS_MAX], n_sockets;
static int current = -1, epoll_fd = -1;

struct option {
	const char *name;
	int level, number;
};

static const struct option options[] = {
	{"reuseaddr", SOL_SOCKET, SO_REUSEADDR},
	{"reuseport", SOL_SOCKET, SO_REUSEPORT},
	{"rcvbuf", SOL_SOCKET, SO_RCVBUF},
	{"sndbuf", SOL_SOCKET, SO_SNDBUF},
	{"keepalive", SOL_SOCKET, SO_KEEPALIVE},
	{"broadcast", SOL_SOCKET, SO_BROADCAST},
	{"rcvlowat", SOL_SOCKET, SO_RCVLOWAT},
	{"nodelay", IPPROTO_TCP, TCP_NODELAY},
	{"defer-accept", IPPROTO_TCP, TCP_DEFER_ACCEPT},
	{"user-timeout", IPPROTO_TCP, TCP_USER_TIMEOUT},
	{"v6only", IPPROTO_IPV6, IPV6_V6ONLY},
};

__attribute__((format(printf, 2, 3))) static void print(struct text *text, const char *format, ...)
{
	size_t room = sizeof text->bytes - text->length;
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(text->bytes + text->length, room, format, list);
	va_end(list);
	if (n > 0)
		text->length += (size_t)n < room ? (size_t)n : room - 1;
}

static void print_string(struct text *text, const char *name, const char *value)
{
	print(text, ",\"%s\":\"", name);
	for (; *value; value++)
		print(text, *value == '"' || *value == '\\' ? "\\%c" : "%c", *value);
	print(text, "\"");
}

static const char *error_name(int error)
{
	return error ? strerrorname_np(error) : "ok";
}

/* As endpoint_parse() reads it. */
static void print_address(struct text *text, const char *name, const struct sockaddr_storage *address,
			  socklen_t length)
{
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;
	const struct sockaddr_un *un = (const void *)address;
	size_t head = offsetof(struct sockaddr_un, sun_path);
	char host[INET6_ADDRSTRLEN], line[sizeof un->sun_path + 64] = "";

	if (address->ss_family == AF_INET)
		snprintf(line, sizeof line, "%s:%u", inet_ntop(AF_INET, &in->sin_addr, host, sizeof host),
			 ntohs(in->sin_port));
	else if (address->ss_family == AF_INET6)
		snprintf(line, sizeof line, "[%s]:%u", inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host),
			 ntohs(in6->sin6_port));
	else if (address->ss_family == AF_UNIX && length > head)
		snprintf(line, sizeof line, "%s%.*s", un->sun_path[0] ? "" : "@", (int)(length - head),
			 un->sun_path + !un->sun_path[0]);
	print_string(text, name, line);
}

static int number_of(int fd, int option)
{
	int value = 0;
	socklen_t length = sizeof value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0 ? 0 : value;
}

static void print_socket(struct text *text, int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof address;
	struct stat status = {0};
	int flags = fcntl(fd, F_GETFL), accepting = number_of(fd, SO_ACCEPTCONN);

	print(text, ",\"fd\":%d,\"nonblock\":%s,\"cloexec\":%s", fd, flags & O_NONBLOCK ? "true" : "false",
	      fcntl(fd, F_GETFD) & FD_CLOEXEC ? "true" : "false");
	if (getsockname(fd, (struct sockaddr *)&address, &length) == 0)
		print_address(text, "name", &address, length);
	fstat(fd, &status);
	print(text, ",\"listening\":%s,\"inode\":%llu", accepting ? "true" : "false",
	      (unsigned long long)status.st_ino);
	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		int value = 0;

		length = sizeof value;
		if (getsockopt(fd, options[i].level, options[i].number, &value, &length) == 0)
			print(text, ",\"%s\":%d", options[i].name, value);
	}
	/* Of a socket that listens: how many wait, and how many may. */
	struct tcp_info info = {0};

	length = sizeof info;
	if (accepting && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0)
		print(text, ",\"backlog\":%u", info.tcpi_sacked);
}

static int wait_child(pid_t pid)
{
	int status;

	if (pid < 0)
		return errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : CHILD_DIED;
}

/* Whether a list "a,b,c" has a word. */
static bool has(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',')
		if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0'))
			return true;
	return false;
}

/* The steps: 0 or an errno. A step prints what more there is to say. */

static int do_socket(const char *argument)
{
	int family = has(argument, "unix")    ? AF_UNIX
		     : has(argument, "inet6") ? AF_INET6
					      : AF_INET,
	    type = has(argument, "dgram")       ? SOCK_DGRAM
		   : has(argument, "seqpacket") ? SOCK_SEQPACKET
						: SOCK_STREAM;

	if (n_sockets == SOCKETS_MAX)
		return ENOBUFS;
	current = socket(family,
			 type | (has(argument, "nonblock") ? SOCK_NONBLOCK : 0) |
				 (has(argument, "cloexec") ? SOCK_CLOEXEC : 0),
			 has(argument, "mptcp") ? IPPROTO_MPTCP : 0);
	if (current < 0)
		return errno;
	sockets[n_sockets++] = current;
	return 0;
}

static int do_inherit(const char *argument)
{
	(void)argument;
	current = sockets[n_sockets++] = 3;
	return number_of(current, SO_ACCEPTCONN) ? 0 : ENOTSOCK;
}

static int do_set(const char *argument)
{
	size_t length = strcspn(argument, ",");
	int value = argument[length] ? (int)strtol(argument + length + 1, NULL, 10) : 1;

	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (strncmp(options[i].name, argument, length) == 0 && !options[i].name[length])
			return setsockopt(current, options[i].level, options[i].number, &value, sizeof value) <
					       0
				       ? errno
				       : 0;
	return EINVAL;
}

static int do_flags(const char *argument)
{
	int flags = fcntl(current, F_GETFL) & ~O_NONBLOCK;

	if (fcntl(current, F_SETFL, flags | (has(argument, "nonblock") ? O_NONBLOCK : 0)) < 0 ||
	    fcntl(current, F_SETFD, has(argument, "cloexec") ? FD_CLOEXEC : 0) < 0)
		return errno;
	return 0;
}

static int do_epoll(const char *argument)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = current};

	(void)argument;
	if (epoll_fd < 0)
		epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, current, &event) < 0 ? errno : 0;
}

static int do_bind(const char *argument)
{
	struct endpoint endpoint;

	if (endpoint_parse(argument, &endpoint) < 0)
		return EDESTADDRREQ;
	return bind(current, (struct sockaddr *)&endpoint.address, endpoint.length) < 0 ? errno : 0;
}

static int do_listen(const char *argument)
{
	return listen(current, (int)strtol(argument, NULL, 10)) < 0 ? errno : 0;
}

static int do_connect(const char *argument)
{
	struct endpoint endpoint;
	int fd, error;

	if (endpoint_parse(argument, &endpoint) < 0)
		return EDESTADDRREQ;
	fd = socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	error = connect(fd, (struct sockaddr *)&endpoint.address, endpoint.length) < 0 ? errno : 0;
	close(fd);
	return error;
}

static int do_close(const char *argument)
{
	int kept = 0;

	(void)argument;
	for (int i = 0; i < n_sockets; i++)
		if (sockets[i] != current)
			sockets[kept++] = sockets[i];
	n_sockets = kept;
	if (close(current) < 0)
		return errno;
	current = -1;
	return 0;
}

static int do_look(const char *argument)
{
	(void)argument;
	print_socket(&steps, current);
	return 0;
}

static int do_loop(const char *argument)
{
	unsigned long n = strtoul(argument, NULL, 10);
	const char *comma = strchr(argument, ',');
	struct timespec start, end;
	struct endpoint endpoint;
	int error = 0;

	if (!comma || endpoint_parse(comma + 1, &endpoint) < 0)
		return EDESTADDRREQ;
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (unsigned long i = 0; i < n && !error; i++) {
		int fd = socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0 || bind(fd, (struct sockaddr *)&endpoint.address, endpoint.length) < 0)
			error = errno;
		if (fd >= 0)
			close(fd);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	print(&steps, ",\"ms\":%.3f",
	      (double)(end.tv_sec - start.tv_sec) * 1e3 + (double)(end.tv_nsec - start.tv_nsec) / 1e6);
	return error;
}

static int do_await(const char *argument)
{
	while (access(argument, F_OK) < 0)
		usleep(1000);
	return 0;
}

static int do_unlink(const char *argument)
{
	return unlink(argument) < 0 ? errno : 0;
}

static int do_chmod(const char *argument)
{
	char path[256] = "";
	const char *comma = strrchr(argument, ',');

	if (!comma || (size_t)(comma - argument) >= sizeof path)
		return EINVAL;
	memcpy(path, argument, (size_t)(comma - argument));
	return chmod(path, (mode_t)strtoul(comma + 1, NULL, 8)) < 0 ? errno : 0;
}

static int do_stat(const char *argument)
{
	struct stat status;

	if (stat(argument, &status) < 0)
		return errno;
	print(&steps, ",\"mode\":\"%o\",\"uid\":%u", status.st_mode, status.st_uid);
	return 0;
}

#if defined(__x86_64__)
static long call_i386(long number, long a, long b, long c)
{
	long r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(number), "b"(a), "c"(b), "d"(c)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)r;
}

static long call_other(const char *entry, const char *call)
{
	/* Of a descriptor that is none: who lets the call through says EBADF, or EFAULT before that. */
	if (entry[0] == 'x')
		return syscall(0x40000000 | SYS_bind, -1, NULL, 0) < 0 ? -errno : 0;
	return strcmp(call, "bind") == 0 ? call_i386(361, -1, 0, 0) : call_i386(102, 2 /* SYS_BIND */, 0, 0);
}
#else
static long call_other(const char *entry, const char *call)
{
	(void)entry;
	(void)call;
	return -ENOSYS;
}
#endif

/* In a child: a kernel without this entry kills who tries. */
static int try_other(const char *entry, const char *call)
{
	pid_t pid = fork();
	int error;

	if (pid == 0)
		_exit((int)-call_other(entry, call));
	error = wait_child(pid);
	return error == CHILD_DIED ? ENOSYS : error;
}

static int do_i386(const char *argument)
{
	return try_other("i386", argument);
}

static int do_x32(const char *argument)
{
	return try_other("x32", argument);
}

static pid_t workers[SOCKETS_MAX];
static int n_workers;

static void pass_on(int signal)
{
	for (int i = 0; i < n_workers; i++)
		kill(workers[i], signal);
}

/* Returns in each worker; who made them goes with the last of them. */
static int do_fork(const char *argument)
{
	int n = (int)strtol(argument, NULL, 10);

	n = n < 1 ? 1 : n > SOCKETS_MAX ? SOCKETS_MAX : n;
	while (n_workers < n) {
		pid_t pid = fork();

		if (pid < 0)
			return errno;
		if (pid == 0) {
			n_workers = 0;
			return 0;
		}
		workers[n_workers++] = pid;
	}
	(void)signal(SIGTERM, pass_on);
	for (int i = 0; i < n; i++)
		wait_child(workers[i]);
	exit(0);
}

/* Serving. */

static void make_reply(struct text *reply, int listener, int connection, const struct sockaddr_storage *peer,
		       socklen_t peer_length)
{
	const char *fds = getenv("LISTEN_FDS");

	reply->length = 0;
	print(reply, "{\"pid\":%d", (int)getpid());
	print_string(reply, "listen_fds", fds ? fds : "");
	print_address(reply, "peer", peer, peer_length);
	print(reply, ",\"listener\":{\"kind\":\"listener\"");
	print_socket(reply, listener);
	print(reply, "}");
	if (connection >= 0) {
		print(reply, ",\"connection\":{\"kind\":\"connection\"");
		print_socket(reply, connection);
		print(reply, "}");
	}
	print(reply, ",\"steps\":[%s]}\n", steps.bytes);
}

static void answer_connection(int listener)
{
	static struct text reply;
	struct sockaddr_storage peer = {0};
	socklen_t length = sizeof peer;
	int fd = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
	char request[2048], head[128];
	size_t used = 0;
	ssize_t n;

	if (fd < 0)
		return;
	do {
		n = recv(fd, request + used, sizeof request - 1 - used, 0);
		used += n > 0 ? (size_t)n : 0;
		request[used] = '\0';
	} while (n > 0 && !strstr(request, "\r\n\r\n") && used < sizeof request - 1);
	make_reply(&reply, listener, fd, &peer, length);
	n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
		     reply.length);
	if (send(fd, head, (size_t)n, MSG_NOSIGNAL | MSG_MORE) > 0)
		(void)!send(fd, reply.bytes, reply.length, MSG_NOSIGNAL);
	close(fd);
}

static void answer_datagram(int fd)
{
	static struct text reply;
	struct sockaddr_storage peer = {0};
	socklen_t length = sizeof peer;
	char request[2048];

	if (recvfrom(fd, request, sizeof request, MSG_DONTWAIT, (struct sockaddr *)&peer, &length) < 0)
		return;
	make_reply(&reply, fd, -1, &peer, length);
	(void)!sendto(fd, reply.bytes, reply.length, MSG_NOSIGNAL, (struct sockaddr *)&peer, length);
}

/* Whether anybody can be waited for there. */
static bool serves(int fd)
{
	return number_of(fd, SO_TYPE) == SOCK_DGRAM || number_of(fd, SO_ACCEPTCONN);
}

static void answer(int fd)
{
	if (number_of(fd, SO_TYPE) == SOCK_DGRAM)
		answer_datagram(fd);
	else
		answer_connection(fd);
}

/* The socket that somebody waits at, or -1 to look again. */
static int wait_request(bool by_epoll)
{
	struct pollfd polled[SOCKETS_MAX];
	struct epoll_event event;
	nfds_t n = 0;

	if (by_epoll)
		return epoll_wait(epoll_fd, &event, 1, -1) == 1 ? event.data.fd : -1;
	for (int i = 0; i < n_sockets; i++)
		if (serves(sockets[i]))
			polled[n++] = (struct pollfd){.fd = sockets[i], .events = POLLIN};
	if (n == 0)
		exit(NOTHING_TO_SERVE);
	if (poll(polled, n, -1) > 0)
		for (nfds_t i = 0; i < n; i++)
			if (polled[i].revents)
				return polled[i].fd;
	return -1;
}

static int serve(const char *argument, bool by_epoll)
{
	unsigned long n = strtoul(argument, NULL, 10);

	for (unsigned long served = 0; n == 0 || served < n;) {
		int fd = wait_request(by_epoll);

		if (fd < 0)
			continue;
		answer(fd);
		served++;
	}
	return 0;
}

static int do_serve(const char *argument)
{
	return serve(argument, false);
}

static int do_serve_epoll(const char *argument)
{
	return serve(argument, true);
}

static const struct {
	const char *name;
	int (*run)(const char *argument);
} kinds[] = {
	{"socket", do_socket}, {"inherit", do_inherit}, {"set", do_set},
	{"flags", do_flags},   {"epoll", do_epoll},     {"bind", do_bind},
	{"listen", do_listen}, {"close", do_close},     {"connect", do_connect},
	{"look", do_look},     {"loop", do_loop},       {"await", do_await},
	{"unlink", do_unlink}, {"chmod", do_chmod},     {"stat", do_stat},
	{"i386", do_i386},     {"x32", do_x32},         {"fork", do_fork},
	{"child", do_fork},    {"serve", do_serve},     {"serve-epoll", do_serve_epoll},
};

static int run_step(const char *step)
{
	size_t length = strcspn(step, "=");

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strncmp(kinds[i].name, step, length) == 0 && !kinds[i].name[length])
			return kinds[i].run(step[length] ? step + length + 1 : "");
	return EOPNOTSUPP;
}

static void *run_thread(void *step)
{
	return (void *)(intptr_t)run_step(step);
}

static int run_in_thread(char *step)
{
	pthread_t thread;
	void *error;

	if (pthread_create(&thread, NULL, run_thread, step) != 0)
		return EAGAIN;
	pthread_join(thread, &error);
	return (int)(intptr_t)error;
}

/* Nobody else does it for the first process of a container. */
static void leave(int signal)
{
	(void)signal;
	_exit(0);
}

int main(int argc, char **argv)
{
	(void)signal(SIGTERM, leave);
	for (int i = 1; i < argc; i++) {
		bool threaded = strncmp(argv[i], "thread:", 7) == 0;
		int error;

		/* It is no step that an answer could tell of. */
		if (strncmp(argv[i], "serve", 5) == 0) {
			run_step(argv[i]);
			continue;
		}
		print(&steps, "%s{\"kind\":\"step\"", steps.length ? "," : "");
		print_string(&steps, "step", argv[i]);
		error = threaded ? run_in_thread(argv[i] + strlen("thread:")) : run_step(argv[i]);
		print_string(&steps, "result", error_name(error));
		print(&steps, "}");
		if (error)
			fprintf(stderr, "binder: %s: %s\n", argv[i], error_name(error));
	}
	return 0;
}
