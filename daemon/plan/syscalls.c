/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "syscalls.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/socket.h>

#include "filter.h"

#define ERRNO(number) (SECCOMP_RET_ERRNO | (number))

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

/* Calls that depend on an argument. A namespace of its own would give a site capabilities in it, and with them
 * the kernel's less tested parts; AF_ALG, AF_VSOCK and AF_PACKET reach past the container; TIOCSTI and
 * TIOCLINUX type into terminals. clone3 keeps its flags in memory, where a filter cannot look: ENOSYS makes
 * everybody use clone. */
static const struct {
	const char *name;
	struct filter_check check;
} checks[] = {
	{"clone",
	 {.argument = 0,
	  .match = FILTER_ANY_BIT,
	  .values = {CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
		     CLONE_NEWPID | CLONE_NEWNET},
	  .n_values = 1,
	  .matched = ERRNO(EPERM),
	  .otherwise = SECCOMP_RET_ALLOW}},
	{"ioctl",
	 {.argument = 1,
	  .match = FILTER_ANY_OF,
	  .values = {TIOCSTI, TIOCLINUX},
	  .n_values = 2,
	  .matched = ERRNO(EPERM),
	  .otherwise = SECCOMP_RET_ALLOW}},
	{"personality",
	 {.argument = 0,
	  .match = FILTER_ANY_OF,
	  .values = {PER_LINUX, PER_LINUX32, UNAME26, UNAME26 | PER_LINUX32, 0xffffffff /* asks */},
	  .n_values = 5,
	  .matched = SECCOMP_RET_ALLOW,
	  .otherwise = ERRNO(EPERM)}},
	{"socket",
	 {.argument = 0,
	  .match = FILTER_ANY_OF,
	  .values = {AF_ALG, AF_VSOCK, AF_PACKET},
	  .n_values = 3,
	  .matched = ERRNO(EAFNOSUPPORT),
	  .otherwise = SECCOMP_RET_ALLOW}},
};

/* The number of a call, or -1 where this architecture has none (or this libseccomp does not know it yet). */
static int call_number(const char *name)
{
	int number = seccomp_syscall_resolve_name(name);

	return number >= 0 && number < FILTER_CALLS_MAX ? number : -1;
}

int syscalls_compile_default(struct blob_pool *pool, struct blob **ret)
{
	static const char key[] = "syscalls: default";
	struct blob *blob = blob_find(pool, key, sizeof key - 1);
	struct filter_rules *rules;
	struct sock_filter *code = NULL;
	size_t n = 0;
	int number, r;

	if (blob) {
		*ret = blob;
		return 0;
	}
	rules = calloc(1, sizeof *rules);
	if (!rules)
		return -ENOMEM;
	rules->fallback = ERRNO(ENOSYS);
	for (size_t i = 0; i < FILTER_CALLS_MAX; i++)
		rules->action[i] = ERRNO(ENOSYS);
	for (size_t i = 0; i < sizeof allowed_calls / sizeof allowed_calls[0]; i++)
		if ((number = call_number(allowed_calls[i])) >= 0)
			rules->action[number] = SECCOMP_RET_ALLOW;
	for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
		if ((number = call_number(checks[i].name)) >= 0)
			rules->check[number] = &checks[i].check;
	r = filter_compile(rules, &code, &n);
	free(rules);
	if (r < 0)
		return r;
	*ret = blob_add(pool, key, sizeof key - 1, code, n * sizeof *code);
	return *ret ? 0 : -ENOMEM;
}
