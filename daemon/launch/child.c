/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "child.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <stddef.h>

#include "rawcall.h"
#include "turn.h"

/* The table is the launcher's still, and nothing in it may be changed: a copy of its lower part is the child's.
 * The upper part, the sandboxes of others, costs as much to copy and to close as a tenth of the start. */
static long step_table(struct child_context *c)
{
	return RAWCALL(SYS_close_range, c->table_end, ~0U, CLOSE_RANGE_UNSHARE);
}

/* A session of its own: no controlling terminal to push keystrokes into. */
static long step_session(struct child_context *c)
{
	(void)c;
	return RAWCALL(SYS_setsid);
}

/* While still root: root's key quota counts, not the one of a user that many sites share. */
static long step_keyring(struct child_context *c)
{
	long r = RAWCALL(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);

	(void)c;
	return r < 0 && r != -ENOSYS ? r : 0;
}

/* Whatever torpord's own nice level is. */
static long step_priority(struct child_context *c)
{
	struct turn_attributes attributes = {.size = sizeof attributes,
					     .flags = TURN_KEEP_POLICY,
					     .nice = c->plan->spec->nice,
					     .turn_ns = c->turn_ns};

	return RAWCALL(SYS_sched_setattr, 0, &attributes, 0);
}

static long step_limits(struct child_context *c)
{
	for (unsigned i = 0; i < c->plan->n_limits; i++) {
		const struct plan_limit *l = &c->plan->limits[i];
		long r = RAWCALL(SYS_prlimit64, 0, l->resource, &l->limit, NULL);

		if (r < 0)
			return r;
	}
	return 0;
}

/* What only a process of the container's pid namespace can mount. */
static long step_mounts(struct child_context *c)
{
	const struct mount_list *list = c->plan->system_mounts->data;

	return child_mount(c, list, list->n_ahead);
}

/* To be called while the /proc is one that no tenant's root is around yet. */
static long write_own(struct child_context *c, const struct child_write *own)
{
	long r = own->bytes ? RAWCALL(SYS_openat, AT_FDCWD, own->path, O_WRONLY | O_CLOEXEC) : 0;

	c->detail = own->name;
	if (r > 0)
		r = RAWCALL(SYS_write, r, own->text, own->bytes);
	return own->optional ? 0 : r;
}

static long step_oom_score(struct child_context *c)
{
	return write_own(c, &c->oom_score);
}

static long step_label(struct child_context *c)
{
	long r = write_own(c, &c->app_armor);

	return r < 0 ? r : write_own(c, &c->selinux);
}

/* What the unit has in /proc. In a root of its own that comes last; the sandbox's is left then. */
static long step_unit_mounts(struct child_context *c)
{
	const struct mount_list *list = c->plan->unit_mounts->data;
	long r = child_mount(c, list, list->n_ahead);

	if (r == 0 && c->root_fd >= 0)
		r = RAWCALL(SYS_fchdir, c->root_fd);
	if (r == 0 && c->root_fd >= 0)
		r = RAWCALL(SYS_chroot, ".");
	return r;
}

/* Of what lies outside it the user namespace owns nothing: the mounts, the network and all else of the
 * container stay the host's, whatever capability somebody may come to have inside. */
static long step_user_namespace(struct child_context *c)
{
	return c->users_fd < 0 ? 0 : RAWCALL(SYS_setns, c->users_fd, CLONE_NEWUSER);
}

/* The program's descriptors. All else is closed now, not by execve(2): a path of the tenant's, as the working
 * directory's and the program's may be, could name it, in /proc/self/fd. One is left, a socket. */
static long step_descriptors(struct child_context *c)
{
	unsigned n = c->n_fds;
	long r = 0;

	for (unsigned i = 0; r >= 0 && i < n; i++)
		r = RAWCALL(SYS_dup3, c->fds[i], i, 0);
	if (r >= 0 && c->plan->intercepts) {
		r = RAWCALL(SYS_dup3, c->channel_fd, n, O_CLOEXEC);
		c->channel_fd = (int)n++;
	}
	return r < 0 ? r : RAWCALL(SYS_close_range, n, ~0U, 0);
}

