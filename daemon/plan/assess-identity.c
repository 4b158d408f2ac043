/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/capability.h>
#include <stdio.h>

#include "assessment.h"
#include "capability.h"

#define CAP(name)    (1ULL << CAP_##name)
#define NAMES_BYTES  2048  /* 64 names of capabilities; the longest has 22 */
#define NOBODY       65534 /* the kernel's overflow number, and the user of who names none */
#define CAP_HARMLESS CAP(NET_BIND_SERVICE)

static const uint64_t caps_host = CAP(SYS_ADMIN) | CAP(SYS_MODULE) | CAP(SYS_RAWIO) | CAP(SYS_PTRACE) |
				  CAP(SYS_BOOT) | CAP(SYS_TIME) | CAP(BPF) | CAP(PERFMON) | CAP(MAC_ADMIN) |
				  CAP(MAC_OVERRIDE) | CAP(SYSLOG) | CAP(DAC_READ_SEARCH) |
				  CAP(CHECKPOINT_RESTORE) | CAP(AUDIT_CONTROL) | CAP(AUDIT_READ);
static const uint64_t caps_files = CAP(CHOWN) | CAP(DAC_OVERRIDE) | CAP(FOWNER) | CAP(FSETID) | CAP(SETUID) |
				   CAP(SETGID) | CAP(SETPCAP) | CAP(SETFCAP) | CAP(MKNOD) |
				   CAP(LINUX_IMMUTABLE) | CAP(LEASE) | CAP(KILL);
static const uint64_t caps_network = CAP(NET_ADMIN) | CAP(NET_RAW) | CAP(NET_BROADCAST);

/* Without a user namespace the number is not known yet. */
static bool is_dynamic(const struct assessment *a, unsigned id)
{
	return a->spec->dynamic_user && id == PLAN_DYNAMIC_ID;
}

void assess_user(struct assessment *a)
{
	unsigned uid = a->plan->uid;
	const char *value = arena_printf(a->arena, "%u", uid);

	if (is_dynamic(a, uid))
		assessment_find(a, 0, "dynamic", "Is a user that is no other site's");
	else if (uid == 0 && spec_has_private_users(a->spec))
		assessment_find(a, 20, value, "Is root of its own users, on the host nobody");
	else if (uid == 0)
		assessment_find(a, 100, value, "Is root, the host's own");
	else if (spec_has_private_users(a->spec))
		assessment_find(a, 0, value, "Is %u of its own users", uid);
	else if (uid == NOBODY || !a->spec->user)
		assessment_find(a, 20, value, "Is nobody, as all are that name no user");
	else
		assessment_find(a, 0, value, "Is %s (%u)", a->spec->user, uid);
}

void assess_group(struct assessment *a)
{
	const char *value = arena_printf(a->arena, "%u", a->plan->gid);

	if (is_dynamic(a, a->plan->gid))
		assessment_find(a, 0, "dynamic", "Is of a group that is no other site's");
	else if (a->plan->gid == 0 && !spec_has_private_users(a->spec))
		assessment_find(a, 100, value, "Is of the group root");
	else
		assessment_find(a, 0, value, "Is of the group %u", a->plan->gid);
}

void assess_private_users(struct assessment *a)
{
	if (spec_has_private_users(a->spec))
		assessment_find(a, 0, "own", "Has users of its own, a range of the host's");
	else
		assessment_find(a, 100, "no", "Is a user of the host: no user namespace");
}

void assess_label(struct assessment *a)
{
	const struct label_spec *label = a->spec->app_armor ? a->spec->app_armor : a->spec->selinux;

	if (!label)
		assessment_find(a, 100, "inherited", "Has no label of its own: torpord's");
	else if (label->optional)
		assessment_find(a, 50, label->name, "Has the label %s, or starts without", label->name);
	else
		assessment_find(a, 0, label->name, "Has the label %s", label->name);
}

/* The names in a mask; NULL when out of memory. */
static const char *names(struct assessment *a, uint64_t mask)
{
	char text[NAMES_BYTES] = "none";
	FILE *out = mask ? fmemopen(text, sizeof text, "w") : NULL;

	if (mask && !out)
		return NULL;
	if (out) {
		capability_write(mask, out);
		fclose(out);
	}
	return arena_strdup(a->arena, text);
}

/* A user namespace owns nothing but its users: what holds over the rest of the container, or the host, is not
 * there.
 */
#define OWN_USERS_SHARE 5

/* The child makes all of effective, permitted, inheritable and ambient the ambient set of the plan. */
static void find_capabilities(struct assessment *a, uint64_t of, unsigned badness, const char *what)
{
	uint64_t has = a->plan->ambient & of;
	const char *value = names(a, has);

	if (!has)
		assessment_find(a, 0, value, "Has no capability %s", what);
	else if (spec_has_private_users(a->spec))
		assessment_find(a, badness / OWN_USERS_SHARE, value, "Has, over its own users alone, %s",
				value ? value : "");
	else
		assessment_find(a, badness, value, "Has %s", value ? value : "");
}

void assess_capabilities_host(struct assessment *a)
{
	find_capabilities(a, caps_host, 100, "over the host");
}

void assess_capabilities_files(struct assessment *a)
{
	find_capabilities(a, caps_files, 100, "over files and users");
}

void assess_capabilities_network(struct assessment *a)
{
	find_capabilities(a, caps_network, assessment_host_network(a) ? 100 : 50, "over a network");
}

void assess_capabilities_other(struct assessment *a)
{
	uint64_t rest = ~(caps_host | caps_files | caps_network), has = a->plan->ambient & rest;

	find_capabilities(a, rest, has == CAP_HARMLESS ? 20 : 100, "of any other kind");
}

void assess_bounding(struct assessment *a)
{
	const char *value = names(a, a->plan->bounding);

	if (!a->plan->bounding)
		assessment_find(a, 0, value, "Has an empty bounding set");
	else if (!(a->plan->bounding & ~a->plan->ambient))
		assessment_find(a, 0, value, "Is bound to the capabilities that it has");
	else
		assessment_find(a, a->plan->bounding & (caps_host | caps_files) ? 100 : 50, value,
				"Is bound to %s", value ? value : "");
}
