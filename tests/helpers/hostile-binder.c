/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls bind(2) as nobody should, and looks at what comes of it:
 *
 *     hostile-binder ADDRESS STEP...
 *       arguments       pointers, lengths and descriptors that are none, one after the other
 *       close           while another thread closes the descriptor and opens another in its place
 *       change          while another thread writes another address over it
 *       threads=NUMBER  so many threads at once, a socket each
 *       mapped=PATH     the address is in a file that is mapped
 *       crowd=NUMBER    makes so many epolls, which all wait for as many sockets
 *       loop=SECONDS    again and again
 *       storm=NUMBER    so many processes, all of them again and again; does not end, nor by SIGTERM
 *       orphan          the first thread ends, and another does what follows
 *
 * In the end it binds to ADDRESS as one should and answers every connection by HTTP: a line "name=result" for
 * each attempt, where the result is the name of an error, "listener" where the socket has become the one that
 * listens already, or "own". */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"

#define TEXT_BYTES   16384
#define THREADS_MAX  4096
#define STACK_BYTES  32768
#define ROUNDS       2000
#define PAGE         4096
#define OTHER_PORT   9009
#define INT_OVERFLOW (UINT64_C(1) << 32) /* what an int does not see */

static char text[TEXT_BYTES];
static size_t text_length;
static struct endpoint meant; /* ADDRESS */

__attribute__((format(printf, 1, 2))) static void print(const char *format, ...)
{
	size_t room = sizeof text - text_length;
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(text + text_length, room, format, list);
	va_end(list);
	if (n > 0)
		text_length += (size_t)n < room ? (size_t)n : room - 1;
}

static long call_bind(uint64_t fd, const void *address, uint64_t length)
{
	return syscall(SYS_bind, fd, address, length) < 0 ? errno : 0;
}

static int new_socket(void)
{
	return socket(meant.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static bool is_listener(int fd)
{
	int value = 0;
	socklen_t length = sizeof value;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) == 0 && value;
}

static const char *result_of(int fd, long error)
{
	return error ? strerrorname_np((int)error) : is_listener(fd) ? "listener" : "own";
}

/* A socket of its own for one attempt, whose descriptor and length may be no ints. */
static void attempt(const char *name, const void *address, uint64_t length)
{
	int fd = new_socket();

	print("%s=%s\n", name, result_of(fd, call_bind((uint64_t)fd, address, length)));
	close(fd);
}

static void attempt_descriptor(const char *name, uint64_t fd)
{
	print("%s=%s\n", name, result_of((int)fd, call_bind(fd, &meant.address, meant.length)));
}

static void do_arguments(const char *argument)
{
	char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
	     *at_end = pages + PAGE - 4;
	struct sockaddr_storage strange = meant.address;
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC), fd = new_socket();

	(void)argument;
	memcpy(at_end, &meant.address, 4);
	munmap(pages + PAGE, PAGE);
	strange.ss_family = 255;
	attempt("null", NULL, meant.length);
	attempt("unmapped", (void *)8, meant.length);
	attempt("kernel", (void *)UINT64_C(0xffff800000000000), meant.length);
	attempt("last", (void *)UINT64_C(0xffffffffffffffff), meant.length);
	attempt("across", at_end, meant.length);
	mprotect(pages, PAGE, PROT_NONE);
	attempt("unreadable", pages, meant.length);
	attempt("family", &strange, meant.length);
	attempt("length-0", &meant.address, 0);
	attempt("length-1", &meant.address, 1);
	attempt("length-2", &meant.address, 2);
	attempt("length-129", &meant.address, 129);
	attempt("length-negative", &meant.address, (uint64_t)-1);
	attempt("length-4GiB", &meant.address, INT_OVERFLOW);
	attempt("length-beyond-int", &meant.address, INT_OVERFLOW + meant.length);
	attempt_descriptor("descriptor-negative", (uint64_t)-1);
	attempt_descriptor("descriptor-large", INT32_MAX);
	attempt_descriptor("descriptor-file", (uint64_t)file);
	attempt_descriptor("descriptor-beyond-int", INT_OVERFLOW + (uint64_t)fd);
	close(fd);
	attempt_descriptor("descriptor-closed", (uint64_t)fd);
	close(file);
	munmap(pages, PAGE);
}

static atomic_bool over;
static atomic_int shared_fd = -1;

/* Closes what the other thread is binding, and puts other things there. */
static void *close_always(void *unused)
{
	(void)unused;
	while (!atomic_load(&over)) {
		int fd = atomic_load(&shared_fd), other;

		if (fd < 0)
			continue;
		close(fd);
		other = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (other >= 0)
			close(other);
	}
	return NULL;
}

static void do_close(const char *argument)
{
	pthread_t thread;
	int n = 0;

	(void)argument;
	atomic_store(&over, false);
	if (pthread_create(&thread, NULL, close_always, NULL) != 0)
		return;
	for (; n < ROUNDS; n++) {
		int fd = new_socket();

		atomic_store(&shared_fd, fd);
		(void)call_bind((uint64_t)fd, &meant.address, meant.length);
		atomic_store(&shared_fd, -1);
		close(fd);
	}
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	print("close=%d\n", n);
}

static struct sockaddr_in changing;

