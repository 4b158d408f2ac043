/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf.h"
#include "build.h"
#include "docker-profile.h"
#include "key.h"
#include "syscall-group.h"
#include "syscalls.h"

#if defined(__x86_64__)
#define NATIVE  AUDIT_ARCH_X86_64
#define FOREIGN AUDIT_ARCH_I386
#else
#define NATIVE  AUDIT_ARCH_AARCH64
#define FOREIGN AUDIT_ARCH_ARM
#endif
#define X32_BIT 0x40000000
#define HIGH    (1ULL << 32)

#define ALLOW SECCOMP_RET_ALLOW
#define KILL  SECCOMP_RET_KILL_PROCESS

/* Docker's, but no site needs them; the last two have no code in any kernel. */
static const char left_out[] =
	"modify_ldt process_vm_readv process_vm_writev ptrace epoll_ctl_old epoll_wait_old";

/* Looked at by their arguments instead. */
static const char added[] = "clone3 setns unshare";

static bool in_list(const char *list, const char *name)
{
	char word[SYSCALL_NAME_BYTES];

	while (syscall_next(&list, word))
		if (strcmp(word, name) == 0)
			return true;
	return false;
}

/* The spec of a unit whose [Container] holds these lines. Its binds are its own: test-syscalls-intercepted.c.
 */
static struct site_spec *make_spec(const char *lines)
{
	static const struct lookup lookup = {{"/nonexistent", "/nonexistent", "/nonexistent"}};
	struct build_input input = {
		.lookup = &lookup, .name = "a", .path = "a.site", .n_units = 1, .fragment = true};
	struct site_spec *spec = NULL;
	struct unit *unit;
	struct diag diag;
	char text[4096];

	snprintf(text, sizeof text, "[Container]\nHandover=listen-fds\n%s\n", lines);
	assert_int_equal(unit_parse("a.site", text, strlen(text), &unit, &diag), 0);
	input.units = &unit;
	if (key_resolve(&site_keys, unit, &diag) < 0 || build_spec(&input, &spec, &diag) < 0)
		fail_msg("%s:%u: %s", diag.file, diag.line, diag.message);
	unit_unref(unit);
	return spec;
}

static struct blob *compile(struct blob_pool *pool, const char *lines)
{
	struct site_spec *spec = make_spec(lines);
	struct blob *blob = NULL;

	assert_int_equal(syscalls_compile(pool, spec, &blob), 0);
	spec_free(spec);
	return blob;
}

static uint32_t run(const struct blob *blob, const struct seccomp_data *data)
{
	return bpf_run(blob->data, blob->data_bytes / sizeof(struct sock_filter), data, NULL);
}

static uint32_t answer(const struct blob *blob, const char *name, uint64_t a, uint64_t b, uint64_t c,
		       uint64_t d)
{
	struct seccomp_data data = {.nr = syscall_number(name), .arch = NATIVE, .args = {a, b, c, d}};

	assert_true(data.nr >= 0);
	return run(blob, &data);
}

static uint32_t error(int number)
{
	return SECCOMP_RET_ERRNO | (uint32_t)number;
}

/* Every call by its name: allowed when it is Docker's, and else absent. */
static void test_default_list(void **state)
{
	struct blob_pool pool = {0};
	struct blob *blob = compile(&pool, "");
	unsigned allowed = 0;

	(void)state;
	for (int number = -1; number < 600; number++) {
		struct seccomp_data data = {.nr = number, .arch = NATIVE};
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
		bool expect = name && (in_list(docker, name) ? !in_list(left_out, name) : in_list(added, name));
		uint32_t got = run(blob, &data);

		if (name && strcmp(name, "setns") == 0)
			assert_int_equal(got, error(EPERM));
		else if (name && strcmp(name, "clone3") == 0)
			assert_int_equal(got, error(ENOSYS));
		else if (name && got != (expect ? ALLOW : error(ENOSYS)))
			fail_msg("%d %s: %#x", number, name, got);
		else if (!name && got == ALLOW) /* libseccomp does not know them yet: below */
			assert_true(number == 335 || number >= 457);
		allowed += got == ALLOW;
		free(name);
	}
#if defined(__x86_64__)
	/* Docker's 308 less the 6, with unshare. */
	assert_int_equal(allowed, 303);
#endif
	blob_unref(blob);
}

