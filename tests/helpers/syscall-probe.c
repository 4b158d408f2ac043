/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tries from inside a container what a site must not do there, and prints what it got.
 *
 *     syscall-probe uses|calls...
 *
 * uses: calls in the way that programs use them, "NAME: ok" or "NAME: EPERM". calls: every number, with
 * arguments that do nothing, "NUMBER: ENOSYS". Each is tried by a process of its own: "SIGSYS" where that was
 * killed. With a listener in LISTEN_FDS, the answer goes to the first connection. */

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/openat2.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS_MAX 512
#define HANG_S    5
#define X32_BIT   0x40000000L
#define PAGE      4096

/* What a try returns: a value, or -1 and errno. Its argument is the row's. */
typedef long try_call(long argument);

static long try_i386(long number)
{
#if defined(__x86_64__)
	long result = number;

	__asm__ volatile("int $0x80" : "+a"(result) : : "r8", "r9", "r10", "r11", "memory");
	if ((int)result < 0) {
		errno = -(int)result;
		return -1;
	}
	return result;
#else
	(void)number;
	errno = ENOSYS;
	return -1;
#endif
}

static long try_number(long number)
{
	return syscall(number, 0, 0, 0, 0, 0, 0);
}

/* On a terminal of its own, which is the one that controls it: else the kernel refuses. */
static long try_terminal(long request)
{
	int text = 'x', master = posix_openpt(O_RDWR | O_NOCTTY), terminal;

	if (master < 0 || unlockpt(master) < 0)
		return -1;
	terminal = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	if (terminal < 0 || setsid() < 0 || ioctl(terminal, TIOCSCTTY, 0) < 0)
		return -1;
	return ioctl(terminal, (unsigned long)request, &text);
}

static long try_socket(long family)
{
	return socket((int)family,
		      family == AF_PACKET || family == AF_NETLINK ? SOCK_RAW
		      : family == AF_ALG                          ? SOCK_SEQPACKET
								  : SOCK_STREAM,
		      0);
}

static long try_socketpair(long family)
{
	int pair[2];

	return socketpair((int)family, SOCK_STREAM, 0, pair);
}

/* On a socket of its own, which a site shares with nobody: the call cannot tell that from a listener. */
static long try_option(long option)
{
	struct sock_filter code = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
	struct sock_fprog program = {1, &code};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || (option == SO_DETACH_FILTER &&
		       setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0))
		return -1;
	return setsockopt(fd, SOL_SOCKET, (int)option, &program, sizeof program);
}

/* The same number at another level. */
static long try_v6_only(long on)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), value = (int)on;

	return fd < 0 ? -1 : setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, sizeof value);
}

static long try_unshare(long flags)
{
	return unshare((int)flags);
}

static long try_clone(long flags)
{
	long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid < 0 ? -1 : waitpid((pid_t)pid, NULL, 0);
}

static long try_clone3(long flags)
{
	struct clone_args args = {.flags = (uint64_t)flags, .exit_signal = SIGCHLD};
	long pid = syscall(SYS_clone3, &args, sizeof args);

	if (pid == 0)
		_exit(0);
	return pid < 0 ? -1 : waitpid((pid_t)pid, NULL, 0);
}

/* No such descriptor: EBADF comes from the kernel. */
static long try_setns(long type)
{
	return setns(-1, (int)type);
}

static long try_personality(long persona)
{
	return personality((unsigned long)persona);
}

static void *map_page(int protection)
{
	return mmap(NULL, PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long try_mmap(long protection)
{
	return map_page((int)protection) == MAP_FAILED ? -1 : 0;
}

static long try_mprotect(long call)
{
	void *page = map_page(PROT_READ | PROT_WRITE);

	return page == MAP_FAILED ? -1 : syscall(call, page, PAGE, PROT_READ | PROT_EXEC, -1);
}

static long try_shmat(long flags)
{
	int id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0700), error;
	void *at;

	if (id < 0)
		return -1;
	at = shmat(id, NULL, (int)flags);
	error = errno;
	(void)shmctl(id, IPC_RMID, NULL);
	errno = error;
	return at == (void *)-1 ? -1 : 0;
}

static long try_scheduler(long policy)
{
	struct sched_param param = {.sched_priority = (policy & ~SCHED_RESET_ON_FORK) == SCHED_FIFO};

	return syscall(SYS_sched_setscheduler, 0, policy, &param);
}

static long try_setattr(long policy)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} attr = {.size = sizeof attr, .policy = (uint32_t)policy, .nice = getpriority(PRIO_PROCESS, 0)};

	return syscall(SYS_sched_setattr, 0, &attr, 0);
}

/* Files of their own, gone afterwards. */
static long in_folder(long (*act)(int folder, mode_t mode), mode_t mode)
{
	char path[] = "/tmp/syscall-probe-XXXXXX";
	int folder, error;
	long result;

	if (!mkdtemp(path))
		return -1;
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	result = act(folder, mode);
	error = errno;
	if (unlinkat(folder, "x", 0) < 0)
		(void)unlinkat(folder, "x", AT_REMOVEDIR);
	(void)rmdir(path);
	errno = error;
	return result;
}