static long step_groups(struct child_context *c)
{
	long r = RAWCALL(SYS_setgroups, 0, NULL);

	if (r == 0)
		r = RAWCALL(SYS_setresgid, c->gid, c->gid, c->gid);
	return r;
}

static long step_bounding_set(struct child_context *c)
{
	for (int cap = 0; cap < 64; cap++) {
		long r;

		if (c->plan->bounding & (1ULL << cap))
			continue;
		r = RAWCALL(SYS_prctl, PR_CAPBSET_DROP, cap, 0, 0, 0);
		if (r == -EINVAL)
			break; /* past the kernel's last capability */
		if (r < 0)
			return r;
	}
	return c->keep_capabilities ? RAWCALL(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0) : 0;
}

/* The raw call changes this process alone; glibc's would try to change all threads of the daemon. */
static long step_user(struct child_context *c)
{
	return RAWCALL(SYS_setresuid, c->uid, c->uid, c->uid);
}

static long step_capabilities(struct child_context *c)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	long r = RAWCALL(SYS_capset, &header, c->capabilities);

	for (int cap = 0; r >= 0 && cap < 64; cap++)
		if (c->plan->ambient & (1ULL << cap))
			r = RAWCALL(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
	return r;
}

/* As the user: a folder that only root may enter is an error. */
static long step_working_directory(struct child_context *c)
{
	const char *path = plan_working_directory(c->plan);
	long r = RAWCALL(SYS_chdir, path ? path : "/");

	c->detail = path;
	if (r == -ENOENT && c->plan->spec->working_directory_optional)
		r = 0;
	RAWCALL(SYS_umask, c->plan->spec->umask);
	return r;
}

static long step_no_new_privileges(struct child_context *c)
{
	(void)c;
	return RAWCALL(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static long step_syscalls(struct child_context *c)
{
	long r = RAWCALL(SYS_seccomp, SECCOMP_SET_MODE_FILTER, c->filter_flags, &c->filter);

	*c->notify_fd = (int)r;
	return r;
}

/* Tells the interceptor what to do when this program calls bind(2); it has to be sent by who has the filter. */
static long step_handover(struct child_context *c)
{
	if (!c->plan->intercepts)
		return 0;
	return RAWCALL(SYS_sendmsg, c->channel_fd, c->message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Handlers are gone already (CLONE_CLEAR_SIGHAND); SIGPIPE, which the daemon ignores, and the blocked mask of
 * the launcher thread would survive execve(2). */
static long step_signals(struct child_context *c)
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
	return r;
}

/* Returns only when none of the paths could be executed. */
static long step_exec(struct child_context *c)
{
	long refused = -ENOENT;

	c->detail = plan_argv(c->plan)[0];
	for (const char *const *path = c->programs; *path; path++) {
		long r = RAWCALL(SYS_execve, *path, plan_argv(c->plan), c->envp);

		refused = r == -ENOENT ? refused : r;
	}
	return refused;
}

/* The whole of what happens, in this order. What needs a privilege before it is dropped; the system call filter
 * last, as it need not allow more than execve(2) and exit_group(2). */
static const struct {
	enum launch_step step;
	long (*run)(struct child_context *c);
} steps[] = {
	{STEP_TABLE, step_table},
	{STEP_SESSION, step_session},
	{STEP_KEYRING, step_keyring},
	{STEP_PRIORITY, step_priority},
	{STEP_LIMITS, step_limits},
	{STEP_MOUNTS, step_mounts},
	{STEP_OOM_SCORE, step_oom_score},
	{STEP_LABEL, step_label},
	{STEP_UNIT_MOUNTS, step_unit_mounts},
	{STEP_USER_NAMESPACE, step_user_namespace}, /* which fills the bounding set up */
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
		long r;

		c->detail = NULL;
		r = steps[i].run(c);
		if (r < 0) {
			c->step = steps[i].step;
			c->error = (int)-r;
			break;
		}
	}
	for (;;)
		syscall(SYS_exit_group, 127);
}