/* Those that libseccomp 2.5 has no number for. */
static void test_newer_calls(void **state)
{
	static const struct {
		const char *name;
		int number;
		bool allowed;
	} calls[] = {
		{"statmount", 457, true},       {"listmount", 458, true},     {"lsm_get_self_attr", 459, false},
		{"mseal", 462, true},           {"setxattrat", 463, true},    {"removexattrat", 466, true},
		{"open_tree_attr", 467, false}, {"file_setattr", 469, false}, {"listns", 470, false},
	};
	struct blob_pool pool = {0};
	struct blob *blob = compile(&pool, "");

	(void)state;
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		assert_int_equal(syscall_number(calls[i].name), calls[i].number);
		assert_int_equal(answer(blob, calls[i].name, 0, 0, 0, 0),
				 calls[i].allowed ? ALLOW : error(ENOSYS));
	}
	blob_unref(blob);
}

/* Other machines' calls, whatever their number, whatever the unit says. */
static void test_other_architectures(void **state)
{
	static const char *const units[] = {"", "SystemCallFilter=@known", "SystemCallFilter=~@swap",
					    "SystemCallErrorNumber=EPERM\nSystemCallFilter=@known",
					    "SystemCallArchitectures=native\nRestrictNamespaces=no"};
	struct blob_pool pool = {0};

	(void)state;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		struct blob *blob = compile(&pool, units[i]);

		for (int number = -1; number < 600; number++) {
			struct seccomp_data data = {.nr = number, .arch = FOREIGN};

			assert_int_equal(run(blob, &data), error(ENOSYS));
			data.arch = NATIVE;
			data.nr |= X32_BIT;
			assert_int_equal(run(blob, &data), error(ENOSYS));
		}
		blob_unref(blob);
	}
}

struct use {
	const char *lines; /* of the unit */
	const char *call;
	uint64_t args[4];
	uint32_t expect; /* an errno; ALLOW; KILL */
};

static uint32_t as_action(uint32_t expect)
{
	return expect == ALLOW || expect == KILL ? expect : error((int)expect);
}

static void check_uses(const struct use *uses, size_t n)
{
	struct blob_pool pool = {0};

	for (size_t i = 0; i < n; i++) {
		const struct use *use = &uses[i];
		struct blob *blob = compile(&pool, use->lines);
		uint32_t got = answer(blob, use->call, use->args[0], use->args[1], use->args[2], use->args[3]);

		if (got != as_action(use->expect))
			fail_msg("%s: %s(%#llx, %#llx, %#llx): %#x", use->lines, use->call,
				 (unsigned long long)use->args[0], (unsigned long long)use->args[1],
				 (unsigned long long)use->args[2], got);
		blob_unref(blob);
	}
	assert_null(pool.blobs);
}

#define CHECK(uses) check_uses(uses, sizeof(uses) / sizeof *(uses))

