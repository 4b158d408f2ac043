/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "clock.h"
#include "clone.h"
#include "cni-config.h"
#include "cni-result.h"
#include "plugin-child.h"
#include "str.h"

#define STACK_BYTES      (64 * 1024)
#define ANSWER_BYTES_MAX (1024 * 1024) /* of stdout */
#define ERRORS_BYTES     512           /* kept of stderr: its end */
#define INTERFACE        "eth0"
#define SEARCH_PATH      "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum { ENV_COMMAND, ENV_ID, ENV_NETNS, ENV_INTERFACE, ENV_FOLDERS, ENV_PATH, ENV_ENTRIES };

/* A plugin that runs, and what it has said so far. */
struct plugin {
	const struct plugin_call *call;
	char group[NAME_MAX + 1]; /* the name of its control group */
	int group_fd, pidfd, out_fd, err_fd;
	char *answer; /* owned; malloc'd */
	size_t answer_bytes, answer_size;
	char errors[ERRORS_BYTES + 1];
	size_t errors_bytes;
	int status; /* as siginfo_t has it */
	bool killed;
};

/* Its configuration as a file in memory: writing never waits for the reader. */
static int open_request(json_t *request)
{
	autofree char *text = json_dumps(request, JSON_COMPACT);
	autoclose int fd = text ? memfd_create("cni", MFD_CLOEXEC) : -1;
	int r;

	if (!text)
		return -ENOMEM;
	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, text, strlen(text));
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? r : steal_fd(&fd);
}

static int make_environment(const struct plugin_call *call, char *envp[ENV_ENTRIES + 1])
{
	if (asprintf(&envp[ENV_COMMAND], "CNI_COMMAND=%s", call->command) < 0)
		envp[ENV_COMMAND] = NULL;
	if (asprintf(&envp[ENV_ID], "CNI_CONTAINERID=%s", call->container_id) < 0)
		envp[ENV_ID] = NULL;
	if (asprintf(&envp[ENV_NETNS], "CNI_NETNS=%s", call->netns) < 0)
		envp[ENV_NETNS] = NULL;
	if (asprintf(&envp[ENV_FOLDERS], "CNI_PATH=%s", call->folders) < 0)
		envp[ENV_FOLDERS] = NULL;
	envp[ENV_INTERFACE] = strdup("CNI_IFNAME=" INTERFACE);
	envp[ENV_PATH] = strdup("PATH=" SEARCH_PATH);
	for (int i = 0; i < ENV_ENTRIES; i++)
		if (!envp[i])
			return -ENOMEM;
	return 0;
}

/* In a control group of its own, so that whatever it starts can be ended with it. */
static int clone_plugin(struct plugin *plugin, struct plugin_child *child)
{
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP | CLONE_PIDFD,
		.exit_signal = SIGCHLD,
		.stack_size = STACK_BYTES,
		.cgroup = (uint64_t)plugin->group_fd,
		.pidfd = (uint64_t)(uintptr_t)&plugin->pidfd,
	};
	void *stack =
		mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	long pid;

	if (stack == MAP_FAILED)
		return -errno;
	args.stack = (uint64_t)(uintptr_t)stack;
	pid = clone3_call(&args, plugin_child_main, child);
	munmap(stack, STACK_BYTES);
	return pid < 0 ? (int)pid : 0;
}