static void *change_always(void *unused)
{
	const struct sockaddr_in *first = (const void *)&meant.address;

	(void)unused;
	while (!atomic_load(&over)) {
		__atomic_store_n(&changing.sin_port, htons(OTHER_PORT), __ATOMIC_RELAXED);
		__atomic_store_n(&changing.sin_port, first->sin_port, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Whatever is read when, the result is one of both: the listener, or a socket of its own with either address.
 */
static void do_change(const char *argument)
{
	int listeners = 0, own = 0, wrong = 0, last = 0;
	pthread_t thread;

	(void)argument;
	memcpy(&changing, &meant.address, sizeof changing);
	changing.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	atomic_store(&over, false);
	if (pthread_create(&thread, NULL, change_always, NULL) != 0)
		return;
	for (int n = 0; n < ROUNDS; n++) {
		struct sockaddr_in name = {0};
		socklen_t length = sizeof name;
		int fd = new_socket();
		long error = call_bind((uint64_t)fd, &changing, sizeof changing);

		(void)getsockname(fd, (struct sockaddr *)&name, &length);
		if (error ||
		    (name.sin_port != htons(OTHER_PORT) &&
		     name.sin_port != ((const struct sockaddr_in *)(const void *)&meant.address)->sin_port)) {
			wrong++;
			last = (int)error;
		} else if (is_listener(fd))
			listeners++;
		else
			own++;
		close(fd);
	}
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	print("change-listener=%d\nchange-own=%d\nchange-wrong=%d\nchange-error=%s\n", listeners, own, wrong,
	      last ? strerrorname_np(last) : "ok");
}

static pthread_barrier_t barrier;
static atomic_int n_listeners;

static void *bind_once(void *unused)
{
	int fd = new_socket();

	(void)unused;
	pthread_barrier_wait(&barrier);
	if (call_bind((uint64_t)fd, &meant.address, meant.length) == 0 && is_listener(fd))
		atomic_fetch_add(&n_listeners, 1);
	close(fd);
	return NULL;
}

static void do_threads(const char *argument)
{
	static pthread_t threads[THREADS_MAX];
	int n = (int)strtol(argument, NULL, 10), started = 0;
	pthread_attr_t attributes;

	if (n < 1 || n > THREADS_MAX)
		return;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_barrier_init(&barrier, NULL, (unsigned)n);
	while (started < n && pthread_create(&threads[started], &attributes, bind_once, NULL) == 0)
		started++;
	if (started < n) { /* those that wait for the rest would wait for ever */
		print("threads=%d\n", started);
		return;
	}
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	print("threads=%d\n", atomic_load(&n_listeners));
}

static void do_mapped(const char *argument)
{
	int file = open(argument, O_RDONLY | O_CLOEXEC);
	void *map = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);

	if (file < 0 || map == MAP_FAILED) {
		print("mapped=%s\n", strerrorname_np(errno));
		return;
	}
	close(file);
	fprintf(stderr, "hostile-binder: binds to what %s says\n", argument);
	attempt("mapped", map, meant.length);
}

static void do_crowd(const char *argument)
{
	int n = (int)strtol(argument, NULL, 10), first = epoll_create1(EPOLL_CLOEXEC);

	for (int i = 1; i < n; i++)
		(void)epoll_create1(EPOLL_CLOEXEC);
	for (int i = 0; i < n; i++) {
		struct epoll_event event = {.events = EPOLLIN};
		int fd = new_socket();

		for (int k = 0; k < n; k++)
			(void)epoll_ctl(first + k, EPOLL_CTL_ADD, fd, &event);
	}
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* A socket each time: of one that is bound already torpor would not even look for the address. */
static unsigned long bind_until(uint64_t end_ns)
{
	unsigned long n = 0;

	for (; now_ns() < end_ns; n++) {
		int fd = new_socket();

		(void)call_bind((uint64_t)fd, &meant.address, meant.length);
		close(fd);
	}
	return n;
}

static void do_loop(const char *argument)
{
	fprintf(stderr, "hostile-binder: loops\n");
	print("loop=%lu\n", bind_until(now_ns() + strtoul(argument, NULL, 10) * 1000000000));
}

static void do_storm(const char *argument)
{
	(void)signal(SIGTERM, SIG_IGN);
	for (long n = strtol(argument, NULL, 10); n > 1; n--)
		if (fork() == 0)
			break;
	(void)bind_until(UINT64_MAX);
}

static const struct {
	const char *name;
	void (*run)(const char *argument);
} steps[] = {
	{"arguments", do_arguments}, {"close", do_close}, {"change", do_change}, {"threads", do_threads},
	{"mapped", do_mapped},       {"crowd", do_crowd}, {"loop", do_loop},     {"storm", do_storm},
};

static void run_step(const char *step)
{
	size_t length = strcspn(step, "=");

	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		if (strncmp(steps[i].name, step, length) == 0 && !steps[i].name[length])
			steps[i].run(step[length] ? step + length + 1 : "");
}

static void serve(void)
{
	int listener = new_socket();

	if (call_bind((uint64_t)listener, &meant.address, meant.length) != 0 || listen(listener, 128) < 0) {
		fprintf(stderr, "hostile-binder: %s\n", strerrorname_np(errno));
		exit(1);
	}
	for (;;) {
		char request[2048];
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		(void)!read(fd, request, sizeof request);
		dprintf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
			text_length, text);
		close(fd);
	}
}

static void *rest(void *argument)
{
	for (char **step = argument; *step; step++)
		run_step(*step);
	serve();
	return NULL;
}

static void leave(int signal)
{
	(void)signal;
	_exit(0);
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc < 2 || endpoint_parse(argv[1], &meant) < 0) {
		fprintf(stderr, "hostile-binder: usage is at the head of its source\n");
		return 2;
	}
	(void)signal(SIGTERM, leave);
	for (char **step = argv + 2; *step; step++) {
		if (strcmp(*step, "orphan") == 0) {
			if (pthread_create(&thread, NULL, rest, step + 1) != 0)
				return 1;
			pthread_exit(NULL);
		}
		run_step(*step);
	}
	serve();
	return 0;
}