static void test_default_arguments(void **state)
{
	static const struct use uses[] = {
		{"", "clone", {0x1200011 /* fork */}, ALLOW},
		{"", "clone", {0x3d0f00 /* a thread */}, ALLOW},
		{"", "clone", {CLONE_NEWUSER | 17}, EPERM},
		{"", "clone", {CLONE_NEWNET | CLONE_NEWNS}, EPERM},
		{"", "clone", {HIGH | CLONE_NEWUSER}, EPERM},
		{"", "clone", {HIGH}, ALLOW},
		{"", "clone3", {0}, ENOSYS},
		{"", "unshare", {CLONE_FILES | CLONE_FS}, ALLOW},
		{"", "unshare", {CLONE_NEWTIME}, EPERM},
		{"", "unshare", {CLONE_FS | CLONE_NEWCGROUP}, EPERM},
		{"", "setns", {3, 0}, EPERM},
		{"", "setns", {3, CLONE_NEWNET}, EPERM},
		{"", "ioctl", {0, TIOCSTI}, EPERM},
		{"", "ioctl", {0, HIGH | TIOCSTI}, EPERM},
		{"", "ioctl", {0, TIOCLINUX}, EPERM},
		{"", "ioctl", {0, TIOCGWINSZ}, ALLOW},
		{"", "ioctl", {TIOCSTI, FIONREAD}, ALLOW},
		{"", "personality", {PER_LINUX}, ALLOW},
		{"", "personality", {0xffffffff}, ALLOW},
		{"", "personality", {UNAME26 | PER_LINUX32}, ALLOW},
		{"", "personality", {READ_IMPLIES_EXEC}, EPERM},
		{"", "personality", {ADDR_NO_RANDOMIZE}, EPERM},
		{"", "personality", {HIGH | ADDR_NO_RANDOMIZE}, EPERM},
		{"", "socket", {AF_UNIX}, ALLOW},
		{"", "socket", {AF_INET6}, ALLOW},
		{"", "socket", {AF_NETLINK}, ALLOW},
		{"", "socket", {AF_ALG}, EAFNOSUPPORT},
		{"", "socket", {HIGH | AF_ALG}, EAFNOSUPPORT},
		{"", "socket", {AF_VSOCK}, EAFNOSUPPORT},
		{"", "socket", {AF_PACKET}, EAFNOSUPPORT},
		{"", "mmap", {0, 1, PROT_WRITE | PROT_EXEC}, ALLOW},
		{"", "fchmodat", {0, 0, 04755}, ALLOW},
	};

	(void)state;
	CHECK(uses);
}

