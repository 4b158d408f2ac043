/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin-child.h"

#include <signal.h>
#include <stdint.h>

#include "rawcall.h"

/* struct sigaction as the kernel has it. */
struct kernel_sigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

static long run(const struct plugin_child *child)
{
	const struct kernel_sigaction by_default = {0};
	const uint64_t none = 0;
	/* No terminal of torpord's to read from, and no signal of its keys. */
	long r = RAWCALL(SYS_setsid);

	for (int i = 0; r >= 0 && i < 3; i++)
		r = RAWCALL(SYS_dup3, child->fds[i], i, 0);
	if (r >= 0)
		r = RAWCALL(SYS_close_range, 3U, ~0U, 0U);
	/* torpord ignores it, which would be inherited. */
	if (r >= 0)
		r = RAWCALL(SYS_rt_sigaction, SIGPIPE, &by_default, NULL, sizeof none);
	if (r >= 0)
		r = RAWCALL(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
	return r < 0 ? r : RAWCALL(SYS_execve, child->path, child->argv, child->envp);
}

void plugin_child_main(void *argument)
{
	struct plugin_child *child = argument;

	child->error = (int)-run(child);
	for (;;)
		(void)RAWCALL(SYS_exit, 1);
}