static long make_openat(int folder, mode_t mode)
{
	return openat(folder, "x", O_WRONLY | O_CREAT | O_CLOEXEC, mode);
}

static long make_temporary(int folder, mode_t mode)
{
	return openat(folder, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, mode);
}

static long make_openat2(int folder, mode_t mode)
{
	struct open_how how = {.flags = O_WRONLY | O_CREAT, .mode = mode};

	return syscall(SYS_openat2, folder, "x", &how, sizeof how);
}

static long make_folder(int folder, mode_t mode)
{
	return mkdirat(folder, "x", mode);
}

static long make_node(int folder, mode_t mode)
{
	return mknodat(folder, "x", S_IFREG | mode, 0);
}

static long change_mode(int folder, mode_t mode)
{
	return make_openat(folder, 0644) < 0 ? -1 : fchmodat(folder, "x", mode, 0);
}

static long change_open_mode(int folder, mode_t mode)
{
	int fd = (int)make_openat(folder, 0644);

	return fd < 0 ? -1 : fchmod(fd, mode);
}

static long try_openat(long mode)
{
	return in_folder(make_openat, (mode_t)mode);
}

static long try_temporary(long mode)
{
	return in_folder(make_temporary, (mode_t)mode);
}

static long try_openat2(long mode)
{
	return in_folder(make_openat2, (mode_t)mode);
}

static long try_mkdir(long mode)
{
	return in_folder(make_folder, (mode_t)mode);
}

static long try_mknod(long mode)
{
	return in_folder(make_node, (mode_t)mode);
}

static long try_chmod(long mode)
{
	return in_folder(change_mode, (mode_t)mode);
}

static long try_fchmod(long mode)
{
	return in_folder(change_open_mode, (mode_t)mode);
}

static long try_ptrace(long request)
{
	return ptrace((enum __ptrace_request)request, 0, NULL, NULL);
}

static long try_read_memory(long call)
{
	char from = 'x', to;
	struct iovec local = {&to, 1}, remote = {&from, 1};

	return syscall(call, getpid(), &local, 1, &remote, 1, 0);
}

static long try_keyctl(long operation)
{
	return syscall(SYS_keyctl, operation, KEY_SPEC_SESSION_KEYRING, 0);
}

static long try_add_key(long keyring)
{
	return syscall(SYS_add_key, "user", "syscall-probe", "x", 1, keyring);
}

static long try_request_key(long keyring)
{
	return syscall(SYS_request_key, "user", "syscall-probe-none", NULL, keyring);
}

static long try_io_uring(long entries)
{
	char params[120] = {0};

	return syscall(SYS_io_uring_setup, entries, params);
}

static long try_userfaultfd(long flags)
{
	return syscall(SYS_userfaultfd, flags);
}