static void test_filter_lists(void **state)
{
#define SERVICE "SystemCallFilter=@system-service"
	static const struct use uses[] = {
		/* A list of what is allowed, with @default; what it leaves out kills, what is newer is absent.
		 */
		{"SystemCallFilter=read", "read", {0}, ALLOW},
		{"SystemCallFilter=read", "write", {0}, KILL},
		{"SystemCallFilter=read", "execve", {0}, ALLOW},
		{"SystemCallFilter=read", "mount", {0}, KILL},
		{"SystemCallFilter=read", "open_tree_attr", {0}, KILL},
		{"SystemCallFilter=read", "io_uring_setup", {0}, ENOSYS},
		{SERVICE, "clone", {CLONE_NEWUSER}, EPERM},
		{SERVICE, "clone3", {0}, ENOSYS},
		{SERVICE, "mbind", {0}, ALLOW},
		{SERVICE, "mount", {0}, KILL},
		/* It may be wider than @container, but its hazards stay out until their own name comes. */
		{SERVICE, "add_key", {0}, ENOSYS},
		{SERVICE, "process_vm_readv", {0}, ENOSYS},
		{SERVICE, "userfaultfd", {0}, ENOSYS},
		{SERVICE " @keyring", "keyctl", {0}, ENOSYS},
		{SERVICE " keyctl", "keyctl", {0}, ALLOW},
		{SERVICE " keyctl", "add_key", {0}, ENOSYS},
		{"SystemCallFilter=@known", "mount", {0}, ALLOW},
		{"SystemCallFilter=@known", "ptrace", {0}, ENOSYS},
		{"SystemCallFilter=@known", "bpf", {0}, ENOSYS},
		{"SystemCallFilter=@container chroot", "chroot", {0}, ALLOW},
		{"SystemCallFilter=@container chroot", "openat", {0}, ALLOW},
		{"SystemCallFilter=@container chroot", "mount", {0}, KILL},
		{"SystemCallFilter=@container ptrace", "ptrace", {0}, ALLOW},
		/* A list of what is denied, with @container. */
		{"SystemCallFilter=~@resources", "sched_setaffinity", {0}, KILL},
		{"SystemCallFilter=~@resources", "openat", {0}, ALLOW},
		{"SystemCallFilter=~@resources", "mount", {0}, ENOSYS},
		{"SystemCallFilter=~mount", "mount", {0}, KILL},
		{"SystemCallFilter=~", "mount", {0}, ENOSYS},
		{"SystemCallFilter=~", "openat", {0}, ALLOW},
		{"SystemCallFilter=~", "clone3", {0}, ENOSYS},
		/* Errors. */
		{"SystemCallFilter=~@resources:EACCES", "sched_setaffinity", {0}, EACCES},
		{"SystemCallFilter=~sync:0", "sync", {0}, 0},
		{"SystemCallFilter=~sync:kill", "sync", {0}, KILL},
		{"SystemCallErrorNumber=EPERM\nSystemCallFilter=~sync:kill", "sync", {0}, KILL},
		{"SystemCallErrorNumber=EPERM\nSystemCallFilter=~sync", "sync", {0}, EPERM},
		{"SystemCallErrorNumber=54\nSystemCallFilter=read", "write", {0}, 54},
		{"SystemCallErrorNumber=54", "mount", {0}, 54},
		{"SystemCallErrorNumber=54", "ptrace", {0}, 54},
		{"SystemCallErrorNumber=54", "clone3", {0}, ENOSYS},
		{"SystemCallErrorNumber=54", "socket", {AF_ALG}, EAFNOSUPPORT},
		{"SystemCallErrorNumber=kill", "mount", {0}, KILL},
		{"SystemCallErrorNumber=EPERM\nSystemCallErrorNumber=", "mount", {0}, ENOSYS},
		/* Several assignments: the first is the kind, later ones add and take away. */
		{"SystemCallFilter=read write\nSystemCallFilter=~write", "write", {0}, KILL},
		{"SystemCallFilter=read write\nSystemCallFilter=~write:EPERM", "write", {0}, EPERM},
		{"SystemCallFilter=read\nSystemCallFilter=write", "write", {0}, ALLOW},
		{"SystemCallFilter=~sync\nSystemCallFilter=sync", "sync", {0}, ALLOW},
		{"SystemCallFilter=~sync\nSystemCallFilter=chroot", "chroot", {0}, ALLOW},
		{"SystemCallFilter=~sync\nSystemCallFilter=@debug", "ptrace", {0}, ENOSYS},
		{"SystemCallFilter=~@sync:EPERM\nSystemCallFilter=~fsync:EIO", "fsync", {0}, EIO},
		{"SystemCallFilter=~@sync:EPERM\nSystemCallFilter=~fsync:EIO", "sync", {0}, EPERM},
		{"SystemCallFilter=read\nSystemCallFilter=\nSystemCallFilter=~sync", "openat", {0}, ALLOW},
		{"SystemCallFilter=read\nSystemCallFilter=", "sync", {0}, ALLOW},
		/* What arguments forbid, no list allows. */
		{"SystemCallFilter=ioctl", "ioctl", {0, TIOCSTI}, EPERM},
		{"SystemCallFilter=socket", "socket", {AF_ALG}, EAFNOSUPPORT},
		{"SystemCallFilter=~ioctl:EIO", "ioctl", {0, TIOCSTI}, EIO},
		{"SystemCallFilter=~clone3:EIO", "clone3", {0}, EIO},
	};

	(void)state;
	CHECK(uses);
}

