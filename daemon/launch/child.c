/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "child.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <signal.h>
#include <stddef.h>

#include "environment.h"
#include "rawcall.h"

#define HOSTNAME_BYTES_MAX 64 /* the kernel's __NEW_UTS_LEN */

static size_t length(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	return n;
}

/* The table is the launcher's still, and nothing in it may be changed: a copy of its lower part is the child's.
 * The upper part, the sandboxes of others, costs as much to copy and to close as a tenth of the start. */
static int step_table(struct child_context *c)
{
	return (int)RAWCALL(SYS_close_range, c->table_end, ~0U, CLOSE_RANGE_UNSHARE);
}

/* A session of its own: no controlling terminal to push keystrokes into. */
static int step_session(struct child_context *c)
{
	(void)c;
	return (int)RAWCALL(SYS_setsid);
}

/* While still root: root's key quota counts, not the one of a user that many sites share. */
static int step_keyring(struct child_context *c)
{
	long r = RAWCALL(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);

	(void)c;
	return r < 0 && r != -ENOSYS ? (int)r : 0;
}

static int step_hostname(struct child_context *c)
{
	size_t n = length(c->plan->spec->name);

	return (int)RAWCALL(SYS_sethostname, c->plan->spec->name,
			    n < HOSTNAME_BYTES_MAX ? n : HOSTNAME_BYTES_MAX);
}