static long try_perf(long type)
{
	struct perf_event_attr attr = {.type = (uint32_t)type, .size = sizeof attr, .exclude_kernel = 1};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

/* BPF_MAP_CREATE of an array. */
static long try_bpf(long command)
{
	uint32_t attr[18] = {2, 4, 4, 1};

	return syscall(SYS_bpf, command, attr, sizeof attr);
}

static const struct {
	const char *name;
	try_call *call;
	long argument;
} uses[] = {
	{"i386 getpid", try_i386, 20},
	{"x32 getpid", try_number, X32_BIT | SYS_getpid},
	{"ioctl TIOCSTI", try_terminal, TIOCSTI},
	{"ioctl TIOCLINUX", try_terminal, TIOCLINUX},
	{"ioctl TIOCGPGRP", try_terminal, TIOCGPGRP},
	{"socket AF_UNIX", try_socket, AF_UNIX},
	{"socket AF_INET", try_socket, AF_INET},
	{"socket AF_INET6", try_socket, AF_INET6},
	{"socket AF_NETLINK", try_socket, AF_NETLINK},
	{"socket AF_PACKET", try_socket, AF_PACKET},
	{"socket AF_ALG", try_socket, AF_ALG},
	{"socket AF_VSOCK", try_socket, AF_VSOCK},
	{"socketpair AF_UNIX", try_socketpair, AF_UNIX},
	{"setsockopt SO_ATTACH_FILTER", try_option, SO_ATTACH_FILTER},
	{"setsockopt SO_DETACH_FILTER", try_option, SO_DETACH_FILTER},
	{"setsockopt SO_LOCK_FILTER", try_option, SO_LOCK_FILTER},
	{"setsockopt SO_KEEPALIVE", try_option, SO_KEEPALIVE},
	{"setsockopt IPV6_V6ONLY", try_v6_only, 1},
	{"unshare files", try_unshare, CLONE_FILES},
	{"unshare user", try_unshare, CLONE_NEWUSER},
	{"unshare user, cgroup", try_unshare, CLONE_NEWUSER | CLONE_NEWCGROUP},
	{"unshare user, ipc", try_unshare, CLONE_NEWUSER | CLONE_NEWIPC},
	{"unshare user, mnt", try_unshare, CLONE_NEWUSER | CLONE_NEWNS},
	{"unshare user, net", try_unshare, CLONE_NEWUSER | CLONE_NEWNET},
	{"unshare user, pid", try_unshare, CLONE_NEWUSER | CLONE_NEWPID},
	{"unshare user, time", try_unshare, CLONE_NEWUSER | CLONE_NEWTIME},
	{"unshare user, uts", try_unshare, CLONE_NEWUSER | CLONE_NEWUTS},
	{"clone", try_clone, 0},
	{"clone user", try_clone, CLONE_NEWUSER},
	{"clone user, net", try_clone, CLONE_NEWUSER | CLONE_NEWNET},
	{"clone3", try_clone3, 0},
	{"clone3 user", try_clone3, CLONE_NEWUSER},
	{"setns any", try_setns, 0},
	{"setns net", try_setns, CLONE_NEWNET},
	{"personality asked", try_personality, 0xffffffff},
	{"personality PER_LINUX32", try_personality, PER_LINUX32},
	{"personality ADDR_NO_RANDOMIZE", try_personality, ADDR_NO_RANDOMIZE},
	{"personality READ_IMPLIES_EXEC", try_personality, READ_IMPLIES_EXEC},
	{"mmap executable", try_mmap, PROT_READ | PROT_EXEC},
	{"mmap writable and executable", try_mmap, PROT_WRITE | PROT_EXEC},
	{"mprotect executable", try_mprotect, SYS_mprotect},
	{"pkey_mprotect executable", try_mprotect, SYS_pkey_mprotect},
	{"shmat", try_shmat, 0},
	{"shmat executable", try_shmat, SHM_EXEC},
	{"sched_setscheduler SCHED_BATCH", try_scheduler, SCHED_BATCH | SCHED_RESET_ON_FORK},
	{"sched_setscheduler SCHED_FIFO", try_scheduler, SCHED_FIFO},
	{"sched_setattr", try_setattr, SCHED_OTHER},
	{"openat 0755", try_openat, 0755},
	{"openat 04755", try_openat, 04755},
	{"openat O_TMPFILE 02755", try_temporary, 02755},
	{"openat2 0755", try_openat2, 0755},
	{"mkdirat 02755", try_mkdir, 02755},
	{"mknodat 04755", try_mknod, 04755},
	{"fchmodat 04755", try_chmod, 04755},
	{"fchmod 02755", try_fchmod, 02755},
	{"ptrace", try_ptrace, PTRACE_TRACEME},
	{"process_vm_readv", try_read_memory, SYS_process_vm_readv},
	{"process_vm_writev", try_read_memory, SYS_process_vm_writev},
	{"keyctl", try_keyctl, KEYCTL_GET_KEYRING_ID},
	{"add_key", try_add_key, KEY_SPEC_PROCESS_KEYRING},
	{"request_key", try_request_key, 0},
	{"io_uring_setup", try_io_uring, 1},
	{"userfaultfd", try_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */},
	{"perf_event_open", try_perf, PERF_TYPE_SOFTWARE},
	{"bpf", try_bpf, 0},
};

/* What a process of its own gets. */
static void print_answer(FILE *out, try_call *call, long argument)
{
	pid_t pid;
	int status;

	(void)fflush(out);
	pid = fork();
	if (pid == 0) {
		(void)alarm(HANG_S);
		errno = 0;
		_exit(call(argument) < 0 ? errno : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		fprintf(out, "not tried: %s\n", strerrorname_np(errno));
	else if (WIFSIGNALED(status))
		fprintf(out, "SIG%s\n", sigabbrev_np(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == 0)
		fprintf(out, "ok\n");
	else if (strerrorname_np(WEXITSTATUS(status)))
		fprintf(out, "%s\n", strerrorname_np(WEXITSTATUS(status)));
	else
		fprintf(out, "%d\n", WEXITSTATUS(status));
}

static void print_uses(FILE *out)
{
	for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
		fprintf(out, "%s: ", uses[i].name);
		print_answer(out, uses[i].call, uses[i].argument);
	}
}

/* No pointer, no descriptor, no flags of anything. */
static long try_nonsense(long number)
{
	return syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
}

/* Calls that do something to the machine or to this process whatever their arguments, or wait. */
static bool harmful(long number)
{
	return number == SYS_sync
#if defined(__x86_64__)
	       || number == SYS_vfork || number == SYS_pause
#endif
		;
}

static void print_calls(FILE *out)
{
	for (long number = 0; number < CALLS_MAX; number++) {
		if (harmful(number))
			continue;
		fprintf(out, "%ld: ", number);
		print_answer(out, try_nonsense, number);
	}
}

int main(int argc, char **argv)
{
	FILE *out = stdout;

	if (getenv("LISTEN_FDS")) {
		int fd = accept4(3, NULL, NULL, SOCK_CLOEXEC);

		out = fd < 0 ? NULL : fdopen(fd, "w");
		if (!out)
			return 1;
	}
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "uses") == 0)
			print_uses(out);
		else if (strcmp(argv[i], "calls") == 0)
			print_calls(out);
		else
			return 2;
	}
	return fclose(out) == 0 ? 0 : 1;
}