static int start(struct plugin *plugin, const char *path)
{
	const struct plugin_call *call = plugin->call;
	char *argv[] = {(char *)path, NULL}, *envp[ENV_ENTRIES + 1] = {NULL};
	struct plugin_child child = {.path = path, .argv = argv, .envp = envp};
	int out[2] = {-EBADF, -EBADF}, err[2] = {-EBADF, -EBADF};
	autoclose int in = open_request(call->request);
	int r = in < 0 ? in : make_environment(call, envp);

	if (r == 0 && (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0))
		r = -errno;
	plugin->out_fd = out[0];
	plugin->err_fd = err[0];
	if (r == 0 && (fcntl(out[0], F_SETFL, O_NONBLOCK) < 0 || fcntl(err[0], F_SETFL, O_NONBLOCK) < 0))
		r = -errno;
	if (r == 0) {
		snprintf(plugin->group, sizeof plugin->group, "%s.network", call->container_id);
		plugin->group_fd = cgroup_create(call->cgroup_fd, plugin->group);
		r = plugin->group_fd < 0 ? plugin->group_fd : 0;
	}
	if (r == 0) {
		memcpy(child.fds, (int[3]){in, out[1], err[1]}, sizeof child.fds);
		r = clone_plugin(plugin, &child);
	}
	fd_close(out[1]);
	fd_close(err[1]);
	for (int i = 0; i < ENV_ENTRIES; i++)
		free(envp[i]);
	if (r == 0 && child.error) {
		(void)waitid(P_PIDFD, (id_t)plugin->pidfd, &(siginfo_t){0}, WEXITED);
		return -child.error;
	}
	return r;
}

/* What is there of stdout. -EFBIG: more than anybody has to say. */
static int read_answer(struct plugin *plugin)
{
	for (;;) {
		ssize_t n;

		if (plugin->answer_bytes == plugin->answer_size) {
			size_t want = plugin->answer_size ? plugin->answer_size * 2 : 4096;
			char *grown = want > ANSWER_BYTES_MAX ? NULL : realloc(plugin->answer, want);

			if (!grown)
				return want > ANSWER_BYTES_MAX ? -EFBIG : -ENOMEM;
			plugin->answer = grown;
			plugin->answer_size = want;
		}
		n = read(plugin->out_fd, plugin->answer + plugin->answer_bytes,
			 plugin->answer_size - plugin->answer_bytes);
		if (n <= 0)
			return n < 0 && (errno == EAGAIN || errno == EINTR) ? -EAGAIN : 0;
		plugin->answer_bytes += (size_t)n;
	}
}

/* The last bytes of stderr, a bounded number at a time: somebody may write without end. */
static int read_errors(struct plugin *plugin)
{
	char buf[ERRORS_BYTES];
	ssize_t n = read(plugin->err_fd, buf, sizeof buf);
	size_t keep;

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? -EAGAIN : 0;
	keep = ERRORS_BYTES - (size_t)n;
	if (keep > plugin->errors_bytes)
		keep = plugin->errors_bytes;
	memmove(plugin->errors, plugin->errors + plugin->errors_bytes - keep, keep);
	memcpy(plugin->errors + keep, buf, (size_t)n);
	plugin->errors_bytes = keep + (size_t)n;
	plugin->errors[plugin->errors_bytes] = '\0';
	return -EAGAIN;
}

