/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "confine.h"

#include <errno.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY_BYTES (UINT64_C(1) << 30) /* zstd may want 128 MiB of it */
#define FILES        64

/* All that tar archives, decompression and the C library call. There is no way to another program, to a socket
 * or to a mount among them. */
static const int calls[] = {
	SCMP_SYS(brk),           SCMP_SYS(chdir),     SCMP_SYS(chmod),        SCMP_SYS(chown),
	SCMP_SYS(clock_gettime), SCMP_SYS(close),     SCMP_SYS(dup),          SCMP_SYS(exit),
	SCMP_SYS(exit_group),    SCMP_SYS(fchdir),    SCMP_SYS(fchmod),       SCMP_SYS(fchmodat),
	SCMP_SYS(fchown),        SCMP_SYS(fchownat),  SCMP_SYS(fcntl),        SCMP_SYS(fstat),
	SCMP_SYS(fstatfs),       SCMP_SYS(ftruncate), SCMP_SYS(futex),        SCMP_SYS(getcwd),
	SCMP_SYS(getdents64),    SCMP_SYS(getegid),   SCMP_SYS(geteuid),      SCMP_SYS(getgid),
	SCMP_SYS(getpid),        SCMP_SYS(getrandom), SCMP_SYS(gettimeofday), SCMP_SYS(getuid),
	SCMP_SYS(lchown),        SCMP_SYS(link),      SCMP_SYS(linkat),       SCMP_SYS(lseek),
	SCMP_SYS(lstat),         SCMP_SYS(madvise),   SCMP_SYS(mkdir),        SCMP_SYS(mkdirat),
	SCMP_SYS(mknod),         SCMP_SYS(mknodat),   SCMP_SYS(mmap),         SCMP_SYS(mprotect),
	SCMP_SYS(mremap),        SCMP_SYS(munmap),    SCMP_SYS(newfstatat),   SCMP_SYS(open),
	SCMP_SYS(openat),        SCMP_SYS(openat2),   SCMP_SYS(pread64),      SCMP_SYS(pwrite64),
	SCMP_SYS(read),          SCMP_SYS(readlink),  SCMP_SYS(readlinkat),   SCMP_SYS(rename),
	SCMP_SYS(renameat),      SCMP_SYS(rmdir),     SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),  SCMP_SYS(stat),      SCMP_SYS(statfs),       SCMP_SYS(statx),
	SCMP_SYS(symlink),       SCMP_SYS(symlinkat), SCMP_SYS(time),         SCMP_SYS(umask),
	SCMP_SYS(unlink),        SCMP_SYS(unlinkat),  SCMP_SYS(utimensat),    SCMP_SYS(write),
	SCMP_SYS(writev),
};

static int limit_calls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = filter ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < sizeof calls / sizeof *calls; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

static int limit_resources(void)
{
	const struct rlimit memory = {MEMORY_BYTES, MEMORY_BYTES}, files = {FILES, FILES}, core = {0, 0};

	if (setrlimit(RLIMIT_AS, &memory) < 0 || setrlimit(RLIMIT_NOFILE, &files) < 0 ||
	    setrlimit(RLIMIT_CORE, &core) < 0)
		return -errno;
	return 0;
}

/* What an archive of other owners' files needs; a whiteout, device 0:0, needs nothing (Linux 5.8). */
static int limit_capabilities(void)
{
	static const cap_value_t kept[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID};
	cap_t set = cap_init();
	int r = set && cap_set_flag(set, CAP_PERMITTED, sizeof kept / sizeof *kept, kept, CAP_SET) == 0 &&
				cap_set_flag(set, CAP_EFFECTIVE, sizeof kept / sizeof *kept, kept, CAP_SET) ==
					0 &&
				cap_set_proc(set) == 0
			? 0
			: -errno;

	cap_free(set);
	return r;
}

int confine(int folder_fd)
{
	int r;

	if (fchdir(folder_fd) < 0 || close_range(3, ~0U, 0) < 0 || unshare(CLONE_NEWNET | CLONE_NEWIPC) < 0 ||
	    chroot(".") < 0 || setgroups(0, NULL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	umask(0);
	r = limit_resources();
	if (r == 0)
		r = limit_capabilities();
	return r < 0 ? r : limit_calls();
}