static void test_restrictions(void **state)
{
#define FAMILIES "RestrictAddressFamilies="
#define SPACES   "RestrictNamespaces="
#define MEMORY   "MemoryDenyWriteExecute=yes"
#define SET_ID   "RestrictSUIDSGID=yes"
	static const struct use uses[] = {
		{FAMILIES "AF_UNIX AF_INET", "socket", {AF_UNIX}, ALLOW},
		{FAMILIES "AF_UNIX AF_INET", "socket", {AF_INET6}, EAFNOSUPPORT},
		{FAMILIES "AF_UNIX AF_INET", "socket", {AF_ALG}, EAFNOSUPPORT},
		{FAMILIES "AF_UNIX AF_INET", "socket", {200}, EAFNOSUPPORT},
		{FAMILIES "AF_PACKET", "socket", {AF_PACKET}, ALLOW},
		{FAMILIES "~AF_UNIX", "socket", {AF_UNIX}, EAFNOSUPPORT},
		{FAMILIES "~AF_UNIX", "socket", {AF_ALG}, EAFNOSUPPORT},
		{FAMILIES "~AF_UNIX", "socket", {AF_INET}, ALLOW},
		{FAMILIES "~\n" FAMILIES "AF_ALG", "socket", {AF_ALG}, ALLOW},
		{FAMILIES "~\n" FAMILIES "AF_ALG", "socket", {AF_PACKET}, EAFNOSUPPORT},
		{FAMILIES "none", "socket", {AF_UNIX}, EAFNOSUPPORT},
		{FAMILIES "none", "socketpair", {AF_UNIX}, ALLOW},
		{FAMILIES "none\n" FAMILIES "AF_LOCAL", "socket", {AF_UNIX}, ALLOW},
		{FAMILIES "AF_UNIX AF_INET\n" FAMILIES "~AF_INET", "socket", {AF_INET}, EAFNOSUPPORT},
		{FAMILIES "none\n" FAMILIES, "socket", {AF_INET}, ALLOW},
		{FAMILIES "none\n" FAMILIES, "socket", {AF_ALG}, EAFNOSUPPORT},

		{SPACES "no", "clone", {CLONE_NEWUSER}, ALLOW},
		{SPACES "no", "clone3", {0}, ALLOW},
		{SPACES "no", "setns", {3, 0}, ALLOW},
		{SPACES "no", "unshare", {CLONE_NEWNS}, ALLOW},
		{SPACES "user", "clone", {CLONE_NEWUSER}, ALLOW},
		{SPACES "user", "clone", {CLONE_NEWUSER | CLONE_NEWNS}, EPERM},
		{SPACES "user", "clone3", {0}, ENOSYS},
		{SPACES "user", "setns", {3, CLONE_NEWUSER}, ALLOW},
		{SPACES "user", "setns", {3, CLONE_NEWNET}, EPERM},
		{SPACES "user", "setns", {3, 0}, EPERM},
		{SPACES "user", "unshare", {CLONE_NEWTIME}, EPERM},
		{SPACES "user\n" SPACES "net", "unshare", {CLONE_NEWUSER | CLONE_NEWNET}, ALLOW},
		{SPACES "~user", "unshare", {CLONE_NEWUSER}, EPERM},
		{SPACES "~user", "unshare", {CLONE_NEWNS}, ALLOW},
		{SPACES "~time", "clone", {0x80}, ALLOW},
		{SPACES "~time", "clone3", {0}, ENOSYS},
		{SPACES "yes\n" SPACES "~user", "unshare", {CLONE_NEWNS}, EPERM},
		{SPACES "cgroup ipc\n" SPACES "~cgroup net", "unshare", {CLONE_NEWIPC}, ALLOW},
		{SPACES "cgroup ipc\n" SPACES "~cgroup net", "unshare", {CLONE_NEWCGROUP}, EPERM},
		{SPACES "no\n" SPACES, "unshare", {CLONE_NEWNS}, EPERM},
		{SPACES "no\nSystemCallFilter=~unshare:EIO", "unshare", {0}, EIO},

		{"LockPersonality=yes", "personality", {PER_LINUX}, ALLOW},
		{"LockPersonality=yes", "personality", {0xffffffff}, ALLOW},
		{"LockPersonality=yes", "personality", {PER_LINUX32}, EPERM},

		{MEMORY, "mmap", {0, 1, PROT_READ | PROT_EXEC}, ALLOW},
		{MEMORY, "mmap", {0, 1, PROT_READ | PROT_WRITE}, ALLOW},
		{MEMORY, "mmap", {0, 1, PROT_WRITE | PROT_EXEC}, EPERM},
		{MEMORY, "mprotect", {0, 1, PROT_READ}, ALLOW},
		{MEMORY, "mprotect", {0, 1, PROT_EXEC}, EPERM},
		{MEMORY, "pkey_mprotect", {0, 1, PROT_EXEC | PROT_READ}, EPERM},
		{MEMORY, "shmat", {0, 0, 0}, ALLOW},
		{MEMORY, "shmat", {0, 0, SHM_EXEC}, EPERM},

		{"RestrictRealtime=yes", "sched_setscheduler", {0, SCHED_OTHER}, ALLOW},
		{"RestrictRealtime=yes", "sched_setscheduler", {0, SCHED_BATCH | SCHED_RESET_ON_FORK}, ALLOW},
		{"RestrictRealtime=yes", "sched_setscheduler", {0, SCHED_FIFO}, EPERM},
		{"RestrictRealtime=yes", "sched_setscheduler", {0, SCHED_RR | SCHED_RESET_ON_FORK}, EPERM},
		{"RestrictRealtime=yes", "sched_setscheduler", {0, 6 /* SCHED_DEADLINE */}, EPERM},
		{"RestrictRealtime=yes", "sched_setattr", {0}, ENOSYS},
		{"RestrictRealtime=no", "sched_setattr", {0}, ALLOW},

		{SET_ID, "fchmod", {0, 0755}, ALLOW},
		{SET_ID, "fchmod", {0, 04755}, EPERM},
		{SET_ID, "fchmod", {0, 02755}, EPERM},
		{SET_ID, "fchmodat", {0, 0, 04000}, EPERM},
		{SET_ID, "fchmodat2", {0, 0, 02000}, EPERM},
		{SET_ID, "mkdirat", {0, 0, 02755}, EPERM},
		{SET_ID, "mknodat", {0, 0, 04755}, EPERM},
		{SET_ID, "openat", {0, 0, O_RDONLY, 04755}, ALLOW},
		{SET_ID, "openat", {0, 0, O_CREAT, 0644}, ALLOW},
		{SET_ID, "openat", {0, 0, O_CREAT, 04644}, EPERM},
		{SET_ID, "openat", {0, 0, O_TMPFILE | O_RDWR, 04644}, EPERM},
		{SET_ID, "openat", {0, 0, O_DIRECTORY, 04644}, ALLOW},
		{SET_ID, "openat2", {0}, ENOSYS},
#if defined(__x86_64__)
		{SET_ID, "chmod", {0, 04755}, EPERM},
		{SET_ID, "creat", {0, 02755}, EPERM},
		{SET_ID, "mkdir", {0, 02755}, EPERM},
		{SET_ID, "mknod", {0, 04755}, EPERM},
		{SET_ID, "open", {0, O_CREAT, 04644}, EPERM},
		{SET_ID, "open", {0, O_WRONLY, 04644}, ALLOW},
#endif
	};

	(void)state;
	CHECK(uses);
}

