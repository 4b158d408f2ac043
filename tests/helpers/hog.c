/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes all it can get of one thing, from its first instruction on: hog fork|memory|log */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE_BYTES (1024 * 1024)

/* Every child forks on as well. */
static void hog_fork(void)
{
	for (;;)
		(void)fork();
}

static void hog_memory(void)
{
	for (;;) {
		void *piece =
			mmap(NULL, PIECE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (piece != MAP_FAILED)
			memset(piece, 'x', PIECE_BYTES);
	}
}

static void hog_log(void)
{
	static char line[4096];

	memset(line, 'x', sizeof line - 1);
	for (;;)
		(void)puts(line);
}

static const struct {
	const char *name;
	void (*run)(void);
} hogs[] = {
	{"fork", hog_fork},
	{"memory", hog_memory},
	{"log", hog_log},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof hogs / sizeof *hogs; i++)
		if (strcmp(argv[1], hogs[i].name) == 0)
			hogs[i].run();
	fputs("hog fork|memory\n", stderr);
	return 2;
}
