/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "syscall-group.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>

#include "key.h"
#include "str.h"

/* @container is what Docker's default profile allows a container without capabilities, less SYSCALL_HAZARDS and
 * modify_ldt; arguments are another matter (plan/restrictions.c). The others are systemd 257's, less the calls
 * that neither x86-64 nor arm64 has. */
const struct syscall_group syscall_groups[] = {
	{"@container", "What a site may call where SystemCallFilter= is not set",
	 "accept accept4 access adjtimex alarm arch_prctl bind brk cachestat capget capset chdir chmod "
	 "chown clock_adjtime clock_getres clock_gettime clock_nanosleep clone clone3 close "
	 "close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl "
	 "epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 execve execveat exit exit_group "
	 "faccessat faccessat2 fadvise64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 "
	 "fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat "
	 "fstatfs fsync ftruncate futex futex_requeue futex_wait futex_waitv futex_wake futimesat "
	 "get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid geteuid getgid "
	 "getgroups getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom "
	 "getresgid getresuid getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday "
	 "getuid getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch "
	 "io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit ioctl ioprio_get "
	 "ioprio_set kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown "
	 "lgetxattr link linkat listen listmount listxattr listxattrat llistxattr lremovexattr lseek "
	 "lsetxattr lstat madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir "
	 "mkdirat mknod mknodat mlock mlock2 mlockall mmap mprotect mq_getsetattr mq_notify mq_open "
	 "mq_timedreceive mq_timedsend mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync "
	 "munlock munlockall munmap name_to_handle_at nanosleep newfstatat open openat openat2 pause "
	 "personality pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll "
	 "ppoll prctl pread64 preadv preadv2 prlimit64 process_mrelease pselect6 pwrite64 pwritev "
	 "pwritev2 read readahead readlink readlinkat readv recvfrom recvmmsg recvmsg remap_file_pages "
	 "removexattr removexattrat rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction "
	 "rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait "
	 "rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity "
	 "sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity "
	 "sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget "
	 "semop semtimedop sendfile sendmmsg sendmsg sendto set_robust_list set_thread_area "
	 "set_tid_address setfsgid setfsuid setgid setgroups setitimer setns setpgid setpriority "
	 "setregid setresgid setresuid setreuid setrlimit setsid setsockopt setuid setxattr setxattrat "
	 "shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 socket socketpair splice "
	 "stat statfs statmount statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill "
	 "time timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create "
	 "timerfd_gettime timerfd_settime times tkill truncate umask uname unlink unlinkat unshare "
	 "uretprobe utime utimensat utimes vfork vmsplice wait4 waitid write writev"},
	{"@default", "What every program needs",
	 "@sandbox arch_prctl brk clock_getres clock_gettime clock_nanosleep execve exit exit_group "
	 "futex futex_waitv get_robust_list get_thread_area getegid geteuid getgid getgroups getpgid "
	 "getpgrp getpid getppid getrandom getresgid getresuid getrlimit getsid gettid gettimeofday "
	 "getuid lsm_get_self_attr lsm_list_modules membarrier mmap mprotect mseal munmap nanosleep "
	 "pause prlimit64 restart_syscall rseq rt_sigreturn sched_getaffinity sched_yield "
	 "set_robust_list set_thread_area set_tid_address time uretprobe"},
	{"@aio", "Asynchronous input and output",
	 "io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit io_uring_enter "
	 "io_uring_register io_uring_setup"},
	{"@basic-io", "Reading, writing, seeking, duplicating and closing descriptors",
	 "close close_range dup dup2 dup3 lseek pread64 preadv preadv2 pwrite64 pwritev pwritev2 read "
	 "readv write writev"},
	{"@chown", "Changing a file's owner", "chown fchown fchownat lchown"},
	{"@clock", "Changing the system's time", "adjtimex clock_adjtime clock_settime settimeofday"},
	{"@cpu-emulation", "Emulation of other processors", "modify_ldt"},
	{"@debug", "Debugging, tracing and performance counters",
	 "lookup_dcookie perf_event_open pidfd_getfd ptrace"},
	{"@file-system", "Files and folders: opening, making, renaming, removing, reading their properties",
	 "access chdir chmod close creat faccessat faccessat2 fallocate fchdir fchmod fchmodat "
	 "fchmodat2 fcntl fgetxattr file_getattr file_setattr flistxattr fremovexattr fsetxattr fstat "
	 "fstatfs ftruncate futimesat getcwd getdents getdents64 getxattr getxattrat inotify_add_watch "
	 "inotify_init inotify_init1 inotify_rm_watch lgetxattr link linkat listmount listxattr "
	 "listxattrat llistxattr lremovexattr lsetxattr lstat mkdir mkdirat mknod mknodat newfstatat "
	 "open openat openat2 readlink readlinkat removexattr removexattrat rename renameat renameat2 "
	 "rmdir setxattr setxattrat stat statfs statmount statx symlink symlinkat truncate unlink "
	 "unlinkat utime utimensat utimes"},
	{"@io-event", "Waiting in event loops",
	 "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait "
	 "epoll_wait_old eventfd eventfd2 poll ppoll pselect6 select"},
	{"@ipc", "Pipes, System V IPC, POSIX message queues, memory of other processes",
	 "memfd_create mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl "
	 "msgget msgrcv msgsnd pipe pipe2 process_madvise process_vm_readv process_vm_writev semctl "
	 "semget semop semtimedop shmat shmctl shmdt shmget"},
	{"@keyring", "The kernel's keyrings", "add_key keyctl request_key"},
	{"@memlock", "Locking memory", "mlock mlock2 mlockall munlock munlockall"},
	{"@module", "Kernel modules", "delete_module finit_module init_module"},
	{"@mount", "Mounting and unmounting",
	 "chroot fsconfig fsmount fsopen fspick mount mount_setattr move_mount open_tree pivot_root "
	 "umount2"},
	{"@network-io", "Sockets",
	 "accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg "
	 "recvmsg sendmmsg sendmsg sendto setsockopt shutdown socket socketpair"},
	{"@obsolete", "What is not used or not implemented any more",
	 "_sysctl afs_syscall create_module get_kernel_syms getpmsg putpmsg query_module security "
	 "sysfs tuxcall uselib ustat vserver"},
	{"@pkey", "Memory protection keys", "pkey_alloc pkey_free pkey_mprotect"},
	{"@privileged", "What takes root's capabilities",
	 "@chown @clock @module @raw-io @reboot @swap _sysctl acct bpf capset chroot fanotify_init "
	 "fanotify_mark nfsservctl open_by_handle_at pivot_root quotactl quotactl_fd setdomainname "
	 "setfsuid setgroups sethostname setresuid setreuid setuid vhangup"},
	{"@process", "Processes and threads, namespaces",
	 "capget clone clone3 execveat fork getrusage kill pidfd_open pidfd_send_signal prctl "
	 "rt_sigqueueinfo rt_tgsigqueueinfo setns tgkill times tkill unshare vfork wait4 waitid"},
	{"@raw-io", "Ports of hardware", "ioperm iopl"},
	{"@reboot", "Rebooting and kexec", "kexec_file_load kexec_load reboot"},
	{"@resources", "Priorities, scheduling, limits, memory policies",
	 "ioprio_set mbind migrate_pages move_pages sched_setaffinity sched_setattr sched_setparam "
	 "sched_setscheduler set_mempolicy set_mempolicy_home_node setpriority setrlimit"},
	{"@sandbox", "Sandboxes of a program's own",
	 "landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp"},
	{"@setuid", "Changing users and groups",
	 "setgid setgroups setregid setresgid setresuid setreuid setuid"},
	{"@signal", "Signals",
	 "rt_sigaction rt_sigpending rt_sigprocmask rt_sigsuspend rt_sigtimedwait sigaltstack signalfd "
	 "signalfd4"},
	{"@swap", "Swap areas", "swapoff swapon"},
	{"@sync", "Writing back to disk", "fdatasync fsync msync sync sync_file_range syncfs"},
	{"@system-service", "What services of a system commonly use",
	 "@aio @basic-io @chown @default @file-system @io-event @ipc @keyring @memlock @network-io "
	 "@process @resources @setuid @signal @sync @timer capget capset copy_file_range fadvise64 "
	 "flock get_mempolicy getcpu getpriority ioctl ioprio_get kcmp madvise mremap "
	 "name_to_handle_at personality readahead remap_file_pages sched_get_priority_max "
	 "sched_get_priority_min sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval "
	 "sched_yield sendfile setfsgid setfsuid setpgid setsid splice sysinfo tee umask uname "
	 "userfaultfd vmsplice"},
	{"@timer", "Timers",
	 "alarm getitimer setitimer timer_create timer_delete timer_getoverrun timer_gettime "
	 "timer_settime timerfd_create timerfd_gettime timerfd_settime times"},
	{"@known", "Every call that torpor knows by name",
	 "@container @system-service @cpu-emulation @debug @module @mount @obsolete @pkey @privileged "
	 "listns lsm_set_self_attr open_tree_attr syslog"},
	{0}};

