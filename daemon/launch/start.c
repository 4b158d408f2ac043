/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "cleanup.h"
#include "envfile.h"
#include "environment.h"
#include "label.h"
#include "sources.h"
#include "trusted-path.h"
#include "turn.h"

void start_init(struct start *start, const struct launch_shared *shared, const struct launch_job *job)
{
	*start = (struct start){.context = {.plan = job->plan,
					    .envp = (char *const *)job->plan->envp,
					    .turn_ns = job->long_turns ? TURN_LONGEST_NS : 0,
					    .table_end = shared->pool.host.first_high,
					    .fds = start->fds,
					    .channel_fd = shared->channel_fd,
					    .message = &start->message.header,
					    .mounts = &start->mounts,
					    .users_fd = -EBADF,
					    .root_fd = -EBADF},
				.stdio_fds = {-EBADF, -EBADF, -EBADF},
				.mounts = MOUNT_RUN_NONE};
	for (unsigned i = 0; i < SPEC_LISTENERS_MAX; i++)
		start->listener_fds[i] = -EBADF;
}

void start_finish(struct start *start)
{
	for (unsigned i = 0; i < SPEC_LISTENERS_MAX; i++)
		fd_close(start->listener_fds[i]);
	for (unsigned i = 0; i < 3; i++)
		fd_close(start->stdio_fds[i]);
	for (unsigned i = 0; i < start->n_mount_fds; i++)
		fd_close(start->mount_fds[i]);
	fd_close(start->mounts.place_fd);
	fd_close(start->mounts.null_fd);
	fd_close(start->mounts.folder_fd);
	fd_close(start->context.root_fd);
	fd_close(start->context.users_fd);
	free(start->mount_fds);
	free(start->envp);
	free(start->programs);
	free(start->label_text);
}

static int read_environment(struct start *start, struct launch_job *job)
{
	const char *file = NULL;
	int r;

	if (!job->plan->spec->environment_files)
		return 0;
	r = envfile_read_all(job->plan->envp, job->plan->spec->environment_files, &start->envp, &file);
	start->context.envp = start->envp;
	return r < 0 ? launch_job_fail(job, STEP_ENVIRONMENT_FILE, r, file) : 0;
}

/* Where the program may be: named without a '/', in each folder of the search path. One block of memory. */
static int find_programs(struct start *start, struct launch_job *job)
{
	const char *const *folders = job->plan->oci ? job->plan->oci->search_path : environment_search_path;
	const char *file = plan_argv(job->plan)[0];
	size_t n = 0, bytes = 0;
	char *text;

	for (const char *const *folder = folders; *folder; folder++, n++)
		bytes += strlen(*folder) + strlen(file) + 1;
	start->programs = calloc(1, (n + 1) * sizeof *start->programs + bytes);
	if (!start->programs)
		return launch_job_fail(job, STEP_EXEC, -ENOMEM, file);
	start->context.programs = start->programs;
	start->programs[0] = file;
	text = (char *)&start->programs[n + 1];
	for (size_t i = 0; i < n && !strchr(file, '/'); i++) {
		start->programs[i] = text;
		text = stpcpy(stpcpy(text, folders[i]), file) + 1;
	}
	return 0;
}

int start_move_high(int fd)
{
	int high = fd < 0 ? -errno : fcntl(fd, F_DUPFD_CLOEXEC, CHILD_FD_BASE);

	if (fd >= 0) {
		high = high < 0 ? -errno : high;
		fd_close(fd);
	}
	return high;
}

static int open_file(const struct output_spec *output)
{
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK;
	const char *name;
	autoclose int folder_fd = trusted_path_open_folder(output->path, &name);
	int fd;

	if (folder_fd < 0) {
		errno = -folder_fd;
		return -1;
	}
	if (output->kind == OUTPUT_APPEND)
		flags |= O_APPEND;
	if (output->kind == OUTPUT_TRUNCATE)
		flags |= O_TRUNC;
	fd = openat(folder_fd, name, flags, 0640);
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
		return start_move_high(fd);
	case OUTPUT_NULL:
		return fcntl(shared->null_fd, F_DUPFD_CLOEXEC, CHILD_FD_BASE);
	case OUTPUT_INHERIT:
		return fcntl(inherited, F_DUPFD_CLOEXEC, CHILD_FD_BASE);
	default:
		return start_move_high(open_file(output));
	}
}

static int open_stdio(struct start *start, const struct launch_shared *shared, struct launch_job *job)
{
	const struct site_spec *spec = job->plan->spec;
	const struct output_spec *out = &spec->standard_output, *err = &spec->standard_error;
	int *fds = start->stdio_fds;

	fds[0] = fcntl(shared->null_fd, F_DUPFD_CLOEXEC, CHILD_FD_BASE);
	if (fds[0] < 0)
		return launch_job_fail(job, STEP_OUTPUT, -errno, "/dev/null");
	fds[1] = open_output(shared, job->plan, out, LOG_INFO, STDOUT_FILENO);
	if (fds[1] < 0)
		return launch_job_fail(job, STEP_OUTPUT, -errno, out->path);
	fds[2] = open_output(shared, job->plan, err, LOG_INFO, fds[1]);
	return fds[2] < 0 ? launch_job_fail(job, STEP_OUTPUT, -errno, err->path) : 0;
}

