/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "restrictions.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "syscall-group.h"
#include "syscalls.h"

#define ALLOW       SECCOMP_RET_ALLOW
#define REFUSE      SYSCALLS_ERRNO(EPERM)
#define TESTS(of)   of, sizeof of / sizeof *of
#define SET_ID_BITS (S_ISUID | S_ISGID)

/* They type into terminals (CVE-2017-5226). */
static const struct filter_test terminal[] = {
	{1, FILTER_EQUALS, TIOCSTI, REFUSE},
	{1, FILTER_EQUALS, TIOCLINUX, REFUSE},
};

/* The filter of a listener is torpord's, which shares the socket: a site would let in whom its unit keeps out.
 */
static const struct filter_test socket_filters[] = {
	{1, FILTER_DIFFERS, SOL_SOCKET, ALLOW},       {2, FILTER_EQUALS, SO_ATTACH_FILTER, REFUSE},
	{2, FILTER_EQUALS, SO_DETACH_FILTER, REFUSE}, {2, FILTER_EQUALS, SO_ATTACH_BPF, REFUSE},
	{2, FILTER_EQUALS, SO_LOCK_FILTER, REFUSE},
};

/* Those that Docker lets in; READ_IMPLIES_EXEC and ADDR_NO_RANDOMIZE weaken memory protection. */
static const struct filter_test personalities[] = {
	{0, FILTER_EQUALS, PER_LINUX, ALLOW},  {0, FILTER_EQUALS, PER_LINUX32, ALLOW},
	{0, FILTER_EQUALS, UNAME26, ALLOW},    {0, FILTER_EQUALS, UNAME26 | PER_LINUX32, ALLOW},
	{0, FILTER_EQUALS, 0xffffffff, ALLOW}, /* asks */
};
static const struct filter_test personality_locked[] = {
	{0, FILTER_EQUALS, PER_LINUX, ALLOW},
	{0, FILTER_EQUALS, 0xffffffff, ALLOW},
};

static const struct filter_test map_both[] = {
	{2, FILTER_NO_BIT, PROT_EXEC, ALLOW},
	{2, FILTER_ANY_BIT, PROT_WRITE, REFUSE},
};
static const struct filter_test protect_exec[] = {{2, FILTER_ANY_BIT, PROT_EXEC, REFUSE}};
static const struct filter_test attach_exec[] = {{2, FILTER_ANY_BIT, SHM_EXEC, REFUSE}};

static const struct filter_test policies[] = {
	{1, FILTER_EQUALS, SCHED_OTHER, ALLOW},
	{1, FILTER_EQUALS, SCHED_BATCH, ALLOW},
	{1, FILTER_EQUALS, SCHED_IDLE, ALLOW},
	{1, FILTER_EQUALS, SCHED_OTHER | SCHED_RESET_ON_FORK, ALLOW},
	{1, FILTER_EQUALS, SCHED_BATCH | SCHED_RESET_ON_FORK, ALLOW},
	{1, FILTER_EQUALS, SCHED_IDLE | SCHED_RESET_ON_FORK, ALLOW},
};

static const struct filter_test mode_second[] = {{1, FILTER_ANY_BIT, SET_ID_BITS, REFUSE}};
static const struct filter_test mode_third[] = {{2, FILTER_ANY_BIT, SET_ID_BITS, REFUSE}};
/* Without these flags there is no mode: whatever is in its place means nothing. */
static const struct filter_test open_mode[] = {
	{1, FILTER_NO_BIT, O_CREAT | (O_TMPFILE & ~O_DIRECTORY), ALLOW},
	{2, FILTER_ANY_BIT, SET_ID_BITS, REFUSE},
};
static const struct filter_test openat_mode[] = {
	{2, FILTER_NO_BIT, O_CREAT | (O_TMPFILE & ~O_DIRECTORY), ALLOW},
	{3, FILTER_ANY_BIT, SET_ID_BITS, REFUSE},
};

#define ALWAYS       0
#define WHEN(member) offsetof(struct site_spec, member)

/* In the order in which they apply: a later row for the same call takes the place of an earlier one. Calls that
 * keep in memory what is to be looked at fail with ENOSYS, so that programs take the older one. */