static int time_left_ms(const struct plugin_call *call)
{
	uint64_t now = clock_now_ns(), left;

	if (call->deadline_ns == UINT64_MAX)
		return -1;
	left = call->deadline_ns > now ? (call->deadline_ns - now + 999999) / 1000000 : 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

/* Until its process has ended, not its pipes: somebody else may hold them. */
static int wait_for(struct plugin *plugin)
{
	struct pollfd polls[] = {{.fd = plugin->pidfd, .events = POLLIN},
				 {.fd = plugin->call->cancel_fd, .events = POLLIN},
				 {.fd = plugin->out_fd, .events = POLLIN},
				 {.fd = plugin->err_fd, .events = POLLIN}};

	for (;;) {
		int n = poll(polls, sizeof polls / sizeof *polls, time_left_ms(plugin->call)), r;

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -ETIMEDOUT;
		if (n < 0)
			continue;
		if (polls[1].revents)
			return -ECANCELED;
		if (polls[2].revents || polls[0].revents) {
			r = read_answer(plugin);
			if (r < 0 && r != -EAGAIN)
				return r;
			if (r == 0)
				polls[2].fd = -1;
		}
		if (polls[3].revents && read_errors(plugin) == 0)
			polls[3].fd = -1;
		if (polls[0].revents)
			return 0;
	}
}

/* One that was killed and still lives hangs in the kernel, and is not waited for. */
static int collect(struct plugin *plugin)
{
	siginfo_t info = {0};

	if (waitid(P_PIDFD, (id_t)plugin->pidfd, &info, WEXITED | WNOHANG) < 0)
		return -errno;
	if (info.si_pid == 0)
		return -EBUSY;
	plugin->status = info.si_status;
	plugin->killed = info.si_code != CLD_EXITED;
	return 0;
}

/* Whatever of it lives. */
static void end(struct plugin *plugin)
{
	if (plugin->group_fd >= 0)
		(void)cgroup_destroy_tree(plugin->call->cgroup_fd, plugin->group);
	fd_close(plugin->group_fd);
	fd_close(plugin->out_fd);
	fd_close(plugin->err_fd);
}

static const char *last_words(struct plugin *plugin)
{
	while (plugin->errors_bytes > 0 && plugin->errors[plugin->errors_bytes - 1] == '\n')
		plugin->errors[--plugin->errors_bytes] = '\0';
	return plugin->errors_bytes > 0 ? plugin->errors : NULL;
}

/* What the plugin that has ended has said. */
static int judge(struct plugin *plugin, json_t **ret, char *message, size_t size)
{
	const char *type = plugin->call->type, *words = last_words(plugin), *said;
	json_error_t error = {0};
	json_t *answer =
		plugin->answer_bytes > 0 ? json_loadb(plugin->answer, plugin->answer_bytes, 0, &error) : NULL;
	char text[480];

	if (!plugin->killed && plugin->status == 0 && (answer || plugin->answer_bytes == 0)) {
		*ret = answer;
		return 0;
	}
	said = cni_error_message(answer, text, sizeof text);
	if (!said)
		said = words;
	if (plugin->killed)
		snprintf(message, size, "%s: was killed by signal %s%s%s", type, strsignal(plugin->status),
			 said ? ": " : "", said ? said : "");
	else if (plugin->status != 0 && said)
		snprintf(message, size, "%s: %s", type, said);
	else if (plugin->status != 0)
		snprintf(message, size, "%s: exited with status %d and said nothing", type, plugin->status);
	else
		snprintf(message, size, "%s: answered no JSON: %s", type, error.text);
	json_decref(answer);
	return !plugin->killed && plugin->status == 0 ? -EBADMSG : -EREMOTEIO;
}

static int refuse(const struct plugin_call *call, int error, const char *what, char *message, size_t size)
{
	snprintf(message, size, "%s: %s", call->type, what);
	return error;
}

int plugin_run(const struct plugin_call *call, json_t **ret, char *message, size_t size)
{
	struct plugin plugin = {
		.call = call, .group_fd = -EBADF, .pidfd = -EBADF, .out_fd = -EBADF, .err_fd = -EBADF};
	char path[PATH_MAX];
	int r = cni_plugin_find(call->folders, call->type, path, sizeof path);

	*ret = NULL;
	if (r == 0)
		r = start(&plugin, path);
	if (r < 0) {
		end(&plugin);
		fd_close(plugin.pidfd);
		return refuse(call, r, strerror(-r), message, size);
	}
	r = wait_for(&plugin);
	end(&plugin);
	if (r == 0) {
		r = collect(&plugin);
		if (r == 0)
			r = judge(&plugin, ret, message, size);
		else
			refuse(call, r, strerror(-r), message, size);
	} else {
		(void)collect(&plugin);
		refuse(call, r,
		       r == -ETIMEDOUT || r == -ECANCELED ? "gave no answer in time, and was killed"
		       : r == -EFBIG                      ? "answered more than 1 MiB"
							  : strerror(-r),
		       message, size);
	}
	fd_close(plugin.pidfd);
	free(plugin.answer);
	return r;
}
