/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Measures how long a request takes from connect(2) to the first byte of the answer, one new connection a
 * request.
 *
 *     wake-client [options] TARGET...
 *       --targets=FILE     targets, one a line: 127.0.0.1:PORT, [::1]:PORT, /unix/path
 *       --concurrency=C    so many at a time, on targets in turn (default 1)
 *       --count=N          requests in all (default: one a target)
 *       --until-eof        N is the least: goes on until stdin ends
 *       --path=PATH        (default /)
 *       --timeout-ms=MS    of one request (default 30000)
 *       --json             a summary in place of one latency a line (microseconds)
 *       --commands         each line "C N TARGET..." of stdin is a run, answered with one line of JSON
 *
 * Nothing is tried again: a request that fails is counted by what happened to it. Exit 1 when any did. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"

#define CONCURRENCY_MAX 16384
#define REPLY_BYTES     1024
#define TARGETS_MAX     65536

enum failure { REFUSED, RESET, TIMEOUT, SHORT, STATUS, FULL, OTHER, N_FAILURES };

static const char *const failure_names[N_FAILURES] = {
	[REFUSED] = "refused", /* ECONNREFUSED, or no socket of that name */
	[RESET] = "reset",     /* ECONNRESET or EPIPE */
	[TIMEOUT] = "timeout", /* no whole answer in time */
	[SHORT] = "short",     /* closed before the answer was whole */
	[STATUS] = "status",   /* an answer other than 200 */
	[FULL] = "full",       /* the queue of a unix listener had no room */
	[OTHER] = "other",
};

struct request {
	int fd;
	bool connected, answering;
	size_t received, body_bytes; /* body_bytes is known once the head is whole */
	bool head_whole;
	uint64_t start_ns;
	char reply[REPLY_BYTES + 1];
};

struct run {
	struct endpoint *targets;
	size_t n_targets;
	unsigned concurrency;
	size_t count; /* at least */
	bool until_eof;
	uint64_t *latencies_ns;
	size_t n_latencies, room;
	size_t failures[N_FAILURES];
	size_t started, finished;
};

static const char *path = "/";
static unsigned timeout_ms = 30000;
static struct request *requests;
static char query[512];
static size_t query_bytes;
static int epoll_fd;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static enum failure failure_of(int error)
{
	switch (error) {
	case ECONNREFUSED:
	case ENOENT:
		return REFUSED;
	case ECONNRESET:
	case EPIPE:
		return RESET;
	case EAGAIN:
		return FULL;
	default:
		return OTHER;
	}
}

static void finish(struct run *run, struct request *request, int failure)
{
	if (request->fd >= 0)
		close(request->fd);
	request->fd = -EBADF;
	run->finished++;
	if (failure >= 0)
		run->failures[failure]++;
}

static bool record(struct run *run, uint64_t latency_ns)
{
	if (run->n_latencies == run->room) {
		size_t room = run->room ? run->room * 2 : 1024;
		uint64_t *larger = reallocarray(run->latencies_ns, room, sizeof *larger);

		if (!larger)
			return false;
		run->latencies_ns = larger;
		run->room = room;
	}
	run->latencies_ns[run->n_latencies++] = latency_ns;
	return true;
}

static void send_query(struct run *run, struct request *request)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = request};

	if (send(request->fd, query, query_bytes, MSG_NOSIGNAL) != (ssize_t)query_bytes) {
		finish(run, request, (int)failure_of(errno));
		return;
	}
	request->connected = true;
	(void)epoll_ctl(epoll_fd, EPOLL_CTL_MOD, request->fd, &event);
}

static void start(struct run *run, struct request *request)
{
	const struct endpoint *target = &run->targets[run->started++ % run->n_targets];
	struct epoll_event event = {.events = EPOLLOUT, .data.ptr = request};
	int r;

	request->connected = request->answering = request->head_whole = false;
	request->received = request->body_bytes = 0;
	request->fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (request->fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, request->fd, &event) < 0) {
		finish(run, request, OTHER);
		return;
	}
	request->start_ns = now_ns();
	r = connect(request->fd, (const struct sockaddr *)&target->address, target->length);
	if (r == 0)
		send_query(run, request);
	else if (errno != EINPROGRESS)
		finish(run, request, (int)failure_of(errno));
}

static void connected(struct run *run, struct request *request)
{
	int error = 0;
	socklen_t size = sizeof error;

	(void)getsockopt(request->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error)
		finish(run, request, (int)failure_of(error));
	else
		send_query(run, request);
}