/* Calls that came after libseccomp 2.5.4. Since Linux 5.1 a new call has one number everywhere. */
static const struct {
	const char *name;
	int number;
} newer[] = {
	{"statmount", 457},         {"listmount", 458},        {"lsm_get_self_attr", 459},
	{"lsm_set_self_attr", 460}, {"lsm_list_modules", 461}, {"mseal", 462},
	{"setxattrat", 463},        {"getxattrat", 464},       {"listxattrat", 465},
	{"removexattrat", 466},     {"open_tree_attr", 467},   {"file_getattr", 468},
	{"file_setattr", 469},      {"listns", 470},
#if defined(__x86_64__)
	{"uretprobe", 335},
#endif
};

#define N_NEWER (sizeof newer / sizeof *newer)

const struct syscall_group *syscall_group_find(const char *name)
{
	for (const struct syscall_group *group = syscall_groups; group->name; group++)
		if (str_equal(group->name, name))
			return group;
	return NULL;
}

bool syscall_next(const char **list, char ret[static SYSCALL_NAME_BYTES])
{
	const char *start = *list + strspn(*list, " ");
	size_t length = strcspn(start, " ");

	*list = start + length;
	if (length >= SYSCALL_NAME_BYTES)
		length = SYSCALL_NAME_BYTES - 1;
	memcpy(ret, start, length);
	ret[length] = '\0';
	return length > 0;
}

bool syscall_group_has(const struct syscall_group *group, const char *call)
{
	const char *at = group->calls;
	char name[SYSCALL_NAME_BYTES];

	while (syscall_next(&at, name))
		if (*name == '@' ? syscall_group_has(syscall_group_find(name), call) : str_equal(name, call))
			return true;
	return false;
}

int syscall_number(const char *name)
{
	int number = seccomp_syscall_resolve_name(name);

	if (number != __NR_SCMP_ERROR)
		return number >= 0 ? number : -ENOSYS;
	for (size_t i = 0; i < N_NEWER; i++)
		if (str_equal(newer[i].name, name))
			return newer[i].number;
	return -EINVAL;
}

const char *syscall_nearest(const char *name, char buf[static SYSCALL_NAME_BYTES])
{
	unsigned best = 3;
	char other[SYSCALL_NAME_BYTES];

	for (const struct syscall_group *group = syscall_groups; group->name; group++) {
		const char *at = *name == '@' ? group->name : group->calls;

		while (syscall_next(&at, other)) {
			unsigned distance = key_distance(name, other);

			if (distance < best) {
				best = distance;
				strcpy(buf, other);
			}
		}
	}
	return best < 3 ? buf : NULL;
}
