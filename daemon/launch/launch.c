/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "clock.h"
#include "clone.h"
#include "id-ranges.h"
#include "log.h"
#include "root.h"
#include "start.h"

#define CHILD_STACK_BYTES (64 * 1024)

/* Before Linux 5.19 a signal may break off a call that is being answered; the program makes it again. A kernel
 * that knows the flags of a filter complains of its address only. */
static unsigned find_listener_flags(void)
{
	unsigned flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, NULL) < 0 && errno == EINVAL)
		return SECCOMP_FILTER_FLAG_NEW_LISTENER;
	return flags;
}

/* Of the two, those that the daemon has itself. */
static uint64_t find_sending_capabilities(void)
{
	static const cap_value_t wanted[] = {CAP_SYS_RESOURCE, CAP_SYS_ADMIN};
	cap_flag_value_t has;
	cap_t own = cap_get_proc();
	uint64_t found = 0;

	for (size_t i = 0; own && i < sizeof wanted / sizeof *wanted; i++)
		if (cap_get_flag(own, wanted[i], CAP_PERMITTED, &has) == 0 && has == CAP_SET)
			found |= UINT64_C(1) << wanted[i];
	(void)cap_free(own);
	return found;
}

int launch_shared_init(struct launch_shared *shared, const char *cgroup_path, int event_fd, int channel_fd,
		       struct id_ranges *ranges, unsigned max_spare)
{
	*shared = (struct launch_shared){.listener_flags = find_listener_flags(),
					 .sending_capabilities = find_sending_capabilities(),
					 .ranges = ranges,
					 .self_fd = -EBADF,
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
	shared->channel_fd =
		shared->self_fd < 0 ? -1 : start_move_high(pidfd_getfd(shared->self_fd, channel_fd, 0));
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

static int fail_limits(struct launch_job *job, int error, const char *what)
{
	launch_job_fail(job, STEP_RESOURCES, error, NULL);
	snprintf(job->detail, sizeof job->detail, "RequireLimits=yes, and not in force on this host: %s", what);
	return error;
}

static int attach_devices(struct launch_thread *thread, struct launch_job *job, int cgroup_fd)
{
	const struct blob *program = job->plan->devices;
	int r = device_program_get(&thread->device_programs, program->data, program->data_bytes);

	if (r >= 0)
		r = device_program_attach(cgroup_fd, r);
	return r < 0 ? launch_job_fail(job, STEP_DEVICES, r, NULL) : 0;
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
		return launch_job_fail(job, STEP_CGROUP, *ret_fd, plan->cgroup);
	r = enforce_resources(*ret_fd, NULL, list, false, job->not_enforced);
	if (r < 0 && list->require)
		return fail_limits(job, r, job->not_enforced);
	return plan->devices ? attach_devices(thread, job, *ret_fd) : 0;
}

static int take_sandbox(struct launch_shared *shared, struct launch_job *job, struct sandbox *ret)
{
	enum launch_step step;
	const char *detail;
	int r = sandbox_pool_take(&shared->pool, job->plan, ret, &step, &detail);

	return r < 0 ? launch_job_fail(job, step, r, detail) : 0;
}

/* Who the container is on the host; to the child, who it is inside. */
static int take_identity(struct launch_shared *shared, struct launch_job *job, const struct sandbox *sandbox,
			 struct child_context *context)
{
	struct identity *identity = &job->identity;
	int r = identity_take(identity, shared->ranges, job->plan, &sandbox->users);

	if (r < 0)
		return launch_job_fail(job, STEP_IDS, r, id_ranges_path(shared->ranges));
	context->uid = identity_inside(identity, job->plan->uid);
	context->gid = identity_inside(identity, job->plan->gid);
	if (identity->users_fd < 0)
		return 0;
	/* The sandbox's own is out of the child's reach. */
	context->users_fd = fcntl(identity->users_fd, F_DUPFD_CLOEXEC, CHILD_FD_BASE);
	return context->users_fd < 0 ? launch_job_fail(job, STEP_USER_NAMESPACE, -errno, NULL) : 0;
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
	return *ret_fd < 0 ? launch_job_fail(job, STEP_NETWORK, -errno, job->network) : 0;
}

static int open_path(const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* What covers is found by its path, until a root of its own takes it away from there. */
static int open_covers(struct start *start, bool own_root)
{
	struct mount_run *run = &start->mounts;

	run->null_fd = open_path(MOUNT_COVER_FILE);
	if (run->null_fd < 0 || !own_root)
		return run->null_fd;
	run->folder_fd = open_path(MOUNT_COVER_FOLDER);
	snprintf(start->null_path, sizeof start->null_path, "/proc/self/fd/%d", run->null_fd);
	snprintf(start->folder_path, sizeof start->folder_path, "/proc/self/fd/%d", run->folder_fd);
	run->null_path = start->null_path;
	run->folder_path = start->folder_path;
	return run->folder_fd;
}

/* What of the container's mounts needs none of its processes, by a thread that has entered the sandbox. */
static int mount_ahead(struct launch_job *job, struct start *start, const struct root *root)
{
	const struct mount_list *list = job->plan->unit_mounts->data;
	struct child_context *context = &start->context;
	const char *detail = "/dev";
	int r = open_covers(start, spec_has_root(job->plan->spec));

	if (r >= 0)
		r = identity_own_sandbox(&job->identity);
	if (r >= 0)
		r = root_mount(root, job->plan, &job->identity, &context->root_fd, &detail);
	if (r >= 0 && context->root_fd >= 0 && fchdir(context->root_fd) < 0)
		r = -errno;
	if (r < 0)
		return launch_job_fail(job, STEP_ROOT, r, detail);
	r = mount_run_list(&start->mounts, list, list->n_ahead);
	return r < 0 ? launch_job_fail(job, STEP_UNIT_MOUNTS, r, start->mounts.detail) : 0;
}

/* Of the container that the calling thread is in. */
static int set_hostname(struct launch_job *job)
{
	const char *name = job->plan->spec->name;

	return sethostname(name, strnlen(name, HOST_NAME_MAX)) < 0
		       ? launch_job_fail(job, STEP_HOSTNAME, -errno, name)
		       : 0;
}

/* Makes the calling thread's place the one in which the child is to be born. */
static int enter(struct launch_job *job, struct start *start, const struct sandbox *sandbox,
		 const struct root *root, int network_fd)
{
	int r = sandbox_enter(sandbox);

	if (r == 0 && network_fd >= 0 && setns(network_fd, CLONE_NEWNET) < 0)
		r = -errno;
	if (r < 0)
		return launch_job_fail(job, STEP_SANDBOX, r, NULL);
	r = set_hostname(job);
	return r < 0 ? r : mount_ahead(job, start, root);
}

/* The child is born in the sandbox, which this thread enters only for that moment. */
static int clone_child(struct launch_thread *thread, struct launch_job *job, struct start *start,
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
	const struct child_context *context = &start->context;
	autoclose int network_fd = -EBADF;
	long pid = 0;
	int r = open_network(thread->shared, job, &network_fd), left;

	if (r < 0)
		return r;
	r = enter(job, start, sandbox, root, network_fd);
	job->cloned_ns = clock_now_ns();
	if (r == 0)
		pid = clone3_call(&args, child_main, &start->context);
	left = sandbox_leave(&thread->shared->pool.host);
	if (left < 0)
		log_error("launcher: the host's namespaces cannot be entered again: %s", strerror(-left));
	if (r < 0)
		return r;
	if (pid < 0)
		return launch_job_fail(job, STEP_CLONE, (int)pid, NULL);
	if (context->error) {
		(void)waitpid((pid_t)pid, NULL, __WALL);
		return launch_job_fail(job, context->step, -context->error, context->detail);
	}
	job->pid = (pid_t)pid;
	return 0;
}

void launch_run(struct launch_thread *thread, struct launch_job *job)
{
	struct launch_shared *shared = thread->shared;
	struct sandbox sandbox = SANDBOX_NONE;
	struct root root = ROOT_NONE;
	autoclose int cgroup_fd = -EBADF;
	const char *detail = NULL;
	struct start start;
	int r;

	job->begun_ns = clock_now_ns();
	start_init(&start, shared, job);
	r = make_cgroup(thread, job, &cgroup_fd);
	if (r == 0)
		r = take_sandbox(shared, job, &sandbox);
	if (r == 0)
		r = take_identity(shared, job, &sandbox, &start.context);
	if (r == 0)
		r = start_open(&start, shared, job);
	if (r == 0) {
		r = root_open(&root, job->plan, &job->identity, &shared->images, &shared->pool.host, &detail);
		if (r < 0)
			launch_job_fail(job, STEP_ROOT, r, detail);
	}
	if (r == 0)
		r = clone_child(thread, job, &start, &sandbox, &root, cgroup_fd);
	job->done_ns = clock_now_ns();
	sandbox_finish(&sandbox);
	root_finish(&root);
	start_finish(&start);
	if (r < 0 && cgroup_fd >= 0)
		(void)cgroup_remove(shared->cgroup_fd, job->plan->cgroup);
}
