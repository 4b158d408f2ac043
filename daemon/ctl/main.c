/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "log.h"
#include "options.h"

/* A caller may have closed stdin, stdout or stderr: the control socket must not get one of their numbers. */
static void fill_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* Whatever could not be written makes the run a failure; a reader that went away is not told about it. */
static enum exit_code finish_output(enum exit_code code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	if (errno != EPIPE)
		log_error("cannot write the output: %s", strerror(errno));
	return ctl_worse(code, EXIT_FAILED);
}

int main(int argc, char **argv)
{
	struct options options;
	struct ctl ctl = {.options = &options, .client = CLIENT_CLOSED};
	enum exit_code code;

	fill_standard_fds();
	/* Ends quietly when nobody reads on, whatever the caller had set. */
	signal(SIGPIPE, SIG_DFL);
	if (options_parse(&options, argc, argv) < 0)
		return EXIT_USAGE;
	arena_init(&ctl.arena);
	terminal_init(&ctl.terminal, options.colour);
	code = options.command->run(&ctl);
	client_finish(&ctl.client);
	arena_finish(&ctl.arena);
	return finish_output(code);
}