/* All keys at once, in a list that leaves most calls out, is still a small program. */
static void test_size(void **state)
{
	static const struct {
		const char *lines;
		size_t max;
	} units[] = {
		{"", 190},
		{"SystemCallFilter=@system-service", 220},
		{SET_ID "\n" MEMORY "\nRestrictRealtime=yes\nLockPersonality=yes\n" FAMILIES "~AF_INET\n" SPACES
			"user\n"
			"SystemCallFilter=@system-service\nSystemCallFilter=~@resources:EPERM",
		 350},
	};
	struct blob_pool pool = {0};

	(void)state;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		struct blob *blob = compile(&pool, units[i].lines);
		size_t n = blob->data_bytes / sizeof(struct sock_filter), steps = 0;

		/* What the kernel does when the program is installed: once through for each call. */
		for (int number = 0; number < 450; number++) {
			struct seccomp_data data = {.nr = number, .arch = NATIVE};

			bpf_run(blob->data, n, &data, &steps);
		}
		assert_true(n <= units[i].max);
		assert_true(steps <= 450 * 12);
		blob_unref(blob);
	}
}

/* The same words make one program, however the lines were cut; another word makes another. */
static void test_sharing(void **state)
{
	static const char *const different[] = {
		"",
		"SystemCallFilter=read",
		"SystemCallFilter=~sync",
		"SystemCallErrorNumber=EPERM",
		"RestrictAddressFamilies=AF_UNIX",
		"RestrictAddressFamilies=~AF_UNIX",
		"RestrictNamespaces=user",
		"LockPersonality=yes",
		"MemoryDenyWriteExecute=yes",
		"RestrictRealtime=yes",
		"RestrictSUIDSGID=yes",
	};
	struct blob *blobs[sizeof different / sizeof *different];
	struct blob_pool pool = {0};
	struct blob *one = compile(&pool, "SystemCallFilter=read write\nSystemCallFilter=~sync"),
		    *two = compile(&pool,
				   "SystemCallFilter=read\nSystemCallFilter=  write\nSystemCallFilter=~ sync ");

	(void)state;
	assert_ptr_equal(one, two);
	assert_int_equal(one->refs, 2);
	blob_unref(one);
	blob_unref(two);
	for (size_t i = 0; i < sizeof different / sizeof *different; i++) {
		blobs[i] = compile(&pool, different[i]);
		for (size_t k = 0; k < i; k++)
			assert_ptr_not_equal(blobs[i], blobs[k]);
	}
	for (size_t i = 0; i < sizeof different / sizeof *different; i++)
		blob_unref(blobs[i]);
	assert_null(pool.blobs);
}

