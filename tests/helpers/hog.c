/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes all it can get of one thing, from its first instruction on:
 *
 *     hog cpu             every processor, with two processes on each
 *     hog fork            processes
 *     hog memory          memory, until it is killed
 *     hog reclaim BYTES   so much memory, all of it again and again, whatever has to go to the swap for it
 *     hog disk FOLDER     a disk: writes to it, and reads back
 *     hog log             what takes its output
 *     hog inotify FOLDER  instances, watches, and events that nobody reads
 *     hog notify          the service manager: messages to NOTIFY_SOCKET=
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PIECE_BYTES   (1024 * 1024)
#define PAGE_BYTES    4096
#define FILE_PIECES   32
#define WATCHED_FILES 64

static void hog_cpu(const char *unused)
{
	(void)unused;
	for (long i = 2 * sysconf(_SC_NPROCESSORS_ONLN) - 1; i > 0; i--)
		if (fork() <= 0)
			break;
	for (volatile unsigned i = 0;; i++)
		;
}

/* Every child forks on as well. */
static void hog_fork(const char *unused)
{
	(void)unused;
	for (;;)
		(void)fork();
}

static char *map(size_t bytes)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void hog_memory(const char *unused)
{
	(void)unused;
	for (;;) {
		char *piece = map(PIECE_BYTES);

		if (piece != MAP_FAILED)
			memset(piece, 'x', PIECE_BYTES);
	}
}

static void hog_reclaim(const char *bytes)
{
	size_t size = strtoul(bytes, NULL, 10);
	volatile char *all = map(size);

	if (all == MAP_FAILED)
		return;
	for (char c = 1;; c++)
		for (size_t at = 0; at < size; at += PAGE_BYTES)
			all[at] = c;
}

static void hog_disk(const char *folder)
{
	char path[4096], *piece = map(PIECE_BYTES);
	int fd;

	snprintf(path, sizeof path, "%s/hog", folder);
	fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
	while (fd >= 0 && piece != MAP_FAILED) {
		for (off_t i = 0; i < FILE_PIECES; i++)
			(void)!pwrite(fd, piece, PIECE_BYTES, i * PIECE_BYTES);
		(void)fsync(fd);
		for (off_t i = 0; i < FILE_PIECES; i++)
			(void)!pread(fd, piece, PIECE_BYTES, i * PIECE_BYTES);
	}
}

static void hog_log(const char *unused)
{
	static char line[4096];

	(void)unused;
	memset(line, 'x', sizeof line - 1);
	for (;;)
		(void)puts(line);
}

static void hog_inotify(const char *folder)
{
	char path[4096];
	int fd;

	while ((fd = inotify_init1(IN_CLOEXEC)) >= 0)
		for (unsigned i = 0; i < WATCHED_FILES; i++) {
			snprintf(path, sizeof path, "%s/%u", folder, i);
			close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
			if (inotify_add_watch(fd, path, IN_ALL_EVENTS) < 0 ||
			    inotify_add_watch(fd, folder, IN_ALL_EVENTS) < 0)
				break;
		}
	for (unsigned i = 0;; i = (i + 1) % WATCHED_FILES) {
		snprintf(path, sizeof path, "%s/%u", folder, i);
		close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	}
}

static void hog_notify(const char *unused)
{
	static const char message[] = "STATUS=busy with nothing else";
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)unused;
	snprintf(to.sun_path, sizeof to.sun_path, "%s", path ? path : "");
	for (;;)
		(void)sendto(fd, message, sizeof message - 1, 0, (const struct sockaddr *)&to, sizeof to);
}

static const struct {
	const char *name;
	int arguments;
	void (*run)(const char *argument);
} hogs[] = {
	{"cpu", 0, hog_cpu},   {"fork", 0, hog_fork}, {"memory", 0, hog_memory},   {"reclaim", 1, hog_reclaim},
	{"disk", 1, hog_disk}, {"log", 0, hog_log},   {"inotify", 1, hog_inotify}, {"notify", 0, hog_notify},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc >= 2 && i < sizeof hogs / sizeof *hogs; i++)
		if (strcmp(argv[1], hogs[i].name) == 0 && argc == 2 + hogs[i].arguments)
			hogs[i].run(argv[2]);
	fputs("hog cpu|fork|memory|reclaim BYTES|disk FOLDER|log|inotify FOLDER|notify\n", stderr);
	return 2;
}
