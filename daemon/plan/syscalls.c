/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "syscalls.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

/* What Docker's default profile allows a container without capabilities, less what a site never needs: ptrace
 * and process_vm_*, io_uring, keyrings, file handles, clock adjusting, modify_ldt. */
static const char *const allowed_calls[] = {
	/* Files. */
	"access",
	"chdir",
	"chmod",
	"chown",
	"close",
	"close_range",
	"copy_file_range",
	"creat",
	"dup",
	"dup2",
	"dup3",
	"faccessat",
	"faccessat2",
	"fadvise64",
	"fallocate",
	"fchdir",
	"fchmod",
	"fchmodat",
	"fchmodat2",
	"fchown",
	"fchownat",
	"fcntl",
	"fdatasync",
	"fgetxattr",
	"flistxattr",
	"flock",
	"fremovexattr",
	"fsetxattr",
	"fstat",
	"fstatfs",
	"fsync",
	"ftruncate",
	"futimesat",
	"getcwd",
	"getdents",
	"getdents64",
	"getxattr",
	"inotify_add_watch",
	"inotify_init",
	"inotify_init1",
	"inotify_rm_watch",
	"ioctl",
	"lchown",
	"lgetxattr",
	"link",
	"linkat",
	"listxattr",
	"llistxattr",
	"lremovexattr",
	"lseek",
	"lsetxattr",
	"lstat",
	"mkdir",
	"mkdirat",
	"mknod",
	"mknodat",
	"newfstatat",
	"open",
	"openat",
	"openat2",
	"pread64",
	"preadv",
	"preadv2",
	"pwrite64",
	"pwritev",
	"pwritev2",
	"read",
	"readahead",
	"readlink",
	"readlinkat",
	"readv",
	"removexattr",
	"rename",
	"renameat",
	"renameat2",
	"rmdir",
	"sendfile",
	"setxattr",
	"splice",
	"stat",
	"statfs",
	"statx",
	"symlink",
	"symlinkat",
	"sync",
	"sync_file_range",
	"syncfs",
	"tee",
	"truncate",
	"umask",
	"unlink",
	"unlinkat",
	"utime",
	"utimensat",
	"utimes",
	"vmsplice",
	"write",
	"writev",
	/* Waiting. */
	"epoll_create",
	"epoll_create1",
	"epoll_ctl",
	"epoll_pwait",
	"epoll_pwait2",
	"epoll_wait",
	"eventfd",
	"eventfd2",
	"pause",
	"poll",
	"ppoll",
	"pselect6",
	"select",
	"signalfd",
	"signalfd4",
	"timerfd_create",
	"timerfd_gettime",
	"timerfd_settime",
	"io_cancel",
	"io_destroy",
	"io_getevents",
	"io_pgetevents",
	"io_setup",
	"io_submit",
	/* Sockets, pipes, queues. */
	"accept",
	"accept4",
	"bind",
	"connect",
	"getpeername",
	"getsockname",
	"getsockopt",
	"listen",
	"recvfrom",
	"recvmmsg",
	"recvmsg",
	"sendmmsg",
	"sendmsg",
	"sendto",
	"setsockopt",
	"shutdown",
	"socket",
	"socketpair",
	"pipe",
	"pipe2",
	"mq_getsetattr",
	"mq_notify",
	"mq_open",
	"mq_timedreceive",
	"mq_timedsend",
	"mq_unlink",
	"msgctl",
	"msgget",
	"msgrcv",
	"msgsnd",
	"semctl",
	"semget",
	"semop",
	"semtimedop",
	"shmat",
	"shmctl",
	"shmdt",
	"shmget",
	/* Memory. */
	"brk",
	"cachestat",
	"madvise",
	"map_shadow_stack",
	"membarrier",
	"memfd_create",
	"memfd_secret",
	"mincore",
	"mlock",
	"mlock2",
	"mlockall",
	"mmap",
	"mprotect",
	"mremap",
	"mseal",
	"msync",
	"munlock",
	"munlockall",
	"munmap",
	"pkey_alloc",
	"pkey_free",
	"pkey_mprotect",
	"process_mrelease",
	"remap_file_pages",
	/* Processes and threads. */
	"arch_prctl",
	"capget",
	"capset",
	"execve",
	"execveat",
	"exit",
	"exit_group",
	"fork",
	"futex",
	"futex_requeue",
	"futex_wait",
	"futex_waitv",
	"futex_wake",
	"get_robust_list",
	"get_thread_area",
	"getcpu",
	"getegid",
	"geteuid",
	"getgid",
	"getgroups",
	"getpgid",
	"getpgrp",
	"getpid",
	"getppid",
	"getpriority",
	"getresgid",
	"getresuid",
	"getrlimit",
	"getrusage",
	"getsid",
	"gettid",
	"getuid",
	"ioprio_get",
	"ioprio_set",
	"kill",
	"pidfd_open",
	"pidfd_send_signal",
	"prctl",
	"prlimit64",
	"restart_syscall",
	"rseq",
	"rt_sigaction",
	"rt_sigpending",
	"rt_sigprocmask",
	"rt_sigqueueinfo",
	"rt_sigreturn",
	"rt_sigsuspend",
	"rt_sigtimedwait",
	"rt_tgsigqueueinfo",
	"sched_get_priority_max",
	"sched_get_priority_min",
	"sched_getaffinity",
	"sched_getattr",
	"sched_getparam",
	"sched_getscheduler",
	"sched_rr_get_interval",
	"sched_setaffinity",
	"sched_setattr",
	"sched_setparam",
	"sched_setscheduler",
	"sched_yield",
	"set_robust_list",
	"set_thread_area",
	"set_tid_address",
	"setfsgid",
	"setfsuid",
	"setgid",
	"setgroups",
	"setpgid",
	"setpriority",
	"setregid",
	"setresgid",
	"setresuid",
	"setreuid",
	"setrlimit",
	"setsid",
	"setuid",
	"sigaltstack",
	"tgkill",
	"tkill",
	"vfork",
	"wait4",
	"waitid",
	/* Sandboxes of a program's own. */
	"landlock_add_rule",
	"landlock_create_ruleset",
	"landlock_restrict_self",
	"seccomp",
	/* Time and the system. */
	"alarm",
	"clock_getres",
	"clock_gettime",
	"clock_nanosleep",
	"getitimer",
	"getrandom",
	"gettimeofday",
	"nanosleep",
	"setitimer",
	"sysinfo",
	"time",
	"timer_create",
	"timer_delete",
	"timer_getoverrun",
	"timer_gettime",
	"timer_settime",
	"times",
	"uname",
};

