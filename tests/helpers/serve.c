/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"

#define HEAD_BYTES     256
#define WRITE_WAIT_MS  10000
#define DATAGRAM_BYTES 65536

struct connection {
	bool open, watched, close_after;
	int listener;
	unsigned length; /* of the request so far */
	uint64_t answered;
	uint64_t due_ns; /* a reply that waits for its time; 0: none */
	char request[SERVE_REQUEST_BYTES];
};

/* In .bss: pages that no connection has used cost nothing. */
static struct connection connections[SERVE_CONNECTIONS_MAX];
static char body[HEAD_BYTES + SERVE_BODY_BYTES];
static int n_open, highest_fd, n_delayed;
static uint64_t n_requests;
static int epoll_fd, wake_fd;
static volatile sig_atomic_t stopping;
static bool ignore_term;

/* The flag stops accept at once, even between two of them; the eventfd ends an epoll_wait that the signal came
 * just before. */
static void on_terminate(int number)
{
	int saved = errno;
	uint64_t one = 1;

	(void)number;
	if (ignore_term)
		return;
	stopping = 1;
	(void)!write(wake_fd, &one, sizeof one);
	errno = saved;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void watch(int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	(void)epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static void close_connection(int fd)
{
	struct connection *connection = &connections[fd];

	if (connection->due_ns)
		n_delayed--;
	connection->open = false;
	n_open--;
	close(fd);
}

static char *append(char *at, const char *text)
{
	return stpcpy(at, text);
}

static char *append_number(char *at, uint64_t number)
{
	char digits[20];
	int n = 0;

	do
		digits[n++] = (char)('0' + number % 10);
	while ((number /= 10));
	while (n)
		*at++ = digits[--n];
	return at;
}

static bool send_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
		struct pollfd pollfd = {.fd = fd, .events = POLLOUT};

		if (n < 0 && errno == EAGAIN && poll(&pollfd, 1, WRITE_WAIT_MS) > 0)
			continue;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		size -= (size_t)n;
	}
	return true;
}

/* Head and body leave in one segment: the head is put right before the body. */
static bool send_reply(int fd, const struct serve_reply *reply, bool close_after)
{
	char head[HEAD_BYTES], *end = head;
	size_t size;

	end = append(end, "HTTP/1.1 ");
	end = append_number(end, (uint64_t)reply->status);
	end = append(end, reply->status == 200 ? " OK" : " Error");
	end = append(end, "\r\nContent-Type: text/plain\r\nContent-Length: ");
	end = append_number(end, reply->length);
	end = append(end, close_after ? "\r\nConnection: close\r\n\r\n" : "\r\n\r\n");
	size = (size_t)(end - head);
	memcpy(reply->body - size, head, size);
	return send_all(fd, reply->body - size, size + reply->length);
}

static bool wants_close(const char *head)
{
	const char *line_end = strstr(head, "\r\n");

	if (strcasestr(head, "\r\nConnection: close"))
		return true;
	return line_end - head > 8 && !memcmp(line_end - 8, "HTTP/1.0", 8) &&
	       !strcasestr(head, "\r\nConnection: keep-alive");
}

/* Answers the request whose head is request[0..size). false: the connection is to be closed. */
static bool answer(struct serve *serve, int fd, size_t size)
{
	struct connection *connection = &connections[fd];
	struct serve_reply reply = {.status = 200, .body = body + HEAD_BYTES};
	char *path = connection->request, *end, *query, saved = path[size - 1];
	bool delayed = connection->due_ns != 0, close_after;

	path[size - 1] = '\0';
	close_after = wants_close(path) || stopping;
	path[size - 1] = saved;
	path = memchr(path, ' ', size);
	end = path ? memchr(path + 1, ' ', size - (size_t)(path + 1 - connection->request)) : NULL;
	if (!end)
		return false;
	*end = '\0';
	query = strchr(++path, '?');
	if (query)
		*query = '\0';
	if (!delayed)
		n_requests++;
	serve->handler(&(struct serve_request){.listener = connection->listener,
					       .path = path,
					       .query = query ? query + 1 : "",
					       .number = n_requests},
		       &reply);
	*end = ' ';
	if (query)
		*query = '?';
	if (reply.delay_ms && !delayed) {
		connection->due_ns = now_ns() + reply.delay_ms * UINT64_C(1000000);
		n_delayed++;
		return true;
	}
	if (delayed) {
		connection->due_ns = 0;
		n_delayed--;
	}
	connection->answered++;
	return send_reply(fd, &reply, close_after) && !close_after;
}

