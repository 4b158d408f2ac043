/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "address-family.h"
#include "exposure.h"
#include "str.h"
#include "syscall-group.h"

/* What the rules say of calls as programs make them. */

const char *const exposure_intercepted[] = {"bind", "listen", "accept", "accept4", NULL};

/* Groups of calls that a site has no use for, whose members in @container apart. */
static const char *const closed_groups[] = {"@mount",         "@module",  "@raw-io",    "@reboot",
					    "@swap",          "@clock",   "@debug",     "@obsolete",
					    "@cpu-emulation", "@keyring", "@privileged"};

#define N(array) (sizeof(array) / sizeof(array)[0])

static bool lets_in(uint32_t action)
{
	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_USER_NOTIF || action == SECCOMP_RET_LOG;
}

/* Whether a call is let in with these arguments; a call that this machine has not is not. */
static bool may(const struct filter_rules *rules, const char *call, uint32_t a, uint32_t b, uint32_t c)
{
	const uint32_t arguments[FILTER_ARGUMENTS] = {a, b, c};
	int number = syscall_number(call);

	return number >= 0 && lets_in(filter_answer(rules, (unsigned)number, arguments));
}

/* The same, with any arguments. */
static bool may_somehow(const struct filter_rules *rules, unsigned number)
{
	const struct filter_check *check = number < FILTER_CALLS_MAX ? rules->check[number] : NULL;
	bool some = false;

	if (number >= FILTER_CALLS_MAX)
		return lets_in(rules->fallback);
	if (!check)
		return lets_in(rules->action[number]);
	for (unsigned i = 0; i < check->n_tests; i++)
		some |= lets_in(check->tests[i].action);
	return some || lets_in(check->otherwise);
}

/* Marks the numbers that the calls of a group have on this machine. */
static void mark(const struct syscall_group *group, bool set[static FILTER_CALLS_MAX])
{
	const char *at = group->calls;
	char name[SYSCALL_NAME_BYTES];

	while (syscall_next(&at, name)) {
		int number = *name == '@' ? -1 : syscall_number(name);

		if (*name == '@')
			mark(syscall_group_find(name), set);
		else if (number >= 0 && number < FILTER_CALLS_MAX)
			set[number] = true;
	}
}

static void count(const struct filter_rules *rules, const bool container[static FILTER_CALLS_MAX],
		  struct exposure_calls *ret)
{
	bool known[FILTER_CALLS_MAX] = {0};

	mark(syscall_group_find("@known"), known);
	for (unsigned number = 0; number < FILTER_CALLS_MAX; number++) {
		bool allowed = may_somehow(rules, number);

		known[number] |= allowed;
		ret->known += known[number];
		ret->in_container += container[number];
		ret->allowed += allowed;
		ret->container += allowed && container[number];
	}
}

static uint32_t find_groups(const struct filter_rules *rules, const bool container[static FILTER_CALLS_MAX])
{
	uint32_t found = 0;

	for (unsigned i = 0; syscall_groups[i].name; i++)
		for (size_t k = 0; k < N(closed_groups); k++) {
			bool members[FILTER_CALLS_MAX] = {0};

			if (!str_equal(syscall_groups[i].name, closed_groups[k]))
				continue;
			mark(&syscall_groups[i], members);
			for (unsigned number = 0; number < FILTER_CALLS_MAX; number++)
				if (members[number] && !container[number] && may_somehow(rules, number))
					found |= 1U << i;
		}
	return found;
}

static uint32_t find_hazards(const struct filter_rules *rules)
{
	const char *at = SYSCALL_HAZARDS;
	char name[SYSCALL_NAME_BYTES];
	uint32_t found = 0;

	for (unsigned bit = 0; syscall_next(&at, name); bit++) {
		int number = syscall_number(name);

		if (number >= 0 && may_somehow(rules, (unsigned)number))
			found |= 1U << bit;
	}
	return found;
}

/* clone3(2) keeps its flags in memory, where no filter looks. In clone(2) CLONE_NEWTIME is part of the signal.
 */
static uint32_t find_namespaces(const struct filter_rules *rules)
{
	static const uint32_t flags[] = {CLONE_NEWCGROUP, CLONE_NEWIPC,  CLONE_NEWNET,  CLONE_NEWNS,
					 CLONE_NEWPID,    CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS};
	uint32_t found = 0;

	for (size_t i = 0; i < N(flags); i++)
		if (may(rules, "unshare", flags[i], 0, 0) || may(rules, "setns", 0, flags[i], 0) ||
		    may(rules, "clone3", 0, 0, 0) ||
		    (flags[i] != CLONE_NEWTIME && may(rules, "clone", flags[i], 0, 0)))
			found |= flags[i];
	return found;
}

static uint64_t find_families(const struct filter_rules *rules)
{
	uint64_t found = 0;

	for (unsigned family = 0; family < ADDRESS_FAMILIES_MAX; family++)
		if (may(rules, "socket", family, 0, 0))
			found |= 1ULL << family;
	return found;
}

static bool may_set_id(const struct filter_rules *rules)
{
	return may(rules, "chmod", 0, S_ISUID, 0) || may(rules, "fchmod", 0, S_ISUID, 0) ||
	       may(rules, "fchmodat", 0, 0, S_ISUID) || may(rules, "fchmodat2", 0, 0, S_ISUID) ||
	       may(rules, "mkdirat", 0, 0, S_ISGID) || may(rules, "mknodat", 0, 0, S_ISUID) ||
	       may(rules, "openat2", 0, 0, 0);
}

static bool may_write_execute(const struct filter_rules *rules)
{
	return may(rules, "mmap", 0, 0, PROT_WRITE | PROT_EXEC) || may(rules, "mprotect", 0, 0, PROT_EXEC) ||
	       may(rules, "pkey_mprotect", 0, 0, PROT_EXEC) || may(rules, "shmat", 0, 0, SHM_EXEC);
}

static uint32_t find_intercepted(const struct filter_rules *rules)
{
	static const uint32_t none[FILTER_ARGUMENTS];
	uint32_t found = 0;

	for (unsigned i = 0; exposure_intercepted[i]; i++) {
		int number = syscall_number(exposure_intercepted[i]);

		if (number >= 0 && filter_answer(rules, (unsigned)number, none) == SECCOMP_RET_USER_NOTIF)
			found |= 1U << i;
	}
	return found;
}

void exposure_calls_decide(const struct site_spec *spec, struct exposure_calls *ret)
{
	bool container[FILTER_CALLS_MAX] = {0};
	struct syscalls syscalls;
	const struct filter_rules *rules = &syscalls.rules;

	syscalls_decide(spec, &syscalls);
	mark(syscall_group_find(SYSCALL_GROUP_CONTAINER), container);
	*ret = (struct exposure_calls){
		.hazards = find_hazards(rules),
		.groups = find_groups(rules, container),
		.families = find_families(rules),
		.namespaces = find_namespaces(rules),
		.notify = find_intercepted(rules),
		.write_execute = may_write_execute(rules),
		.realtime = may(rules, "sched_setscheduler", 0, SCHED_FIFO, 0) ||
			    may(rules, "sched_setattr", 0, 0, 0),
		.set_id = may_set_id(rules),
		.personality = may(rules, "personality", UNAME26, 0, 0),
		.weak_personality = may(rules, "personality", READ_IMPLIES_EXEC, 0, 0) ||
				    may(rules, "personality", ADDR_NO_RANDOMIZE, 0, 0),
		.terminal = may(rules, "ioctl", 0, TIOCSTI, 0),
		.foreign = lets_in(rules->fallback),
	};
	count(rules, container, ret);
}