/* A namespace of its own would give a site capabilities in it, and with them the kernel's less tested parts. */
#define CLONE_NAMESPACES                                                                                       \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |          \
	 CLONE_NEWNET)

static const unsigned allowed_personalities[] = {PER_LINUX, PER_LINUX32, 0x20000 /* UNAME26 */, 0xffffffff};
static const int refused_families[] = {AF_ALG, AF_VSOCK, AF_PACKET};
static const unsigned refused_ioctls[] = {TIOCSTI, TIOCLINUX};

static int add_allowed(scmp_filter_ctx ctx)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof allowed_calls / sizeof allowed_calls[0]; i++) {
		int number = seccomp_syscall_resolve_name(allowed_calls[i]);

		/* Unknown to this libseccomp, or not a call of this architecture. */
		if (number < 0)
			continue;
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, number, 0);
	}
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NAMESPACES, 0));
	for (size_t i = 0; r == 0 && i < sizeof allowed_personalities / sizeof allowed_personalities[0]; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(personality), 1,
				     SCMP_A0(SCMP_CMP_EQ, allowed_personalities[i]));
	return r;
}

/* The kernel takes these arguments as unsigned int: what the upper half holds must not matter. */
static int add_refused(scmp_filter_ctx ctx)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof refused_ioctls / sizeof refused_ioctls[0]; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffU, refused_ioctls[i]));
	for (size_t i = 0; r == 0 && i < sizeof refused_families / sizeof refused_families[0]; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffffU, (unsigned)refused_families[i]));
	return r;
}

/* The finished program as an array of struct sock_filter. */
static int export_program(scmp_filter_ctx ctx, void **ret, size_t *ret_bytes)
{
	autoclose int fd = memfd_create("seccomp", MFD_CLOEXEC);
	autofree char *data = NULL;
	struct stat st;
	int r;

	if (fd < 0)
		return -errno;
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	data = malloc((size_t)st.st_size);
	if (!data)
		return -ENOMEM;
	if (pread(fd, data, (size_t)st.st_size, 0) != st.st_size)
		return -EIO;
	*ret = steal_ptr(data);
	*ret_bytes = (size_t)st.st_size;
	return 0;
}

static int compile(struct blob_pool *pool, const char *key, uint32_t default_action,
		   int (*add)(scmp_filter_ctx), struct blob **ret)
{
	struct blob *blob = blob_find(pool, key, strlen(key));
	scmp_filter_ctx ctx;
	void *data = NULL;
	size_t bytes = 0;
	int r;

	if (blob) {
		*ret = blob;
		return 0;
	}
	ctx = seccomp_init(default_action);
	if (!ctx)
		return -ENOMEM;
	/* Calls by another ABI (i386, x32) are refused, and the search is a tree, not a list. */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = add(ctx);
	if (r == 0)
		r = export_program(ctx, &data, &bytes);
	seccomp_release(ctx);
	if (r < 0)
		return r;
	*ret = blob_add(pool, key, strlen(key), data, bytes);
	return *ret ? 0 : -ENOMEM;
}

int syscalls_compile_default(struct blob_pool *pool, struct blob *ret[static SYSCALL_PROGRAMS])
{
	struct blob *refused = NULL, *allowed = NULL;
	int r = compile(pool, "syscalls: refused", SCMP_ACT_ALLOW, add_refused, &refused);

	if (r == 0)
		r = compile(pool, "syscalls: allowed", SCMP_ACT_ERRNO(ENOSYS), add_allowed, &allowed);
	if (r < 0) {
		blob_unref(refused);
		return r;
	}
	ret[0] = refused;
	ret[1] = allowed;
	return 0;
}