/* Answers every complete request in the buffer. false: closed. */
static bool answer_all(struct serve *serve, int fd)
{
	struct connection *connection = &connections[fd];

	for (;;) {
		char *end = memmem(connection->request, connection->length, "\r\n\r\n", 4);
		size_t size;

		if (!end) {
			if (connection->length < SERVE_REQUEST_BYTES)
				return true;
			close_connection(fd);
			return false;
		}
		size = (size_t)(end + 4 - connection->request);
		if (!answer(serve, fd, size)) {
			close_connection(fd);
			return false;
		}
		if (connection->due_ns)
			return true;
		connection->length -= (unsigned)size;
		memmove(connection->request, connection->request + size, connection->length);
	}
}

/* Reads once what is there. false: closed. */
static bool read_request(struct serve *serve, int fd)
{
	struct connection *connection = &connections[fd];
	ssize_t n;

	if (connection->due_ns) {
		/* The peer went away, or is ahead of us: look again when the reply has left. */
		(void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		connection->watched = false;
		return true;
	}
	n = recv(fd, connection->request + connection->length, SERVE_REQUEST_BYTES - connection->length, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0) {
		close_connection(fd);
		return false;
	}
	connection->length += (unsigned)n;
	return answer_all(serve, fd);
}

static bool read_echo(int fd)
{
	ssize_t n = recv(fd, body, sizeof body, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n > 0) {
		n_requests++;
		if (send_all(fd, body, (size_t)n))
			return true;
	}
	close_connection(fd);
	return false;
}

static enum serve_kind kind_of(const struct serve *serve, int listener)
{
	return serve->kinds[listener - serve->first_fd];
}

static void read_connection(struct serve *serve, int fd)
{
	bool open = kind_of(serve, connections[fd].listener) == SERVE_ECHO ? read_echo(fd)
									   : read_request(serve, fd);

	if (open && !connections[fd].watched && !connections[fd].due_ns) {
		watch(fd);
		connections[fd].watched = true;
	}
}

static void raise_open_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* One connection an event, since the listener may be in blocking mode. */
static void accept_connection(struct serve *serve, int listener)
{
	int fd;

	if (stopping)
		return;
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE)
			raise_open_files();
		return;
	}
	if (fd >= SERVE_CONNECTIONS_MAX) {
		close(fd);
		return;
	}
	n_open++;
	if (fd > highest_fd)
		highest_fd = fd;
	connections[fd].open = true;
	connections[fd].watched = false;
	connections[fd].listener = listener;
	connections[fd].length = 0;
	connections[fd].answered = 0;
	connections[fd].due_ns = 0;
	read_connection(serve, fd);
}

static void answer_datagram(int fd)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof peer;
	ssize_t n = recvfrom(fd, body, DATAGRAM_BYTES, MSG_DONTWAIT, (struct sockaddr *)&peer, &length);

	if (n < 0)
		return;
	n_requests++;
	(void)sendto(fd, body, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&peer, length);
}

static void answer_due(struct serve *serve)
{
	uint64_t now = now_ns();

	for (int fd = 0; fd <= highest_fd && n_delayed; fd++) {
		struct connection *connection = &connections[fd];

		if (!connection->open || !connection->due_ns || connection->due_ns > now)
			continue;
		if (answer_all(serve, fd))
			read_connection(serve, fd);
	}
}

