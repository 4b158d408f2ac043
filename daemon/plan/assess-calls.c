/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "address-family.h"
#include "assessment.h"
#include "syscall-group.h"

static const struct {
	uint32_t flag;
	const char *name;
} namespaces[] = {
	{CLONE_NEWCGROUP, "cgroup"}, {CLONE_NEWIPC, "ipc"},   {CLONE_NEWNET, "net"},   {CLONE_NEWNS, "mnt"},
	{CLONE_NEWPID, "pid"},       {CLONE_NEWTIME, "time"}, {CLONE_NEWUSER, "user"}, {CLONE_NEWUTS, "uts"},
};

#define N(array) (sizeof(array) / sizeof(array)[0])

/* What a share of calls beyond @container weighs, up to the whole. */
#define DEFAULT_CALLS_BADNESS 20

void assess_calls(struct assessment *a)
{
	const struct exposure_calls *calls = a->calls;
	unsigned more = calls->allowed - calls->container, rest = calls->known - calls->in_container;
	unsigned badness =
		calls->in_container ? DEFAULT_CALLS_BADNESS * calls->container / calls->in_container : 0;

	/* Each that no site needs counts, the first of them too. */
	if (rest > 0)
		badness += ((100 - DEFAULT_CALLS_BADNESS) * more + rest - 1) / rest;
	assessment_find(a, badness, arena_printf(a->arena, "%u/%u", calls->allowed, calls->known),
			"Has %u of %u calls, %u that few sites need", calls->allowed, calls->known, more);
}

void assess_hazards(struct assessment *a)
{
	const char *at = SYSCALL_HAZARDS, *list = NULL;
	char name[SYSCALL_NAME_BYTES];
	unsigned n = 0;

	for (unsigned bit = 0; syscall_next(&at, name); bit++)
		if (a->calls->hazards & 1U << bit) {
			list = assessment_join(a, list, name);
			n++;
		}
	if (n == 0)
		assessment_find(a, 0, "none", "Has no call that reaches past a container");
	else
		assessment_find(a, 60 + 4 * n, list, "Has %s", list ? list : "");
}

void assess_groups(struct assessment *a)
{
	const char *list = NULL;
	unsigned n = 0;

	for (unsigned i = 0; syscall_groups[i].name; i++)
		if (a->calls->groups & 1U << i) {
			list = assessment_join(a, list, syscall_groups[i].name);
			n++;
		}
	if (n == 0)
		assessment_find(a, 0, "none", "Has no call of @mount, @module and the like");
	else
		assessment_find(a, 40 + 10 * n, list, "Has calls of %s", list ? list : "");
}

void assess_foreign(struct assessment *a)
{
	if (a->calls->foreign)
		assessment_find(a, 100, "allowed", "Has calls of other architectures");
	else
		assessment_find(a, 0, "refused", "Has no call of another architecture");
}

/* Families that no site needs for its work count, those that reach past a container most. */
void assess_families(struct assessment *a)
{
	const uint64_t usual = 1ULL << AF_UNIX | 1ULL << AF_INET | 1ULL << AF_INET6,
		       hazards = 1ULL << AF_ALG | 1ULL << AF_VSOCK | 1ULL << AF_PACKET;
	uint64_t has = a->calls->families;
	const char *list = NULL, *refused = NULL;
	unsigned n = 0, n_named = 0, badness;

	for (int family = 0; family < ADDRESS_FAMILIES_MAX; family++) {
		const char *name = address_family_name(family);

		if (!name)
			continue;
		n_named++;
		n += has & 1ULL << family ? 1 : 0;
		if (has & 1ULL << family)
			list = assessment_join(a, list, name);
		else
			refused = assessment_join(a, refused, name + strlen("AF_"));
	}
	badness = has & hazards ? 100 : !(has & ~usual) ? 0 : n * 2 > n_named ? 30 : 10;
	if (!has)
		assessment_find(a, 0, "none", "Makes no sockets");
	else if (n * 2 < n_named)
		assessment_find(a, badness, list, "Makes sockets of %s", list ? list : "");
	else
		assessment_find(a, badness, list, "Makes sockets, all%s%s", refused ? " but " : "",
				refused ? refused : "");
}

void assess_namespaces(struct assessment *a)
{
	const char *list = NULL;
	unsigned n = 0;

	for (size_t i = 0; i < N(namespaces); i++)
		if (a->calls->namespaces & namespaces[i].flag) {
			list = assessment_join(a, list, namespaces[i].name);
			n++;
		}
	if (n == 0)
		assessment_find(a, 0, "none", "Makes and enters no namespaces");
	else
		assessment_find(a, a->calls->namespaces & CLONE_NEWUSER ? 100 : 10 * n, list,
				"Makes namespaces: %s", list ? list : "");
}

static void find_if(struct assessment *a, bool allowed, const char *good, const char *bad)
{
	assessment_find(a, allowed ? 100 : 0, allowed ? "allowed" : "refused", "%s", allowed ? bad : good);
}

void assess_write_execute(struct assessment *a)
{
	find_if(a, a->calls->write_execute, "Has no memory to write and to execute",
		"Has memory to write and to execute");
}

void assess_realtime(struct assessment *a)
{
	find_if(a, a->calls->realtime, "Is never realtime", "Is realtime where LimitRTPRIO= lets it be");
}

void assess_set_id(struct assessment *a)
{
	find_if(a, a->calls->set_id, "Makes no set-user-ID files", "Makes set-user-ID files of its user");
}

void assess_personality(struct assessment *a)
{
	if (a->calls->weak_personality)
		assessment_find(a, 100, "weak", "Switches protections of its memory off");
	else if (a->calls->personality)
		assessment_find(a, 30, "harmless", "Has harmless execution domains");
	else
		assessment_find(a, 0, "refused", "Keeps its execution domain");
}

void assess_terminal_input(struct assessment *a)
{
	find_if(a, a->calls->terminal, "Types into no terminal", "Types into terminals");
}

void assess_interception(struct assessment *a)
{
	const char *list = NULL;

	for (unsigned i = 0; exposure_intercepted[i]; i++)
		if (a->calls->notify & 1U << i)
			list = assessment_join(a, list, exposure_intercepted[i]);
	if (!a->calls->notify)
		assessment_find(a, 0, "none", "Asks torpor at no system call");
	else
		assessment_find(a, 100, list, "Asks torpor at %s", list ? list : "");
}
