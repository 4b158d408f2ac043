/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "screen.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cleanup.h"

/* ECMA-48 and xterm: the alternate screen, the cursor, clearing. */
#define ENTER      "\033[?1049h\033[?25l"
#define LEAVE      "\033[0m\033[?25h\033[?1049l"
#define HOME       "\033[H"
#define CLEAR_LINE "\033[K"
#define CLEAR_REST "\033[J"

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};

/* Sets the terminal, whatever it is set to now, as long as screen->before is what to give back. */
static int set_up(const struct screen *screen)
{
	struct termios keys = screen->before;

	keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	keys.c_cc[VMIN] = 1;
	keys.c_cc[VTIME] = 0;
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &keys) < 0)
		return -errno;
	fputs(ENTER, stdout);
	fflush(stdout);
	return 0;
}

static int enter(struct screen *screen)
{
	int r = tcgetattr(STDIN_FILENO, &screen->before) < 0 ? -errno : set_up(screen);

	screen->entered = r == 0;
	return r;
}

static void leave(struct screen *screen)
{
	if (!screen->entered)
		return;
	screen->entered = false;
	fputs(LEAVE, stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &screen->before);
}

static int watch(int poll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int screen_init(struct screen *screen)
{
	sigset_t mask;
	int r;

	*screen = (struct screen){.signal_fd = -EBADF, .poll_fd = -EBADF};
	sigemptyset(&mask);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		sigaddset(&mask, signals[i]);
	/* Before the terminal changes: from here on nothing ends us without our putting it back. */
	if (sigprocmask(SIG_BLOCK, &mask, &screen->mask_before) < 0)
		return -errno;
	screen->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	screen->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	r = screen->signal_fd < 0 || screen->poll_fd < 0 ? -errno : watch(screen->poll_fd, screen->signal_fd);
	if (r >= 0)
		r = watch(screen->poll_fd, STDIN_FILENO);
	if (r >= 0)
		r = enter(screen);
	if (r < 0)
		screen_finish(screen);
	return r;
}

void screen_finish(struct screen *screen)
{
	leave(screen);
	fd_close(steal_fd(&screen->signal_fd));
	fd_close(steal_fd(&screen->poll_fd));
	/* A second ^C that is pending must not end us before the exit code is told. */
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		signal(signals[i], SIG_IGN);
	sigprocmask(SIG_SETMASK, &screen->mask_before, NULL);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		signal(signals[i], SIG_DFL);
}

static enum screen_event take_signal(struct screen *screen, int number)
{
	switch (number) {
	case SIGWINCH:
		return SCREEN_REFRESH;
	case SIGCONT:
		/* The shell may have changed the terminal. After a SIGSTOP of others we have not given it back:
		 * what was there before us is known already, and what is there now is the shell's. */
		if ((screen->entered ? set_up(screen) : enter(screen)) < 0)
			return SCREEN_QUIT;
		return SCREEN_REFRESH;
	case SIGTSTP:
		leave(screen);
		kill(getpid(), SIGSTOP);
		return SCREEN_NOTHING;
	default:
		screen->signal = number;
		return SCREEN_QUIT;
	}
}

static enum screen_event take_key(void)
{
	char key;
	ssize_t n = read(STDIN_FILENO, &key, 1);

	if (n <= 0)
		return n < 0 && errno == EINTR ? SCREEN_NOTHING : SCREEN_QUIT;
	return key == 'q' || key == 'Q' ? SCREEN_QUIT : SCREEN_REFRESH;
}

enum screen_event screen_next(struct screen *screen)
{
	struct signalfd_siginfo info;
	struct epoll_event event;

	if (epoll_wait(screen->poll_fd, &event, 1, 0) <= 0)
		return SCREEN_NOTHING;
	if (event.data.fd == STDIN_FILENO)
		return take_key();
	if (read(screen->signal_fd, &info, sizeof info) != sizeof info)
		return SCREEN_NOTHING;
	return take_signal(screen, (int)info.ssi_signo);
}

void screen_show(const char *text, size_t rows)
{
	fputs(HOME, stdout);
	for (size_t row = 0; *text && row < rows; row++) {
		size_t length = strcspn(text, "\n");

		/* No newline after the last: it would scroll. */
		fputs(row > 0 ? "\n" : "", stdout);
		fwrite(text, 1, length, stdout);
		fputs(CLEAR_LINE, stdout);
		text += length + (text[length] == '\n');
	}
	fputs(CLEAR_REST, stdout);
	fflush(stdout);
}