/* Looks at the head once it is whole. false: the request is finished. */
static bool read_head(struct run *run, struct request *request)
{
	char *end, *length;

	request->reply[request->received] = '\0';
	end = strstr(request->reply, "\r\n\r\n");
	if (!end) {
		if (request->received == REPLY_BYTES)
			finish(run, request, OTHER);
		return request->fd >= 0;
	}
	if (strncmp(request->reply, "HTTP/1.", 7) != 0 || strncmp(request->reply + 8, " 200 ", 5) != 0) {
		finish(run, request, STATUS);
		return false;
	}
	length = strcasestr(request->reply, "\r\nContent-Length:");
	if (!length || length > end) {
		finish(run, request, OTHER);
		return false;
	}
	request->head_whole = true;
	request->body_bytes = strtoul(length + 17, NULL, 10);
	request->received -= (size_t)(end + 4 - request->reply); /* from here on: of the body */
	return true;
}

static void receive(struct run *run, struct request *request)
{
	size_t room = REPLY_BYTES - (request->head_whole ? 0 : request->received);
	char *at = request->reply + (request->head_whole ? 0 : request->received);
	ssize_t n = recv(request->fd, at, room, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && !request->answering) {
		request->answering = true;
		if (!record(run, now_ns() - request->start_ns)) {
			finish(run, request, OTHER);
			return;
		}
	}
	if (n <= 0) {
		finish(run, request, n < 0 ? (int)failure_of(errno) : (int)SHORT);
		return;
	}
	request->received += (size_t)n;
	if (!request->head_whole && !read_head(run, request))
		return;
	if (request->head_whole && request->received >= request->body_bytes)
		finish(run, request, -1);
}

static bool more_to_start(struct run *run)
{
	struct pollfd pollfd = {.fd = STDIN_FILENO, .events = POLLIN};

	if (run->started < run->count)
		return true;
	if (!run->until_eof)
		return false;
	if (poll(&pollfd, 1, 0) > 0)
		run->until_eof = false;
	return run->until_eof;
}

static void expire(struct run *run)
{
	uint64_t now = now_ns();

	for (unsigned i = 0; i < run->concurrency; i++)
		if (requests[i].fd >= 0 && now - requests[i].start_ns > timeout_ms * UINT64_C(1000000))
			finish(run, &requests[i], TIMEOUT);
}

static void run_requests(struct run *run)
{
	struct epoll_event events[256];
	uint64_t looked_ns = now_ns();

	for (unsigned i = 0; i < run->concurrency; i++)
		requests[i].fd = -EBADF;
	for (unsigned i = 0; i < run->concurrency && more_to_start(run); i++)
		start(run, &requests[i]);
	while (run->finished < run->started || more_to_start(run)) {
		int n = run->finished < run->started ? epoll_wait(epoll_fd, events, 256, 100) : 0;

		for (int i = 0; i < n; i++) {
			struct request *request = events[i].data.ptr;

			if (request->connected)
				receive(run, request);
			else
				connected(run, request);
		}
		if (now_ns() - looked_ns > 100000000) {
			expire(run);
			looked_ns = now_ns();
		}
		for (unsigned i = 0; i < run->concurrency && run->started - run->finished < run->concurrency;
		     i++)
			if (requests[i].fd < 0 && more_to_start(run))
				start(run, &requests[i]);
	}
}

