/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "exposure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "assessment.h"

/* What the kernel is asked for at every start, whatever the unit says, has no weight: it could only make the
 * figure of a container that is open look better. */
const struct exposure_item exposure_items[] = {
	{"user", "User=", 20, 0,
	 "Root is the owner of the host's files, and whom the kernel's mistakes serve best.", assess_user},
	{"group", "Group=", 5, 0, "The host's files of the group root are open to who is in it.", assess_group},
	{"supplementary-groups", .reason = "Groups of the host are never kept.", .value = "none",
	 .text = "Is in no other group"},
	{"no-new-privileges", .reason = "Set-user-ID programs give nothing.", .value = "yes",
	 .text = "Gains no privilege by programs that it runs"},
	{"namespace-user", "PrivateUsers=", 10, 0,
	 "Without a user namespace of its own, a user of the container is the host's user of that number.",
	 assess_private_users},
	{"capabilities-host", "AmbientCapabilities=", 25, 95,
	 "With one of these the host's kernel, or all that it protects, is the container's to change.",
	 assess_capabilities_host},
	{"capabilities-files", "AmbientCapabilities=", 15, 60,
	 "They undo the owners and modes of files and the identities of processes.", assess_capabilities_files},
	{"capabilities-network", "AmbientCapabilities=", 10, 0,
	 "They change a network and forge what is sent on it; on the host's own it counts twice.",
	 assess_capabilities_network},
	{"capabilities-other", "AmbientCapabilities=", 6, 0,
	 "They undo limits, priorities and other boundaries between processes.", assess_capabilities_other},
	{"capabilities-bounding", "CapabilityBoundingSet=", 4, 0,
	 "With no_new_privs no program gains them, but they are one mistake nearer.", assess_bounding},

	{"namespace-mount", .reason = "It has a file tree of its own.", .value = "own",
	 .text = "Has mounts of its own"},
	{"namespace-pid", .reason = "It has processes of its own.", .value = "own",
	 .text = "Sees no process but its own"},
	{"namespace-ipc", .reason = "It has System V IPC and message queues of its own.", .value = "own",
	 .text = "Shares no IPC objects"},
	{"namespace-uts", .reason = "It has a host name of its own.", .value = "own",
	 .text = "Has a host name of its own"},
	{"namespace-cgroup", .reason = "It sees its own part of the control groups.", .value = "own",
	 .text = "Sees no control group of others"},
	{"namespace-time", .reason = "Clocks since boot tell how long the host has been up.", .value = "no",
	 .text = "Sees the host's clocks, and cannot set them"},
	{"network", "Network= PrivateNetwork=", 15, 0,
	 "From the host's network it reaches the host's own services and all that the host reaches.",
	 assess_network},

	{"root", "RootDirectory= RootImage=", 5, 60,
	 "The host's programs tell which mistakes are there to be used.", assess_root},
	{"root-writable", "Overlay=", 8, 0, "What is written to a root stays for the next start.",
	 assess_root_writable},
	{"host-paths-writable", "BindPaths= ReadOnlyPaths= InaccessiblePaths=", 20, 95,
	 "Who writes to the host's own files runs programs there.", assess_host_writable},
	{"host-paths-readable", "BindReadOnlyPaths= InaccessiblePaths=", 10, 60,
	 "They may hold secrets; and sockets answer although they are mounted read-only.",
	 assess_host_readable},
	{"tmp", "BindPaths= TemporaryFileSystem=", 3, 0, "Names in a shared /tmp can be guessed and taken.",
	 assess_tmp},
	{"proc", .weight = 0, .reason = "What tells of the host there, or changes it, is masked.",
	 .assess = assess_proc},
	{"proc-processes", "ProtectProc=", .reason = "Programs of several users share few containers.",
	 .assess = assess_proc_processes},
	{"device-nodes", "DeviceAllow=", 12, 95,
	 "A disk or the memory, read past the file system, is the whole host.", assess_device_nodes},
	{"device-program", "DevicePolicy= DeviceAllow=", 6, 0,
	 "It holds for every node, wherever that comes from.", assess_device_program},

	{"system-calls", "SystemCallFilter=", 10, 0, "Each call is a way to a mistake of the kernel's.",
	 assess_calls},
	{"system-calls-hazards", "SystemCallFilter=", 15, 60,
	 "These reach past a container or into the kernel's less tested parts; they are let in by name alone.",
	 assess_hazards},
	{"system-calls-groups", "SystemCallFilter=", 10, 0,
	 "No site needs them, and most take a capability that it does not have.", assess_groups},
	{"system-calls-foreign", .reason = "Calls of i386 and x32 come past a filter of names.",
	 .assess = assess_foreign},
	{"address-families", "RestrictAddressFamilies=", 8, 55,
	 "Most mistakes of the kernel's network lie in families that no site uses; AF_ALG wrote to shared "
	 "files.",
	 assess_families},
	{"new-namespaces", "RestrictNamespaces=", 10, 0,
	 "In a user namespace of its own it has all capabilities, and with them much more of the kernel.",
	 assess_namespaces},
	{"memory-write-execute", "MemoryDenyWriteExecute=", 5, 0, "Injected code has to be put somewhere.",
	 assess_write_execute},
	{"realtime", "RestrictRealtime=", 3, 0, "A realtime loop takes a CPU from everybody.", assess_realtime},
	{"set-user-id", "RestrictSUIDSGID=", 3, 0,
	 "A set-user-ID file that outlives the site serves whoever gets its number.", assess_set_id},
	{"personality", "LockPersonality=", 3, 0, "Old execution domains switch protections of memory off.",
	 assess_personality},
	{"terminal-input", NULL, 0, 0, "TIOCSTI types into the terminal of whoever looks.",
	 assess_terminal_input},
	{"interception", "Handover=", 2, 0, "A process of torpor's reads arguments of these calls.",
	 assess_interception},

	{"limit-memory", "MemoryMax= MemoryHigh=", 8, 0,
	 "Without it one site can have the others killed for want of memory.", assess_memory},
	{"limit-tasks", "TasksMax=", 8, 0, "Without it a fork bomb takes the host.", assess_tasks},
	{"limit-cpu", "CPUQuota= AllowedCPUs=", 4, 0,
	 "Weights divide a busy CPU; a quota alone keeps one free.", assess_cpu},
	{"limit-io", "IOReadBandwidthMax= IOWriteBandwidthMax= IOReadIOPSMax= IOWriteIOPSMax= IOWeight=", 3, 0,
	 "Without it one site's disk use is all sites' latency.", assess_io},
	{"limits-in-force", NULL, 5, 0, "A limit that this host cannot enforce protects nobody.",
	 assess_limits_missing},
	{"limit-core-dumps", "LimitCORE=", 1, 0, "A core holds the secrets of a program.", assess_core},
	{"limit-open-files", "LimitNOFILE=", 0, 0, "Open files are memory of the kernel's.", assess_open_files},
	{"oom-score", "OOMScoreAdjust=", 2, 0, "Below zero others are killed before it.", assess_oom_score},

	{"keyring", .reason = "Keys of a session are its own.", .value = "own",
	 .text = "Has a session keyring of its own"},
	{"session", .reason = "It is the leader of a session.", .value = "new",
	 .text = "Is in a session of its own"},
	{"controlling-terminal", .reason = "Nobody's terminal is its.", .value = "none",
	 .text = "Has no controlling terminal"},
	{"label", "AppArmorProfile= SELinuxContext=", 5, 0,
	 "AppArmor or SELinux hold where all else has failed; without a label a container has torpord's.",
	 assess_label},
	{"environment-files", "EnvironmentFile=", 2, 0,
	 "What they hold, passwords perhaps, is in the memory of every program that it starts.",
	 assess_environment_files},
	{"umask", "UMask=", 2, 0, "Files that everybody may write are nobody's.", assess_umask},
	{"notify-socket", "NotifyAccess=", 1, 0, "It sends messages that the daemon has to read.",
	 assess_notify},
};
const size_t exposure_n_items = sizeof exposure_items / sizeof *exposure_items;