static int next_due_ms(void)
{
	uint64_t next = UINT64_MAX, now;

	if (!n_delayed)
		return -1;
	for (int fd = 0; fd <= highest_fd; fd++)
		if (connections[fd].open && connections[fd].due_ns && connections[fd].due_ns < next)
			next = connections[fd].due_ns;
	now = now_ns();
	return next <= now ? 0 : (int)((next - now + 999999) / 1000000);
}

/* What was kept alive has had its answers: a request that came meanwhile is still answered. */
static void begin_stop(struct serve *serve)
{
	for (int i = 0; i < serve->n_listeners; i++)
		close(serve->first_fd + i);
	for (int fd = 0; fd <= highest_fd; fd++) {
		struct connection *connection = &connections[fd];

		if (!connection->open || connection->due_ns)
			continue;
		if (kind_of(serve, connection->listener) == SERVE_ECHO) {
			if (read_echo(fd))
				close_connection(fd);
		} else if (connection->answered) {
			if (read_request(serve, fd) && !connection->length && !connection->due_ns)
				close_connection(fd);
		}
	}
}

static bool is_listener(const struct serve *serve, int fd)
{
	return fd >= serve->first_fd && fd < serve->first_fd + serve->n_listeners;
}

static void dispatch(struct serve *serve, int fd)
{
	if (fd == wake_fd)
		return;
	if (!is_listener(serve, fd)) {
		if (connections[fd].open)
			read_connection(serve, fd);
	} else if (!stopping) {
		if (kind_of(serve, fd) == SERVE_DATAGRAM)
			answer_datagram(fd);
		else
			accept_connection(serve, fd);
	}
}

int serve_run(struct serve *serve)
{
	struct sigaction action = {.sa_handler = on_terminate};
	struct epoll_event events[64];
	bool stop_begun = false;

	ignore_term = serve->ignore_term;
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (wake_fd < 0 || epoll_fd < 0 || sigaction(SIGTERM, &action, NULL) < 0)
		return -errno;
	watch(wake_fd);
	for (int i = 0; i < serve->n_listeners; i++)
		watch(serve->first_fd + i);
	while (!stopping || n_open) {
		int n = epoll_wait(epoll_fd, events, 64, stopping && !stop_begun ? 0 : next_due_ms());

		if (n < 0 && errno != EINTR)
			return -errno;
		if (stopping && !stop_begun) {
			stop_begun = true;
			(void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, wake_fd, NULL);
			begin_stop(serve);
		}
		for (int i = 0; i < n; i++)
			dispatch(serve, events[i].data.fd);
		if (n_delayed)
			answer_due(serve);
	}
	return 0;
}

static int listen_on(const char *address)
{
	struct endpoint endpoint;
	int one = 1, fd, r = endpoint_parse(address, &endpoint);

	if (r < 0)
		return r;
	fd = socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&endpoint.address, endpoint.length) < 0 || listen(fd, 4096) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

int serve_find_listeners(struct serve *serve, bool stdin_listener, const char *listen_address)
{
	const char *count = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");

	serve->n_listeners = 1;
	if (stdin_listener) {
		serve->first_fd = STDIN_FILENO;
		return 0;
	}
	if (listen_address) {
		serve->first_fd = listen_on(listen_address);
		return serve->first_fd < 0 ? serve->first_fd : 0;
	}
	if (!count || !pid)
		return -ENOENT;
	if (strtol(pid, NULL, 10) != getpid())
		return -ESRCH;
	serve->first_fd = SERVE_FIRST_FD;
	serve->n_listeners = (int)strtol(count, NULL, 10);
	if (serve->n_listeners < 1 || serve->n_listeners > SERVE_LISTENERS_MAX)
		return -EINVAL;
	for (int i = 0; i < serve->n_listeners; i++)
		if (fcntl(serve->first_fd + i, F_SETFD, FD_CLOEXEC) < 0)
			return -errno;
	return 0;
}