static size_t count_failures(const struct run *run)
{
	size_t n = 0;

	for (int i = 0; i < N_FAILURES; i++)
		n += run->failures[i];
	return n;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The nearest rank: a latency that was measured, never one in between. */
static double percentile_us(const struct run *run, unsigned percent)
{
	size_t rank = (run->n_latencies * percent + 99) / 100;

	return run->n_latencies ? run->latencies_ns[rank ? rank - 1 : 0] / 1000.0 : 0;
}

static void print_json(struct run *run, bool all)
{
	const char *separator = "";

	printf("{");
	if (all) {
		printf("\"latencies_us\":[");
		for (size_t i = 0; i < run->n_latencies; i++, separator = ",")
			printf("%s%.1f", separator, run->latencies_ns[i] / 1000.0);
		printf("],");
	}
	if (run->n_latencies)
		qsort(run->latencies_ns, run->n_latencies, sizeof *run->latencies_ns, compare);
	printf("\"count\":%zu,\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,\"failed\":%zu,"
	       "\"errors\":{",
	       run->finished, percentile_us(run, 50), percentile_us(run, 90), percentile_us(run, 99),
	       percentile_us(run, 100), count_failures(run));
	separator = "";
	for (int i = 0; i < N_FAILURES; i++, separator = ",")
		printf("%s\"%s\":%zu", separator, failure_names[i], run->failures[i]);
	printf("}}\n");
	fflush(stdout);
}

static void print_lines(const struct run *run)
{
	for (size_t i = 0; i < run->n_latencies; i++)
		printf("%.1f\n", run->latencies_ns[i] / 1000.0);
	for (int i = 0; i < N_FAILURES; i++)
		if (run->failures[i])
			fprintf(stderr, "wake-client: %zu %s\n", run->failures[i], failure_names[i]);
}

static int add_target(struct run *run, const char *text)
{
	if (run->n_targets >= TARGETS_MAX || endpoint_parse(text, &run->targets[run->n_targets]) < 0) {
		fprintf(stderr, "wake-client: not an address: %s\n", text);
		return -EINVAL;
	}
	run->n_targets++;
	return 0;
}

static int add_targets_of(struct run *run, const char *file)
{
	FILE *stream = fopen(file, "re");
	char line[256];
	int r = stream ? 0 : -errno;

	while (r == 0 && fgets(line, sizeof line, stream)) {
		line[strcspn(line, "\n")] = '\0';
		r = add_target(run, line);
	}
	if (stream)
		fclose(stream);
	else
		perror(file);
	return r;
}

static int set_up_run(struct run *run)
{
	if (run->n_targets == 0 || run->concurrency < 1 || run->concurrency > CONCURRENCY_MAX) {
		fprintf(stderr, "wake-client: no target, or a concurrency out of range\n");
		return -EINVAL;
	}
	if (!run->count)
		run->count = run->n_targets;
	free(requests);
	requests = calloc(run->concurrency, sizeof *requests);
	return requests ? 0 : -ENOMEM;
}

/* One line of stdin: "C N TARGET...". */
static int run_command(char *line, struct endpoint *targets)
{
	struct run run = {.targets = targets};
	char *word = strsep(&line, " ");
	int r = 0;

	run.concurrency = (unsigned)strtoul(word, NULL, 10);
	word = strsep(&line, " ");
	run.count = word ? strtoul(word, NULL, 10) : 0;
	while (r == 0 && (word = strsep(&line, " ")))
		r = add_target(&run, word);
	if (r == 0)
		r = set_up_run(&run);
	if (r < 0)
		return r;
	run_requests(&run);
	print_json(&run, true);
	free(run.latencies_ns);
	return count_failures(&run) > 0;
}

static int run_commands(struct endpoint *targets)
{
	char *line = NULL;
	size_t size = 0;
	int r = 0;

	while (r >= 0 && getline(&line, &size, stdin) > 0) {
		int failed;

		line[strcspn(line, "\n")] = '\0';
		failed = run_command(line, targets);
		r = failed < 0 ? failed : r | failed;
	}
	free(line);
	return r < 0 ? 2 : r;
}

struct options {
	bool json, commands;
};

static int parse_option(const char *text, struct run *run, struct options *options)
{
	const char *value = strchr(text, '=');

	value = value ? value + 1 : "";
	if (strncmp(text, "--targets=", 10) == 0)
		return add_targets_of(run, value);
	if (strncmp(text, "--concurrency=", 14) == 0)
		run->concurrency = (unsigned)strtoul(value, NULL, 10);
	else if (strncmp(text, "--count=", 8) == 0)
		run->count = strtoul(value, NULL, 10);
	else if (strcmp(text, "--until-eof") == 0)
		run->until_eof = true;
	else if (strncmp(text, "--path=", 7) == 0)
		path = value;
	else if (strncmp(text, "--timeout-ms=", 13) == 0)
		timeout_ms = (unsigned)strtoul(value, NULL, 10);
	else if (strcmp(text, "--json") == 0)
		options->json = true;
	else if (strcmp(text, "--commands") == 0)
		options->commands = true;
	else if (text[0] != '-')
		return add_target(run, text);
	else
		return -EINVAL;
	return 0;
}

static int set_up(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	query_bytes = (size_t)snprintf(query, sizeof query,
				       "GET %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", path);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0 || query_bytes >= sizeof query)
		return -EINVAL;
	return 0;
}

int main(int argc, char **argv)
{
	static struct endpoint targets[TARGETS_MAX];
	struct run run = {.targets = targets, .concurrency = 1};
	struct options options = {0};
	int r = 0;

	for (int i = 1; i < argc && r == 0; i++)
		r = parse_option(argv[i], &run, &options);
	if (r < 0 || set_up() < 0) {
		fprintf(stderr, "wake-client: usage is at the head of its source\n");
		return 2;
	}
	if (options.commands)
		return run_commands(targets);
	if (set_up_run(&run) < 0)
		return 2;
	run_requests(&run);
	if (options.json)
		print_json(&run, false);
	else
		print_lines(&run);
	free(run.latencies_ns);
	free(requests);
	return count_failures(&run) > 0;
}