/* As in systemd's analyze-security.c. */
static const struct {
	unsigned least; /* tenths */
	const char *word;
} words[] = {
	{100, "DANGEROUS"}, {90, "UNSAFE"}, {75, "EXPOSED"}, {50, "MEDIUM"},
	{10, "OK"},         {1, "SAFE"},    {0, "PERFECT"},
};

const char *exposure_word(unsigned tenths)
{
	size_t i = 0;

	while (words[i].least > tenths)
		i++;
	return words[i].word;
}

void assessment_find(struct assessment *a, unsigned badness, const char *value, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	a->finding->badness = badness < 100 ? badness : 100;
	a->finding->value = value;
	a->finding->text = arena_strdup(a->arena, text);
}

const char *assessment_join(struct assessment *a, const char *list, const char *word)
{
	return list ? arena_printf(a->arena, "%s %s", list, word) : arena_strdup(a->arena, word);
}

/* The weighted mean, or the item that alone is worth more. One that is more closed than open is no such hole.
 */
static void add_up(struct exposure *exposure)
{
	unsigned whole = 0, sum = 0;

	for (size_t i = 0; i < exposure_n_items; i++)
		whole += exposure_items[i].weight;
	for (size_t i = 0; i < exposure_n_items; i++) {
		struct exposure_finding *finding = &exposure->findings[i];
		unsigned part = finding->badness * finding->item->weight;

		sum += part;
		finding->tenths = (part + whole - 1) / whole;
	}
	exposure->tenths = (sum + whole - 1) / whole;
	for (size_t i = 0; i < exposure_n_items; i++) {
		const struct exposure_finding *finding = &exposure->findings[i];
		unsigned alone = finding->item->alone * finding->badness / 100;

		if (finding->badness > 50 && alone > exposure->tenths) {
			exposure->tenths = alone;
			exposure->decided_by = finding->item;
		}
	}
}

int exposure_assess(const struct exposure_input *input, struct exposure *ret)
{
	struct assessment a = {.input = input,
			       .plan = input->plan,
			       .spec = input->plan->spec,
			       .calls = input->calls,
			       .arena = &ret->arena};

	*ret = (struct exposure){0};
	arena_init(&ret->arena);
	ret->findings = arena_alloc(&ret->arena, exposure_n_items * sizeof *ret->findings);
	for (size_t i = 0; ret->findings && i < exposure_n_items; i++) {
		const struct exposure_item *item = &exposure_items[i];

		a.finding = &ret->findings[i];
		a.finding->item = item;
		if (item->assess)
			item->assess(&a);
		else
			assessment_find(&a, item->weight > 0 ? 100 : 0, item->value, "%s", item->text);
		if (!a.finding->value || !a.finding->text)
			ret->findings = NULL;
	}
	if (!ret->findings) {
		exposure_finish(ret);
		return -ENOMEM;
	}
	add_up(ret);
	return 0;
}

void exposure_finish(struct exposure *exposure)
{
	arena_finish(&exposure->arena);
	*exposure = (struct exposure){0};
}
