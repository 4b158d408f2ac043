/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "cgroup.h"
#include "child.h"
#include "cleanup.h"
#include "clock.h"
#include "clone.h"
#include "envfile.h"
#include "log.h"
#include "root.h"
#include "str.h"

#define CHILD_STACK_BYTES (64 * 1024)

/* Moves a descriptor above the range that the program will see; the lower one is closed. */
static int move_high(int fd)
{
	int high = fd < 0 ? -errno : fcntl(fd, F_DUPFD_CLOEXEC, CHILD_FD_BASE);

	if (fd >= 0) {
		high = high < 0 ? -errno : high;
		fd_close(fd);
	}
	return high;
}

int launch_shared_init(struct launch_shared *shared, const char *cgroup_path, int event_fd, int channel_fd,
		       unsigned max_spare)
{
	*shared = (struct launch_shared){.self_fd = -EBADF,
					 .event_fd = -EBADF,
					 .cgroup_fd = -EBADF,
					 .null_fd = -EBADF,
					 .channel_fd = -EBADF};
	sandbox_pool_init(&shared->pool, max_spare);
	image_cache_init(&shared->images);
	/* Copies 0 to 2 only: the rest is what is being left out. */
	if (close_range(3, ~0U, CLOSE_RANGE_UNSHARE) < 0)
		return -errno;
	shared->self_fd = pidfd_open(getpid(), 0);
	shared->event_fd = shared->self_fd < 0 ? -1 : pidfd_getfd(shared->self_fd, event_fd, 0);
	shared->channel_fd = shared->self_fd < 0 ? -1 : move_high(pidfd_getfd(shared->self_fd, channel_fd, 0));
	shared->cgroup_fd = open(cgroup_path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	shared->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (shared->self_fd < 0 || shared->event_fd < 0 || shared->channel_fd < 0 || shared->cgroup_fd < 0 ||
	    shared->null_fd < 0)
		return -errno;
	return sandbox_pool_open(&shared->pool);
}

void launch_shared_finish(struct launch_shared *shared)
{
	fd_close(shared->self_fd);
	fd_close(shared->event_fd);
	fd_close(shared->channel_fd);
	fd_close(shared->cgroup_fd);
	fd_close(shared->null_fd);
	sandbox_pool_finish(&shared->pool);
	image_cache_finish(&shared->images);
}

int launch_thread_init(struct launch_thread *thread, struct launch_shared *shared)
{
	*thread =
		(struct launch_thread){.shared = shared, .stack = MAP_FAILED, .stack_bytes = CHILD_STACK_BYTES};
	/* A mount namespace can be entered only by who has root and working directory for himself. */
	if (unshare(CLONE_FS) < 0)
		return -errno;
	umask(0); /* modes are meant as they are written */
	thread->stack = mmap(NULL, CHILD_STACK_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (thread->stack == MAP_FAILED)
		return -errno;
	/* The lowest page is a guard. */
	return mprotect(thread->stack, 4096, PROT_NONE) < 0 ? -errno : 0;
}

void launch_thread_finish(struct launch_thread *thread)
{
	device_program_cache_finish(&thread->device_programs);
	if (thread->stack != MAP_FAILED)
		munmap(thread->stack, thread->stack_bytes);
}

static int fail(struct launch_job *job, enum launch_step step, int error, const char *detail)
{
	job->step = step;
	job->error = -error;
	strncpy(job->detail, detail ? detail : "", sizeof job->detail - 1);
	return error;
}

static int open_file(const struct output_spec *output)
{
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK;
	int fd;

	if (output->kind == OUTPUT_APPEND)
		flags |= O_APPEND;
	if (output->kind == OUTPUT_TRUNCATE)
		flags |= O_TRUNC;
	fd = open(output->path, flags, 0640);
	/* Opened so that a pipe without a reader is an error and not a wait; the program gets it blocking. */
	if (fd >= 0)
		(void)fcntl(fd, F_SETFL, flags & O_APPEND);
	return fd;
}

/* stdout or stderr as the unit says. Without a journal on this host its output goes nowhere, as systemd does.
 */
static int open_output(const struct launch_shared *shared, const struct launch_plan *plan,
		       const struct output_spec *output, int priority, int inherited)
{
	int fd;

	switch (output->kind) {
	case OUTPUT_JOURNAL:
		fd = sd_journal_stream_fd(plan->spec->syslog_identifier, priority, 1);
		if (fd == -ENOENT || fd == -ECONNREFUSED)
			return fcntl(shared->null_fd, F_DUPFD_CLOEXEC, CHILD_FD_BASE);
		if (fd < 0)
			errno = -fd;
		return move_high(fd);
	case OUTPUT_NULL:
		return fcntl(shared->null_fd, F_DUPFD_CLOEXEC, CHILD_FD_BASE);
	case OUTPUT_INHERIT:
		return fcntl(inherited, F_DUPFD_CLOEXEC, CHILD_FD_BASE);
	default:
		return move_high(open_file(output));
	}
}

static int open_outputs(const struct launch_shared *shared, struct launch_job *job, int *out_fd, int *err_fd)
{
	const struct site_spec *spec = job->plan->spec;
	const struct output_spec *out = &spec->standard_output, *err = &spec->standard_error;

	*out_fd = open_output(shared, job->plan, out, LOG_INFO, STDOUT_FILENO);
	if (*out_fd < 0)
		return fail(job, STEP_OUTPUT, -errno, out->path);
	*err_fd = open_output(shared, job->plan, err, LOG_INFO, *out_fd);
	if (*err_fd < 0)
		return fail(job, STEP_OUTPUT, -errno, err->path);
	return 0;
}

/* Copies of the daemon's listeners into this thread's table. */
static int fetch_listeners(const struct launch_shared *shared, struct launch_job *job, int *fds,
			   struct intercept_socket *sockets)
{
	socklen_t length;

	for (unsigned i = 0; i < job->plan->spec->n_listeners; i++) {
		fds[i] = move_high(pidfd_getfd(shared->self_fd, job->listener_fds[i], 0));
		if (fds[i] < 0)
			return fail(job, STEP_LISTENERS, fds[i], NULL);
		sockets[i] = (struct intercept_socket){.number = job->listener_fds[i]};
		length = sizeof sockets[i].cookie;
		if (getsockopt(fds[i], SOL_SOCKET, SO_COOKIE, &sockets[i].cookie, &length) < 0)
			return fail(job, STEP_LISTENERS, -errno, NULL);
	}
	return 0;
}

static int fail_limits(struct launch_job *job, int error, const char *what)
{
	fail(job, STEP_RESOURCES, error, NULL);
	snprintf(job->detail, sizeof job->detail, "RequireLimits=yes, and not in force on this host: %s", what);
	return error;
}

static int attach_devices(struct launch_thread *thread, struct launch_job *job, int cgroup_fd)
{
	const struct blob *program = job->plan->devices;
	int r = device_program_get(&thread->device_programs, program->data, program->data_bytes);

	if (r >= 0)
		r = device_program_attach(cgroup_fd, r);
	return r < 0 ? fail(job, STEP_DEVICES, r, NULL) : 0;
}

static int make_cgroup(struct launch_thread *thread, struct launch_job *job, int *ret_fd)
{
	const struct launch_plan *plan = job->plan;
	const struct resource_list *list = plan->resources->data;
	int r;

	if (list->refused)
		return fail_limits(job, -EOPNOTSUPP, resource_text(list, list->refused));
	*ret_fd = cgroup_create(thread->shared->cgroup_fd, plan->cgroup);
	if (*ret_fd < 0)
		return fail(job, STEP_CGROUP, *ret_fd, plan->cgroup);
	r = enforce_resources(*ret_fd, NULL, list, false, job->not_enforced);
	if (r < 0 && list->require)
		return fail_limits(job, r, job->not_enforced);
	return plan->devices ? attach_devices(thread, job, *ret_fd) : 0;
}

static int open_source(const struct launch_job *job, const struct mount_op *op, const char *source)
{
	char path[PATH_MAX];

	if (*source == '/')
		return child_open_source(op, source);
	snprintf(path, sizeof path, "%s/%s", job->network, source);
	return child_open_source(op, path);
}

/* Mounts of what the unit binds, attached nowhere yet: opened here, on the host, so that the child has nothing
 * of the host to look for. */
static int open_sources(struct launch_job *job, int *fds, unsigned *n)
{
	const struct mount_list *list = job->plan->unit_mounts->data;

	for (uint32_t i = 0; i < list->n_ops; i++) {
		const struct mount_op *op = &list->ops[i];
		const char *source = mount_text(list, op->source);
		int fd;

		if (op->kind != MOUNT_OP_BIND)
			continue;
		fd = open_source(job, op, source);
		if (fd == -ENOENT && op->flags & MOUNT_OP_OPTIONAL)
			fds[(*n)++] = -ENOENT;
		else if (fd < 0)
			return fail(job, STEP_SOURCES, fd, source);
		else
			fds[(*n)++] = fd;
	}
	return 0;
}

static int take_sandbox(struct launch_shared *shared, struct launch_job *job, struct sandbox *ret)
{
	enum launch_step step;
	const char *detail;
	int r = sandbox_pool_take(&shared->pool, job->plan, ret, &step, &detail);

	return r < 0 ? fail(job, step, r, detail) : 0;
}

/* The network that the child is to be in, where it is not the sandbox's own: a descriptor of its namespace, the
 * caller's, or -EBADF. */
static int open_network(const struct launch_shared *shared, struct launch_job *job, int *ret_fd)
{
	const struct site_spec *spec = job->plan->spec;
	char path[PATH_MAX];

	if (!spec->network)
		return 0;
	if (spec_names_network(spec)) {
		snprintf(path, sizeof path, "%s/netns", job->network ? job->network : "");
		*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	} else {
		*ret_fd = fcntl(shared->pool.host.network_fd, F_DUPFD_CLOEXEC, 0);
	}
	return *ret_fd < 0 ? fail(job, STEP_NETWORK, -errno, job->network) : 0;
}

/* The child is born in the sandbox, which this thread enters only for that moment. */
static int clone_child(struct launch_thread *thread, struct launch_job *job, struct child_context *context,
		       const struct sandbox *sandbox, const struct root *root, int cgroup_fd)
{
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP |
			 CLONE_NEWPID | CLONE_NEWCGROUP,
		.exit_signal = SIGCHLD,
		.stack = (uint64_t)(uintptr_t)thread->stack,
		.stack_size = thread->stack_bytes,
		.cgroup = (uint64_t)cgroup_fd,
	};
	enum launch_step step = STEP_SANDBOX;
	const char *detail = NULL;
	autoclose int network_fd = -EBADF;
	long pid = 0;
	int r = open_network(thread->shared, job, &network_fd), left;

	if (r < 0)
		return r;
	r = sandbox_enter(sandbox);
	if (r == 0 && network_fd >= 0 && setns(network_fd, CLONE_NEWNET) < 0)
		r = -errno;
	if (r == 0) {
		step = STEP_ROOT;
		r = root_mount(root, job->plan, &context->root_fd, &detail);
	}
	job->cloned_ns = clock_now_ns();
	if (r == 0)
		pid = clone3_call(&args, child_main, context);
	left = sandbox_leave(&thread->shared->pool.host);
	if (left < 0)
		log_error("launcher: the host's namespaces cannot be entered again: %s", strerror(-left));
	if (r < 0)
		return fail(job, step, r, detail);
	if (pid < 0)
		return fail(job, STEP_CLONE, (int)pid, NULL);
	if (context->error) {
		(void)waitpid((pid_t)pid, NULL, __WALL);
		return fail(job, context->step, -context->error, context->detail);
	}
	job->pid = (pid_t)pid;
	return 0;
}

/* All but the descriptors, which launch_run() closes. */
static int launch(struct launch_thread *thread, struct launch_job *job, struct child_context *context,
		  struct sandbox *sandbox, struct root *root, int *cgroup_fd, int *listener_fds, int *bind_fds,
		  unsigned *n_binds)
{
	struct launch_shared *shared = thread->shared;
	const char *detail = NULL;
	int r = make_cgroup(thread, job, cgroup_fd);

	if (r == 0)
		r = open_outputs(shared, job, &context->stdout_fd, &context->stderr_fd);
	if (r == 0)
		r = fetch_listeners(shared, job, listener_fds, context->sockets);
	if (r == 0) {
		context->stdin_fd = fcntl(shared->null_fd, F_DUPFD_CLOEXEC, CHILD_FD_BASE);
		if (context->stdin_fd < 0)
			r = fail(job, STEP_OUTPUT, -errno, "/dev/null");
	}
	if (r == 0)
		r = take_sandbox(shared, job, sandbox);
	if (r == 0)
		r = open_sources(job, bind_fds, n_binds);
	if (r == 0) {
		r = root_open(root, job->plan, &shared->images, &shared->pool.host, &detail);
		if (r < 0)
			fail(job, STEP_ROOT, r, detail);
	}
	return r < 0 ? r : clone_child(thread, job, context, sandbox, root, *cgroup_fd);
}

void launch_run(struct launch_thread *thread, struct launch_job *job)
{
	int listener_fds[SPEC_LISTENERS_MAX];
	autoclose int cgroup_fd = -EBADF;
	autofree char **envp = NULL;
	struct child_context context = {.plan = job->plan,
					.envp = (char *const *)job->plan->envp,
					.listener_fds = listener_fds,
					.hello = {.id = job->id,
						  .site = job->site,
						  .n_listeners = job->plan->spec->n_listeners,
						  .gate = job->gate_fd},
					.channel_fd = thread->shared->channel_fd,
					.table_end = thread->shared->pool.host.first_high,
					.stdin_fd = -EBADF,
					.stdout_fd = -EBADF,
					.stderr_fd = -EBADF,
					.root_fd = -EBADF};
	struct intercept_socket sockets[SPEC_LISTENERS_MAX];
	struct sandbox sandbox = SANDBOX_NONE;
	struct root root = ROOT_NONE;
	const struct mount_list *unit_mounts = job->plan->unit_mounts->data;
	autofree int *bind_fds = malloc((unit_mounts->n_ops + 1) * sizeof *bind_fds);
	unsigned n_binds = 0;
	const char *file = NULL;
	int r = 0;

	job->begun_ns = clock_now_ns();
	for (unsigned i = 0; i < SPEC_LISTENERS_MAX; i++)
		listener_fds[i] = -EBADF;
	context.bind_fds = bind_fds;
	/* Of the binds there is one more at most, the notify socket. */
	context.held_fds = bind_fds ? bind_fds + job->plan->spec->n_mounts + 1 : NULL;
	context.sockets = sockets;
	if (!bind_fds)
		r = fail(job, STEP_SOURCES, -ENOMEM, NULL);
	if (r == 0 && job->plan->spec->environment_files) {
		r = envfile_read_all(job->plan->envp, job->plan->spec->environment_files, &envp, &file);
		if (r < 0)
			fail(job, STEP_ENVIRONMENT_FILE, r, file);
		context.envp = envp;
	}
	if (r == 0)
		r = launch(thread, job, &context, &sandbox, &root, &cgroup_fd, listener_fds, bind_fds,
			   &n_binds);
	job->done_ns = clock_now_ns();
	sandbox_finish(&sandbox);
	root_finish(&root);
	fd_close(context.root_fd);
	fd_close(context.stdin_fd);
	fd_close(context.stdout_fd);
	fd_close(context.stderr_fd);
	for (unsigned i = 0; i < job->plan->spec->n_listeners; i++)
		fd_close(listener_fds[i]);
	for (unsigned i = 0; i < n_binds; i++)
		fd_close(bind_fds[i]);
	if (r < 0 && cgroup_fd >= 0)
		(void)cgroup_remove(thread->shared->cgroup_fd, job->plan->cgroup);
}

/* What to do about a mount point in a root that the site brought along. */
static const char *root_hint(int error)
{
	switch (error) {
	case ENOENT:
		return " (not in the site's root: make it there, or let Overlay= do it)";
	case ELOOP:
	case ENOTDIR:
		return " (a link or a file in the site's root: make it a folder there)";
	default:
		return "";
	}
}

const char *launch_job_error(const struct launch_job *job, char *buf, size_t size)
{
	const struct origin *origin = &job->plan->spec->exec_origin;
	const char *start = buf;
	int n = snprintf(buf, size, "failed at step %s: %s%s%s", launch_step_name(job->step), job->detail,
			 *job->detail ? ": " : "", strerror(job->error));

	if (n < 0 || (size_t)n >= size)
		return buf;
	buf += n;
	size -= (size_t)n;
	if (job->step == STEP_EXEC && origin->file)
		snprintf(buf, size, " (ExecStart= in %s:%u)", origin->file, origin->line);
	else if (job->step == STEP_ROOT && job->error == EMEDIUMTYPE)
		snprintf(buf, size, " (neither squashfs nor erofs)");
	else if (job->step == STEP_UNIT_MOUNTS && spec_has_root(job->plan->spec))
		snprintf(buf, size, "%s", root_hint(job->error));
	return start;
}