/* libseccomp, as systemd uses it: one program for the list of calls, one for each kind of argument; the kernel
 * takes the strictest of their answers. */
struct reference {
	struct sock_filter code[8192];
	size_t n;
};

static void export_reference(scmp_filter_ctx context, struct reference *ret)
{
	int fd = memfd_create("bpf", 0);
	ssize_t n;

	assert_true(fd >= 0);
	assert_int_equal(seccomp_export_bpf(context, fd), 0);
	n = pread(fd, ret->code, sizeof ret->code, 0);
	assert_true(n > 0 && (size_t)n < sizeof ret->code);
	ret->n = (size_t)n / sizeof ret->code[0];
	close(fd);
	seccomp_release(context);
}

/* The constant answers, as the rules have them. */
static void reference_list(const struct site_spec *spec, struct reference *ret)
{
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	static struct syscalls syscalls;

	assert_non_null(context);
	assert_int_equal(seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS)), 0);
	syscalls_decide(spec, &syscalls);
	for (int number = 0; number < FILTER_CALLS_MAX; number++) {
		uint32_t action = syscalls.rules.check[number] ? ALLOW : syscalls.rules.action[number];

		if (action != error(ENOSYS))
			assert_int_equal(seccomp_rule_add_exact(context, action, number, 0), 0);
	}
	export_reference(context, ret);
}

static void refuse(scmp_filter_ctx context, uint32_t action, const char *call, unsigned argument, uint64_t mask,
		   uint64_t value)
{
	const struct scmp_arg_cmp compare = {argument, SCMP_CMP_MASKED_EQ, mask, value};
	int number = seccomp_syscall_resolve_name(call);

	assert_true(number >= 0);
	assert_int_equal(seccomp_rule_add_exact_array(context, action, number, 1, &compare), 0);
}

