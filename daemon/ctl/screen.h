/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

/* The whole terminal, for a live view: the alternate screen, keys as they are typed, signals as events. What
 * was there before comes back with screen_finish(), and while the process is stopped. */
struct screen {
	struct termios before;
	sigset_t mask_before;
	int signal_fd;
	int poll_fd; /* readable when screen_next() has something; owned */
	int signal;  /* that asked to quit, or 0 */
	bool entered;
};

enum screen_event { SCREEN_NOTHING, SCREEN_REFRESH, SCREEN_QUIT };

/* Takes the terminal that stdin and stdout are. -errno. */
int screen_init(struct screen *screen);

/* Gives it back. */
void screen_finish(struct screen *screen);

/* The next event without waiting: a key, a new size, a signal. */
enum screen_event screen_next(struct screen *screen);

/* Shows text from the top left corner on, at most rows lines of it, and clears the rest. Lines end in '\n'. */
void screen_show(const char *text, size_t rows);
