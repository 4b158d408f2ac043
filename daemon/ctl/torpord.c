/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "torpord.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "log.h"
#include "options.h"

#define OPTIONS_MAX 8 /* torpord, two of its own, --etc= --run= --lib= and the end of the list */

/* Tries torpord in a folder. Returns only when it is not there or cannot be run. */
static void try_in(struct ctl *ctl, const char *folder, size_t length, char **argv)
{
	const char *path = arena_printf(&ctl->arena, "%.*s/torpord", (int)length, folder);

	if (path && access(path, X_OK) == 0)
		execv(path, argv);
}

/* Beside this program, and where a build tree has it. */
static void try_beside(struct ctl *ctl, char **argv)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	const char *slash;

	if (n <= 0)
		return;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return;
	try_in(ctl, self, (size_t)(slash - self), argv);
	*(char *)slash = '\0';
	slash = arena_printf(&ctl->arena, "%s/../core", self);
	if (slash)
		try_in(ctl, slash, strlen(slash), argv);
}

static void try_path(struct ctl *ctl, char **argv)
{
	const char *path = getenv("PATH");

	while (path && *path) {
		size_t length = strcspn(path, ":");

		/* An empty or relative entry is the current folder of whoever asked: not for a root shell. */
		if (length > 0 && path[0] == '/')
			try_in(ctl, path, length, argv);
		path += length + (path[length] == ':');
	}
}

static char *option(struct ctl *ctl, const char *name, const char *value)
{
	return arena_printf(&ctl->arena, "--%s=%s", name, value);
}

char **torpord_arguments(struct ctl *ctl, const char *const *own)
{
	const struct options *options = ctl->options;
	char **argv = calloc((size_t)options->n_arguments + OPTIONS_MAX, sizeof *argv);
	size_t n = 0;

	if (!argv)
		return NULL;
	argv[n++] = arena_strdup(&ctl->arena, "torpord");
	while (*own)
		argv[n++] = arena_strdup(&ctl->arena, *own++);
	if (options->etc_dir)
		argv[n++] = option(ctl, "etc", options->etc_dir);
	if (options->run_option)
		argv[n++] = option(ctl, "run", options->run_option);
	if (options->lib_dir)
		argv[n++] = option(ctl, "lib", options->lib_dir);
	for (int i = 0; i < options->n_arguments; i++) {
		const char *file = options->arguments[i];

		/* A name that looks like an option stays a name. */
		argv[n++] = arena_printf(&ctl->arena, "%s%s", file[0] == '-' ? "./" : "", file);
	}
	return argv;
}

void torpord_become(struct ctl *ctl, char **arguments)
{
	static const char *const folders[] = {"/usr/sbin", "/usr/libexec"};

	try_beside(ctl, arguments);
	try_path(ctl, arguments);
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
		try_in(ctl, folders[i], strlen(folders[i]), arguments);
	log_error("cannot find torpord, which reads the files: not beside torporctl, in $PATH, /usr/sbin or "
		  "/usr/libexec");
}