static void reference_arguments(const struct site_spec *spec, struct reference *ret)
{
	static const unsigned namespaces[] = {CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET,  CLONE_NEWNS,
					      CLONE_NEWPID,    CLONE_NEWUTS, CLONE_NEWUSER, CLONE_NEWTIME};
	const uint64_t whole = 0xffffffff;
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
	enum families_mode mode;
	uint64_t mask = address_family_mask(spec, &mode);

	assert_non_null(context);
	refuse(context, error(EPERM), "ioctl", 1, whole, TIOCSTI);
	refuse(context, error(EPERM), "ioctl", 1, whole, TIOCLINUX);
	for (unsigned family = 0; family < 64; family++)
		if ((mask >> family & 1) == (mode == FAMILIES_REFUSE))
			refuse(context, error(EAFNOSUPPORT), "socket", 0, whole, family);
	/* Above them a list of what is allowed refuses; the kernel does so always. */
	for (unsigned bit = 6; bit < 32 && mode == FAMILIES_ALLOW; bit++)
		refuse(context, error(EAFNOSUPPORT), "socket", 0, 1U << bit, 1U << bit);
	for (size_t i = 0; i < sizeof namespaces / sizeof *namespaces; i++) {
		if (spec->namespaces & namespaces[i])
			continue;
		refuse(context, error(EPERM), "unshare", 0, namespaces[i], namespaces[i]);
		if (namespaces[i] != CLONE_NEWTIME)
			refuse(context, error(EPERM), "clone", 0, namespaces[i], namespaces[i]);
		if (spec->namespaces)
			refuse(context, error(EPERM), "setns", 1, namespaces[i], namespaces[i]);
	}
	if (spec->namespaces)
		refuse(context, error(EPERM), "setns", 1, whole, 0);
	if (spec->memory_deny_write_execute) {
		refuse(context, error(EPERM), "mmap", 2, PROT_WRITE | PROT_EXEC, PROT_WRITE | PROT_EXEC);
		refuse(context, error(EPERM), "mprotect", 2, PROT_EXEC, PROT_EXEC);
		refuse(context, error(EPERM), "pkey_mprotect", 2, PROT_EXEC, PROT_EXEC);
		refuse(context, error(EPERM), "shmat", 2, SHM_EXEC, SHM_EXEC);
	}
	export_reference(context, ret);
}

static uint32_t reference_answer(const struct reference *list, const struct reference *arguments,
				 const struct seccomp_data *data)
{
	uint32_t action = bpf_run(list->code, list->n, data, NULL);

	return action == ALLOW ? bpf_run(arguments->code, arguments->n, data, NULL) : action;
}

static void test_against_libseccomp(void **state)
{
	static const char *const units[] = {
		"",
		"SystemCallFilter=@system-service",
		"SystemCallFilter=@basic-io @network-io\nSystemCallFilter=~@sync:EIO",
		"SystemCallFilter=~@resources @timer:EACCES\nRestrictAddressFamilies=~AF_INET",
		"SystemCallErrorNumber=1\nRestrictAddressFamilies=AF_UNIX\nRestrictNamespaces=user net",
		"MemoryDenyWriteExecute=yes\nRestrictNamespaces=~mnt\nSystemCallFilter=@known",
	};
	static const uint64_t values[] = {
		0,
		1,
		2,
		3,
		4,
		7,
		0x80,
		AF_ALG,
		AF_PACKET,
		AF_NETLINK,
		AF_INET6,
		TIOCSTI,
		TIOCLINUX,
		SHM_EXEC,
		CLONE_NEWNS,
		CLONE_NEWNET,
		CLONE_NEWPID,
		CLONE_NEWUSER,
		CLONE_NEWUSER | CLONE_NEWUTS,
		CLONE_NEWCGROUP,
		0xffffffffUL,
	};
	static struct reference list, arguments;
	struct blob_pool pool = {0};

	(void)state;
	for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
		struct site_spec *spec = make_spec(units[u]);
		struct blob *blob = compile(&pool, units[u]);

		reference_list(spec, &list);
		reference_arguments(spec, &arguments);
		for (int number = 0; number < FILTER_CALLS_MAX; number++) {
			/* libseccomp cannot say "none of these" of one argument. */
			if (number == syscall_number("personality"))
				continue;
			for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
				struct seccomp_data data = {.nr = number, .arch = NATIVE};

				for (int k = 0; k < 6; k++)
					data.args[k] =
						values[(i + (size_t)k * 5) % (sizeof values / sizeof *values)];
				if (run(blob, &data) != reference_answer(&list, &arguments, &data))
					fail_msg("%s: call %d, arguments from %#llx", units[u], number,
						 (unsigned long long)values[i]);
			}
		}
		blob_unref(blob);
		spec_free(spec);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_list),
		cmocka_unit_test(test_newer_calls),
		cmocka_unit_test(test_other_architectures),
		cmocka_unit_test(test_default_arguments),
		cmocka_unit_test(test_filter_lists),
		cmocka_unit_test(test_restrictions),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_sharing),
		cmocka_unit_test(test_against_libseccomp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