static int step_oom_score(struct child_context *c)
{
	int value = c->plan->spec->oom_score_adjust;
	unsigned rest = value < 0 ? (unsigned)-value : (unsigned)value;
	char text[8], *at = text + sizeof text;
	long fd, r;

	if (!c->plan->write_oom_score_adj)
		return 0;
	do {
		*--at = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest);
	if (value < 0)
		*--at = '-';
	fd = RAWCALL(SYS_openat, AT_FDCWD, "proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return (int)fd;
	r = RAWCALL(SYS_write, fd, at, text + sizeof text - at);
	RAWCALL(SYS_close, fd);
	return r < 0 ? (int)r : 0;
}

static int step_priority(struct child_context *c)
{
	int nice = c->plan->spec->nice;

	return nice ? (int)RAWCALL(SYS_setpriority, PRIO_PROCESS, 0, nice) : 0;
}

static int step_limits(struct child_context *c)
{
	for (unsigned i = 0; i < c->plan->n_limits; i++) {
		const struct plan_limit *l = &c->plan->limits[i];
		long r = RAWCALL(SYS_prlimit64, 0, l->resource, &l->limit, NULL);

		if (r < 0)
			return (int)r;
	}
	return 0;
}

static int step_mounts(struct child_context *c)
{
	const struct mount_list *list = c->plan->system_mounts->data;

	return child_mount(c, list, list->n_ahead, list->n_ops);
}

/* In a root of its own, the first of them are moved there from the sandbox's, which is left then. */
static int step_unit_mounts(struct child_context *c)
{
	const struct mount_list *list = c->plan->unit_mounts->data;
	int r = c->root_fd < 0 ? 0 : (int)RAWCALL(SYS_fchdir, c->root_fd);

	c->untrusted = true;
	if (r == 0)
		r = child_mount(c, list, 0, list->n_ops);
	if (r == 0 && c->root_fd >= 0)
		r = (int)RAWCALL(SYS_chroot, ".");
	return r;
}

/* The program's descriptors are 0 to 2 and its listeners from 3 (or 0, or none where it is to bind them); all
 * else is closed. Sources lie above CHILD_FD_BASE, so that no dup2 hits one that is still needed. */
static int step_descriptors(struct child_context *c)
{
	bool inetd = c->plan->spec->handover == HANDOVER_STDIN;
	unsigned n = handover_offers(c->plan->spec->handover) ? c->plan->spec->n_listeners : 0;
	const int stdio[] = {inetd ? c->listener_fds[0] : c->stdin_fd, c->stdout_fd, c->stderr_fd};
	long r = 0;

	for (unsigned i = 0; r >= 0 && i < 3; i++)
		r = RAWCALL(SYS_dup3, stdio[i], i, 0);
	for (unsigned i = 0; r >= 0 && i < n; i++)
		r = RAWCALL(SYS_dup3, c->listener_fds[i], 3 + i, 0);
	if (r >= 0)
		r = RAWCALL(SYS_close_range, 3 + n, ~0U, c->plan->intercepts ? CLOSE_RANGE_CLOEXEC : 0);
	return r < 0 ? (int)r : 0;
}

static int step_groups(struct child_context *c)
{
	long r = RAWCALL(SYS_setgroups, 0, NULL);

	if (r == 0)
		r = RAWCALL(SYS_setresgid, c->plan->gid, c->plan->gid, c->plan->gid);
	return (int)r;
}

static int step_bounding_set(struct child_context *c)
{
	for (int cap = 0; cap < 64; cap++) {
		long r;

		if (c->plan->bounding & (1ULL << cap))
			continue;
		r = RAWCALL(SYS_prctl, PR_CAPBSET_DROP, cap, 0, 0, 0);
		if (r == -EINVAL)
			break; /* past the kernel's last capability */
		if (r < 0)
			return (int)r;
	}
	return c->plan->ambient ? (int)RAWCALL(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0) : 0;
}

/* The raw call changes this process alone; glibc's would try to change all threads of the daemon. */
static int step_user(struct child_context *c)
{
	return (int)RAWCALL(SYS_setresuid, c->plan->uid, c->plan->uid, c->plan->uid);
}

static int step_capabilities(struct child_context *c)
{
	uint32_t low = (uint32_t)c->plan->ambient, high = (uint32_t)(c->plan->ambient >> 32);
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{low, low, low}, {high, high, high}};
	long r = RAWCALL(SYS_capset, &header, data);

	for (int cap = 0; r >= 0 && cap < 64; cap++)
		if (c->plan->ambient & (1ULL << cap))
			r = RAWCALL(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
	return r < 0 ? (int)r : 0;
}

/* As the user: a folder that only root may enter is an error. */
static int step_working_directory(struct child_context *c)
{
	const char *path = c->plan->spec->working_directory;
	long r = RAWCALL(SYS_chdir, path ? path : "/");

	c->detail = path;
	if (r == -ENOENT && c->plan->spec->working_directory_optional)
		r = 0;
	RAWCALL(SYS_umask, c->plan->spec->umask);
	return (int)r;
}

static int step_no_new_privileges(struct child_context *c)
{
	(void)c;
	return (int)RAWCALL(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static int step_syscalls(struct child_context *c)
{
	const struct blob *blob = c->plan->syscalls;
	struct sock_fprog program = {
		.len = (unsigned short)(blob->data_bytes / sizeof(struct sock_filter)),
		.filter = blob->data,
	};

	unsigned flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	long r;

	if (!c->plan->intercepts)
		return (int)RAWCALL(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
	/* Before Linux 5.19 a signal may break a call off that is being answered; the program makes it again.
	 */
	r = RAWCALL(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	if (r == -EINVAL)
		r = RAWCALL(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	c->notify_fd = (int)r;
	return r < 0 ? (int)r : 0;
}

/* Tells the interceptor what to do when this program calls bind(2); it has to be sent by who has the filter. */
static int step_handover(struct child_context *c)
{
	const struct site_spec *spec = c->plan->spec;
	struct iovec parts[2 + SPEC_LISTENERS_MAX];
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {{CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct msghdr message = {.msg_iov = parts,
				 .msg_iovlen = 2 + spec->n_listeners,
				 .msg_control = &control,
				 .msg_controllen = CMSG_LEN(sizeof(int))};
	long r;

	if (!c->plan->intercepts)
		return 0;
	*(int *)(void *)CMSG_DATA(&control.header) = c->notify_fd;
	parts[0] = (struct iovec){&c->hello, sizeof c->hello};
	parts[1] = (struct iovec){c->sockets, spec->n_listeners * sizeof c->sockets[0]};
	for (unsigned i = 0; i < spec->n_listeners; i++) {
		const struct address *bind = listener_bind(&spec->listeners[i]);

		parts[2 + i] = (struct iovec){(void *)(uintptr_t)bind, sizeof *bind};
	}
	r = RAWCALL(SYS_sendmsg, c->channel_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	return r < 0 ? (int)r : 0;
}

/* Handlers are gone already (CLONE_CLEAR_SIGHAND); SIGPIPE, which the daemon ignores, and the blocked mask of
 * the launcher thread would survive execve(2). */
static int step_signals(struct child_context *c)
{
	struct {
		void (*handler)(int);
		unsigned long flags;
		void (*restorer)(void);
		uint64_t mask;
	} action = {.handler = SIG_DFL};
	uint64_t none = 0;
	long r = RAWCALL(SYS_rt_sigaction, SIGPIPE, &action, NULL, sizeof none);

	(void)c;
	if (r == 0)
		r = RAWCALL(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
	return (int)r;
}

/* Returns only when no candidate could be executed. */
static int step_exec(struct child_context *c)
{
	const char *const *argv = c->plan->spec->exec_start;
	const char *file = argv[0];
	long r, refused = 0;
	char path[4096];

	c->detail = file;
	for (const char *at = file; *at; at++)
		if (*at == '/')
			return (int)RAWCALL(SYS_execve, file, argv, c->envp);
	for (const char *const *folder = environment_search_path; *folder; folder++) {
		size_t n = 0;

		for (const char *from = *folder; *from; from++)
			path[n++] = *from;
		for (const char *from = file; *from && n < sizeof path - 1; from++)
			path[n++] = *from;
		path[n] = '\0';
		r = RAWCALL(SYS_execve, path, argv, c->envp);
		if (r != -ENOENT)
			refused = r;
	}
	return refused ? (int)refused : -ENOENT;
}

/* The whole of what happens, in this order. What needs a privilege before it is dropped; the system call filter
 * last, as it need not allow more than execve(2) and exit_group(2).
 */
static const struct {
	enum launch_step step;
	int (*run)(struct child_context *c);
} steps[] = {
	{STEP_TABLE, step_table},
	{STEP_SESSION, step_session},
	{STEP_KEYRING, step_keyring},
	{STEP_HOSTNAME, step_hostname},
	{STEP_PRIORITY, step_priority},
	{STEP_LIMITS, step_limits},
	{STEP_MOUNTS, step_mounts},
	{STEP_OOM_SCORE, step_oom_score}, /* by a /proc that no tenant's root is around yet */
	{STEP_UNIT_MOUNTS, step_unit_mounts},
	{STEP_DESCRIPTORS, step_descriptors},
	{STEP_GROUPS, step_groups},
	{STEP_BOUNDING_SET, step_bounding_set},
	{STEP_USER, step_user},
	{STEP_CAPABILITIES, step_capabilities},
	{STEP_WORKING_DIRECTORY, step_working_directory},
	{STEP_SIGNALS, step_signals},
	{STEP_NO_NEW_PRIVILEGES, step_no_new_privileges},
	{STEP_SYSCALLS, step_syscalls},
	{STEP_HANDOVER, step_handover},
	{STEP_EXEC, step_exec},
};

void child_main(void *context)
{
	struct child_context *c = context;

	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		int r;

		c->detail = NULL;
		r = steps[i].run(c);
		if (r < 0) {
			c->step = steps[i].step;
			c->error = -r;
			break;
		}
	}
	for (;;)
		syscall(SYS_exit_group, 127);
}