static const struct {
	const char *call;
	size_t when; /* the bool of the spec that asks for it */
	struct filter_check check;
} rows[] = {
	{"ioctl", ALWAYS, {TESTS(terminal), ALLOW}},
	{"setsockopt", ALWAYS, {TESTS(socket_filters), ALLOW}},
	{"personality", ALWAYS, {TESTS(personalities), REFUSE}},
	{"personality", WHEN(lock_personality), {TESTS(personality_locked), REFUSE}},
	{"mmap", WHEN(memory_deny_write_execute), {TESTS(map_both), ALLOW}},
	{"mprotect", WHEN(memory_deny_write_execute), {TESTS(protect_exec), ALLOW}},
	{"pkey_mprotect", WHEN(memory_deny_write_execute), {TESTS(protect_exec), ALLOW}},
	{"shmat", WHEN(memory_deny_write_execute), {TESTS(attach_exec), ALLOW}},
	{"sched_setscheduler", WHEN(restrict_realtime), {TESTS(policies), REFUSE}},
	{"sched_setattr", WHEN(restrict_realtime), {.otherwise = SYSCALLS_ERRNO(ENOSYS)}},
	{"chmod", WHEN(restrict_suid_sgid), {TESTS(mode_second), ALLOW}},
	{"fchmod", WHEN(restrict_suid_sgid), {TESTS(mode_second), ALLOW}},
	{"fchmodat", WHEN(restrict_suid_sgid), {TESTS(mode_third), ALLOW}},
	{"fchmodat2", WHEN(restrict_suid_sgid), {TESTS(mode_third), ALLOW}},
	{"mkdir", WHEN(restrict_suid_sgid), {TESTS(mode_second), ALLOW}},
	{"mkdirat", WHEN(restrict_suid_sgid), {TESTS(mode_third), ALLOW}},
	{"mknod", WHEN(restrict_suid_sgid), {TESTS(mode_second), ALLOW}},
	{"mknodat", WHEN(restrict_suid_sgid), {TESTS(mode_third), ALLOW}},
	{"creat", WHEN(restrict_suid_sgid), {TESTS(mode_second), ALLOW}},
	{"open", WHEN(restrict_suid_sgid), {TESTS(open_mode), ALLOW}},
	{"openat", WHEN(restrict_suid_sgid), {TESTS(openat_mode), ALLOW}},
	{"openat2", WHEN(restrict_suid_sgid), {.otherwise = SYSCALLS_ERRNO(ENOSYS)}},
};

/* Calls that the rules refuse, and those that this machine has not, stay as they are. */
static void put_check(struct filter_rules *rules, const char *call, const struct filter_check *check)
{
	int number = syscall_number(call);

	if (number < 0 || number >= FILTER_CALLS_MAX || rules->action[number] != ALLOW)
		return;
	if (check->n_tests > 0) {
		rules->check[number] = check;
	} else {
		rules->action[number] = check->otherwise;
		rules->check[number] = NULL;
	}
}

/* systemd.exec(5), RestrictNamespaces=. A namespace of its own would give a site capabilities in it, and with
 * them the kernel's less tested parts. setns(2) without a type enters whatever the descriptor is. */
static void restrict_namespaces(struct restrictions *r, const struct site_spec *spec,
				struct filter_rules *rules)
{
	uint32_t refused = SPEC_NAMESPACES & ~spec->namespaces;
	struct filter_check *checks = r->checks;

	if (!refused)
		return;
	/* In clone(2) the bit of CLONE_NEWTIME is one of the signal's. */
	r->clone = (struct filter_test){0, FILTER_ANY_BIT, refused & ~(uint32_t)CSIGNAL, REFUSE};
	r->unshare = (struct filter_test){0, FILTER_ANY_BIT, refused, REFUSE};
	r->setns[0] = (struct filter_test){1, FILTER_EQUALS, 0, REFUSE};
	r->setns[1] = (struct filter_test){1, FILTER_ANY_BIT, refused, REFUSE};
	checks[0] = (struct filter_check){&r->clone, 1, ALLOW};
	checks[1] = (struct filter_check){&r->unshare, 1, ALLOW};
	checks[2] = (struct filter_check){r->setns, 2, ALLOW};
	if (refused == SPEC_NAMESPACES)
		checks[2] = (struct filter_check){.otherwise = REFUSE};
	checks[3] = (struct filter_check){.otherwise = SYSCALLS_ERRNO(ENOSYS)};
	put_check(rules, "clone", &checks[0]);
	put_check(rules, "unshare", &checks[1]);
	put_check(rules, "setns", &checks[2]);
	put_check(rules, "clone3", &checks[3]);
}

static void restrict_families(struct restrictions *r, const struct site_spec *spec, struct filter_rules *rules)
{
	const uint32_t refuse = SYSCALLS_ERRNO(EAFNOSUPPORT);
	struct filter_check *check = &r->checks[4];
	enum families_mode mode;
	uint64_t mask = address_family_mask(spec, &mode);
	bool allow = mode == FAMILIES_ALLOW;

	*check = (struct filter_check){r->families, 0, allow ? refuse : ALLOW};
	for (uint32_t family = 0; family < ADDRESS_FAMILIES_MAX; family++)
		if (mask & 1ULL << family)
			r->families[check->n_tests++] =
				(struct filter_test){0, FILTER_EQUALS, family, allow ? ALLOW : refuse};
	put_check(rules, "socket", check);
}

void restrictions_apply(struct restrictions *restrictions, const struct site_spec *spec,
			struct filter_rules *rules)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].when == ALWAYS || *((const bool *)spec + rows[i].when))
			put_check(rules, rows[i].call, &rows[i].check);
	restrict_namespaces(restrictions, spec, rules);
	restrict_families(restrictions, spec, rules);
}