/* Copies of the daemon's listeners into this thread's table. */
static int fetch_listeners(struct start *start, const struct launch_shared *shared, struct launch_job *job)
{
	for (unsigned i = 0; i < job->plan->spec->n_listeners; i++) {
		struct intercept_socket *socket = &start->message.sockets[i];
		socklen_t length = sizeof socket->cookie;
		int fd = start_move_high(pidfd_getfd(shared->self_fd, job->listener_fds[i], 0));

		start->listener_fds[i] = fd;
		if (fd < 0)
			return launch_job_fail(job, STEP_LISTENERS, fd, NULL);
		*socket = (struct intercept_socket){.number = job->listener_fds[i]};
		if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &socket->cookie, &length) < 0)
			return launch_job_fail(job, STEP_LISTENERS, -errno, NULL);
	}
	return 0;
}

/* The program's descriptors are 0 to 2 and its listeners from 3 (or 0, or none where it is to bind them). */
static void order_descriptors(struct start *start, const struct site_spec *spec)
{
	unsigned n = 0;

	start->fds[n++] = spec->handover == HANDOVER_STDIN ? start->listener_fds[0] : start->stdio_fds[0];
	start->fds[n++] = start->stdio_fds[1];
	start->fds[n++] = start->stdio_fds[2];
	for (unsigned i = 0; i < spec->n_listeners && handover_offers(spec->handover); i++)
		start->fds[n++] = start->listener_fds[i];
	start->context.n_fds = n;
}

/* What the child sends to the interceptor (see interceptor.h), but for the descriptor, which it has yet to
 * make.
 */
static void compose_message(struct start *start, const struct launch_job *job)
{
	const struct site_spec *spec = job->plan->spec;
	struct start_message *m = &start->message;
	struct cmsghdr *control = (struct cmsghdr *)(void *)m->control;
	size_t n = 0;

	m->hello = (struct intercept_hello){.id = job->id,
					    .site = job->site,
					    .n_listeners = spec->n_listeners,
					    .gate = job->gate_fd,
					    .inbox = job->inbox_fd};
	m->parts[n++] = (struct iovec){&m->hello, sizeof m->hello};
	m->parts[n++] = (struct iovec){m->sockets, spec->n_listeners * sizeof m->sockets[0]};
	for (unsigned i = 0; i < spec->n_listeners; i++) {
		const struct address *bind = listener_bind(&spec->listeners[i]);

		m->parts[n++] = (struct iovec){(void *)(uintptr_t)bind, sizeof *bind};
	}
	*control = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	m->header = (struct msghdr){.msg_iov = m->parts,
				    .msg_iovlen = n,
				    .msg_control = control,
				    .msg_controllen = CMSG_LEN(sizeof(int))};
	start->context.notify_fd = (int *)(void *)CMSG_DATA(control);
}

static void give_filter(struct child_context *context, unsigned listener_flags)
{
	const struct blob *blob = context->plan->syscalls;

	context->filter = (struct sock_fprog){
		.len = (unsigned short)(blob->data_bytes / sizeof(struct sock_filter)),
		.filter = blob->data,
	};
	context->filter_flags = context->plan->intercepts ? listener_flags : 0;
}

/* Those of the program; and one that the child has until execve(2), which takes it: whoever has neither
 * CAP_SYS_RESOURCE nor CAP_SYS_ADMIN can send no descriptor while all processes of its user together have more
 * of them under way than it may open (unix(7), ETOOMANYREFS), and the others may be another site's. Not one
 * that the bounding set has: root keeps it over execve(2). */
static void give_capabilities(struct child_context *context, uint64_t sending)
{
	const struct launch_plan *plan = context->plan;
	bool sends_as_user = plan->intercepts && !spec_has_private_users(plan->spec);
	uint64_t later = plan->ambient, one = sends_as_user ? sending & ~plan->bounding : 0, now;

	if (one & UINT64_C(1) << CAP_SYS_RESOURCE)
		one = UINT64_C(1) << CAP_SYS_RESOURCE; /* the lesser */
	now = later | one;
	for (unsigned i = 0; i < 2; i++)
		context->capabilities[i] =
			(struct __user_cap_data_struct){.effective = (uint32_t)(now >> (i * 32)),
							.permitted = (uint32_t)(now >> (i * 32)),
							.inheritable = (uint32_t)(later >> (i * 32))};
	context->keep_capabilities = now != 0;
}

static void give_oom_score(struct start *start, const struct launch_plan *plan)
{
	int n = snprintf(start->oom_score, sizeof start->oom_score, "%d", plan->spec->oom_score_adjust);

	if (plan->write_oom_score_adj)
		start->context.oom_score = (struct child_write){
			.path = "/proc/self/oom_score_adj", .text = start->oom_score, .bytes = (size_t)n};
}

static int give_labels(struct start *start, struct launch_job *job)
{
	int r = label_compose(job->plan->spec, &start->context, &start->label_text);

	return r < 0 ? launch_job_fail(job, STEP_LABEL, r, NULL) : 0;
}

int start_open(struct start *start, const struct launch_shared *shared, struct launch_job *job)
{
	const struct launch_plan *plan = job->plan;
	int r = read_environment(start, job);

	if (r == 0)
		r = find_programs(start, job);
	if (r == 0)
		r = give_labels(start, job);
	if (r == 0)
		r = open_stdio(start, shared, job);
	if (r == 0)
		r = fetch_listeners(start, shared, job);
	if (r == 0)
		r = sources_open(start, job);
	if (r < 0)
		return r;
	order_descriptors(start, plan->spec);
	compose_message(start, job);
	give_filter(&start->context, shared->listener_flags);
	give_capabilities(&start->context, shared->sending_capabilities);
	give_oom_score(start, plan);
	return 0;
}
