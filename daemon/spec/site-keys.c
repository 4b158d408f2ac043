/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "key.h"
#include "type.h"
#include "value.h"

#define FIELD(member)                 offsetof(struct site_spec, member)
#define KEY(in, key, of_type, member) .section = in, .name = key, .type = &of_type, .offset = FIELD(member)
#define SITE(key, type, member)       KEY("Site", key, type, member)
#define SOCKET(key, type, member)     KEY("Socket", key, type, member)
#define CONTAINER(key, type, member)  KEY("Container", key, type, member)
#define RESOURCES_THROUGH             FIELD(resources)
#define HIBERNATE(key, type, member)  KEY("Hibernate", key, type, member), .live = true
#define LIMIT(what, like)             LIMIT_OR(what, like, "torpord's own limit")
#define LIMIT_OR(what, like, unset)                                                                            \
	CONTAINER("Limit" #what, type_limit, limits), .parameter = RLIMIT_##what, .argument = like,            \
						      .unset_means = unset

#define SECONDS "SECONDS"
#define BYTES   "BYTES"

static const struct choice ipv6_choices[] = {{"default", -1}, {"both", 0}, {"ipv6-only", 1}, {0}};
static const struct choice type_choices[] = {{"simple", TYPE_SIMPLE}, {"notify", TYPE_NOTIFY}, {0}};
static const struct choice handover_choices[] = {
	{"auto", HANDOVER_AUTO},
	{"listen-fds", HANDOVER_LISTEN_FDS},
	{"bind", HANDOVER_BIND},
	{"stdin", HANDOVER_STDIN},
	{0},
};
const char *handover_name(enum handover handover)
{
	const struct choice *choice = handover_choices;

	while (choice->value != (int)handover)
		choice++;
	return choice->name;
}

static const struct choice notify_choices[] = {
	{"none", NOTIFY_NONE},
	{"main", NOTIFY_MAIN},
	{"all", NOTIFY_ALL},
	{0},
};
static const struct choice device_choices[] = {
	{"auto", DEVICES_AUTO},
	{"closed", DEVICES_CLOSED},
	{"strict", DEVICES_STRICT},
	{0},
};
static const struct choice proc_choices[] = {
	{"default", PROC_DEFAULT},
	{"noaccess", PROC_NO_ACCESS},
	{"invisible", PROC_INVISIBLE},
	{"ptraceable", PROC_PTRACEABLE},
	{0},
};
static const struct choice swap_full_choices[] = {
	{"stop", SWAP_FULL_STOP},
	{"none", SWAP_FULL_NONE},
	{0},
};
static const struct choice keep_choices[] = {
	{"no", KEEP_NONE},
	{"warm", KEEP_WARM},
	{"awake", KEEP_AWAKE},
	{0},
};

/* In the order of manual pages and dumps. The spec's own order of reading is in key->phase. */
static const struct key keys[] = {
	{SITE("Description", type_string, description), .live = true, .argument = "TEXT",
	 .unset_means = "the site's name", .help = "What the site is, for people."},
	{SITE("Template", type_template, templates), .argument = "NAME", .phase = KEY_TEMPLATE,
	 .unset_means = "none",
	 .help = "The template that this unit builds on: templates/NAME.template. All that stands there "
		 "applies first, then the unit's own lines. A template may have a template itself."},
	{SITE("Enabled", type_bool, enabled), .argument = "BOOLEAN", .fallback = "yes",
	 .help = "With no, the site is known but its sockets are not opened."},
	{SITE("Slice", type_slice, slice), .argument = "NAME", .unset_means = "none",
	 .help = "The slice that the site belongs to, with or without \".slice\" behind it: a group of sites "
		 "that "
		 "share one control group, and the limits that slices/NAME.slice gives to them together. That "
		 "file "
		 "need not be there. A slice \"a-b\" lies in the slice \"a\". Where more sites wake than may "
		 "be "
		 "started at a time, slices take turns: all that lies in \"a\" is one of them, and the sites "
		 "without a slice are another."},

	{SOCKET("ListenStream", type_listener, listeners), .parameter = SOCK_STREAM, .argument = "ADDRESS",
	 .phase = KEY_LISTENER,
	 .help = "An address to listen on for connections: a port (of all addresses, IPv4 included), "
		 "127.0.0.1:8080, [::1]:8080, /run/example.sock or @name in the abstract name space. "
		 "May be given several times; an empty assignment to any of the three Listen keys "
		 "clears the whole list. A site needs at least one listener."},
	{SOCKET("ListenDatagram", type_listener, listeners), .parameter = SOCK_DGRAM, .argument = "ADDRESS",
	 .phase = KEY_LISTENER, .help = "The same for datagrams: UDP, or a unix datagram socket."},
	{SOCKET("ListenSequentialPacket", type_listener, listeners), .parameter = SOCK_SEQPACKET,
	 .argument = "ADDRESS", .phase = KEY_LISTENER,
	 .help = "The same for sequential packets; unix sockets alone."},
	{SOCKET("Backlog", type_unsigned, backlog), .argument = "NUMBER", .min = 1, .max = INT32_MAX,
	 .fallback = "4096",
	 .help = "How many connections may wait while the site wakes. The kernel takes at most "
		 "net.core.somaxconn."},
	{SOCKET("SocketUser", type_user, socket_user), .argument = "USER", .unset_means = "root",
	 .help = "The owner of unix sockets in the file system."},
	{SOCKET("SocketGroup", type_user, socket_group), .argument = "GROUP",
	 .unset_means = "the group of SocketUser= where that is a name, else root",
	 .help = "The group of unix sockets in the file system."},
	{SOCKET("SocketMode", type_mode, socket_mode), .argument = "MODE", .max = 07777, .fallback = "0666",
	 .help = "The mode of unix sockets in the file system. Of no effect on others."},
	{SOCKET("DirectoryMode", type_mode, directory_mode), .argument = "MODE", .max = 07777,
	 .fallback = "0755", .help = "The mode of folders that are made for unix sockets."},
	{SOCKET("BindIPv6Only", type_choice_small, bind_ipv6_only), .argument = "default|both|ipv6-only",
	 .choices = ipv6_choices, .fallback = "default",
	 .help = "Whether IPv6 listeners take IPv4 connections as well. default leaves it to "
		 "net.ipv6.bindv6only."},
	{SOCKET("ReusePort", type_bool, reuse_port), .argument = "BOOLEAN", .fallback = "no",
	 .help = "Sets SO_REUSEPORT, so that other programs may listen on the same port."},
	{SOCKET("FreeBind", type_bool, free_bind), .argument = "BOOLEAN", .fallback = "no",
	 .help = "Sets IP_FREEBIND: the address need not be one of the host's yet. Without it, a site whose "
		 "address "
		 "the host does not have is refused, and comes up by itself as soon as the host has it."},
	{SOCKET("KeepAlive", type_bool, keep_alive), .argument = "BOOLEAN", .fallback = "no",
	 .help = "Sets SO_KEEPALIVE on connections."},
	{SOCKET("NoDelay", type_bool, no_delay), .argument = "BOOLEAN", .fallback = "no",
	 .help = "Sets TCP_NODELAY on connections."},
	{SOCKET("DeferAcceptSec", type_span, defer_accept_us), .argument = SECONDS, .fallback = "0", .min = 0,
	 .max = 3600000000,
	 .help = "Sets TCP_DEFER_ACCEPT: a connection wakes the site when its first bytes have come, "
		 "not when it is opened, or after this time. One that is closed again without a byte does not "
		 "wake it either. Not for programs that speak first. An hour at most; 0 is off."},
	{SOCKET("WakeLimitIntervalSec", type_span, wake_limit_interval_us), .live = true, .argument = SECONDS,
	 .fallback = "10min", .min = 1000000, .max = 366 * INT64_C(86400000000),
	 .help = "The time that WakeLimitBurst= counts in; it begins with the first wake of a source."},
	{SOCKET("WakeLimitBurst", type_unsigned, wake_limit_burst), .live = true, .argument = "NUMBER",
	 .min = 0, .max = INT32_MAX, .fallback = "0",
	 .help = "How often connections of one source may wake the site, from cold or from frozen, within "
		 "WakeLimitIntervalSec=. A source is an address of IPv4, or the first 64 bits of one of IPv6. "
		 "Its "
		 "further connections stay in the queue: they are answered when somebody else wakes the site, "
		 "or "
		 "when the time is over, and torporctl status counts them. For TCP alone; 0 is any number."},
	{SOCKET("IPAddressAllow", type_sources, sources), .parameter = false, .live = true,
	 .argument = "ADDRESS[/PREFIX]...", .unset_means = "none",
	 .help = "Addresses that may reach the site's listeners, whatever IPAddressDeny= says: of IPv4 or "
		 "IPv6, with "
		 "the length of a prefix where a network is meant, or by name: any, localhost (127.0.0.0/8 and "
		 "::1), "
		 "link-local (169.254.0.0/16 and fe80::/64), multicast (224.0.0.0/4 and ff00::/8). May be "
		 "given "
		 "several times; an empty assignment clears these. Unix sockets have no addresses: "
		 "SocketMode=."},
	{SOCKET("IPAddressDeny", type_sources, sources), .parameter = true, .live = true,
	 .argument = "ADDRESS[/PREFIX]...", .unset_means = "none",
	 .help = "Addresses that may not, in the same syntax. What neither key names may. IPAddressDeny=any "
		 "with an "
		 "IPAddressAllow= is a list of those that may. The kernel drops what they send to the "
		 "listeners "
		 "before it answers, so that to them nobody listens, and they neither wake the site nor fill "
		 "its "
		 "queue; torporctl status counts the packets. Connections that are open already are not "
		 "touched."},
	{SOCKET("FileDescriptorName", type_fd_name, listeners), .argument = "NAME",
	 .unset_means = "the site's name, with '_' for ':'",
	 .help = "The name of the listeners in LISTEN_FDNAMES: at most 255 bytes of ASCII without a "
		 "colon."},

	{CONTAINER("Type", type_choice, type), .argument = "simple|notify", .choices = type_choices,
	 .fallback = "simple",
	 .help = "With notify, the site counts as started when it has sent READY=1 by sd_notify(3); "
		 "with simple at once."},
	{CONTAINER("ExecStart", type_command, exec_start), .argument = "PROGRAM [ARGUMENT...]",
	 .help = "The program and its arguments: words separated by white space, in quotes where they "
		 "hold some, with C escapes. ${NAME} inside a word is replaced by a variable of "
		 "Environment=, a word $NAME by the words of its value; $$ is a dollar sign. There is "
		 "one command: to replace a template's, first write an empty ExecStart=. A prefix (@, "
		 "-, :, +, !) is refused. A site needs an ExecStart=, unless RootOCI= brings one: what is "
		 "written here takes the place of the image's Entrypoint and Cmd."},
	{CONTAINER("Parameters", type_words, parameters), .argument = "ARGUMENT...",
	 .help = "Arguments in the place of the Cmd of RootOCI='s image, after its Entrypoint or what "
		 "ExecStart= "
		 "says: words as those of ExecStart=, without variables. Several assignments add up; an empty "
		 "one clears them. Only with RootOCI=."},
	{CONTAINER("User", type_user, user), .argument = "USER", .phase = KEY_OWNER, .unset_means = "nobody",
	 .help = "The user, by name or number, that the program runs as."},
	{CONTAINER("Group", type_user, group), .argument = "GROUP", .phase = KEY_OWNER,
	 .unset_means = "the user's group", .help = "The group, by name or number. There are no others."},
	{CONTAINER("DynamicUser", type_bool, dynamic_user), .argument = "BOOLEAN", .fallback = "no",
	 .help = "With yes, a user and a group of the site's own, in place of User=, that exist nowhere else: "
		 "an "
		 "id that torpord gives out at the first start and that stays the site's (see USERS). "
		 "RestrictSUIDSGID= is yes then."},
	{CONTAINER("PrivateUsers", type_private_users, private_users), .argument = "BOOLEAN",
	 .unset_means = "yes with a root of the site's own, else no",
	 .help = "Whether the site has a user namespace: its users 0 to 65535 are others on the host, from a "
		 "range "
		 "that no other site has (see USERS), and root in it is nobody outside. Files of its root, its "
		 "Overlay= and its BindPaths= belong to the same number inside as on disk; those of the host "
		 "that are there otherwise belong to nobody. Capabilities of the unit hold over the site's "
		 "own users and files alone, not over its network, mounts or anything else. "
		 "RestrictSUIDSGID= is yes then."},
	{CONTAINER("RootDirectory", type_path, root_directory), .argument = "PATH",
	 .unset_means = "the host's /usr and parts of its /etc",
	 .help = "A folder of the host that the site has as its root, read-only, with all that is mounted "
		 "below it. /dev, /proc, /run and /tmp are put into it, and have to be there as folders, not "
		 "as "
		 "links, unless Overlay= can make them; nothing else of the host is. User= and Group= are "
		 "looked "
		 "up on the host: those of the root alone are named by number."},
	{CONTAINER("RootImage", type_path, root_image), .argument = "PATH",
	 .help = "The same with a file that holds a squashfs or erofs file system. It is mounted once for all "
		 "sites "
		 "that name it, from the first start until no unit does: they share its pages in memory. To "
		 "change "
		 "it, put another file in its place; sites have that one from their next start. Only who may "
		 "be "
		 "trusted with the kernel should write to it."},
	{CONTAINER("RootOCI", type_oci, root_oci), .argument = "FOLDER[:NAME]",
	 .help = "The same with an image of the Open Container Initiative: an image layout (a folder with "
		 "index.json and blobs, as skopeo copy docker://IMAGE oci:FOLDER:NAME writes it) or a bundle "
		 "(with "
		 "config.json and the root beside it). Of several images in a layout, NAME says which; of one "
		 "for "
		 "several machines, that of this machine's architecture is taken. Layers are unpacked when the "
		 "unit is read, each once for all sites, into torpord's state folder; until that is done, the "
		 "unit is not in force. Whatever does not match its digest, or is of no use but to an attacker "
		 "(paths that lead out of the layer, devices), is refused. Env, Entrypoint, Cmd, User and "
		 "WorkingDir of the image are what Environment= (variable by variable), ExecStart=, "
		 "Parameters=, "
		 "User= with Group=, and WorkingDirectory= are where the unit does not set them; of a bundle "
		 "the "
		 "process's env, args, user and cwd. Users are those of the image's own /etc/passwd; a number "
		 "is that "
		 "user, whatever is written there. An image "
		 "that wants to run as root, or does not say, runs as nobody unless the unit has User=root; a "
		 "User= "
		 "that is root there under another name is refused, and so is, with PrivateUsers=no, a user of "
		 "group 0 "
		 "unless the unit has Group=root. "
		 "Mounts, hooks, limits, ports and volumes that an image speaks of have no effect. /dev, "
		 "/proc, "
		 "/run and /tmp need not be there in a layout. Another image takes effect with torporctl "
		 "reload."},
	{CONTAINER("Overlay", type_overlay, overlay), .argument = "none|tmpfs|PATH", .unset_means = "none",
	 .help = "What the site writes to its own root. With none it can write nothing; with tmpfs it is kept "
		 "in "
		 "memory until the site is cold; with a PATH, below that folder, which is made where it is "
		 "missing, must be root's, is closed to others, and is one site's alone (%i is its name). Only "
		 "with "
		 "RootDirectory=, RootImage= or RootOCI=."},
	{CONTAINER("WorkingDirectory", type_directory, working_directory),
	 .second = FIELD(working_directory_optional), .argument = "[-]PATH", .unset_means = "/",
	 .help = "Where the program starts, as it sees its own files. After \"-\" the folder may be "
		 "missing."},
	{CONTAINER("BindPaths", type_mount, mounts), .second = FIELD(n_mounts), .parameter = MOUNT_BIND,
	 .argument = "[-]SOURCE[:TARGET[:rbind|norbind]]...",
	 .help = "Files and folders of the host that the site may write: SOURCE appears as TARGET, by "
		 "default under the same path, with what is mounted below it unless norbind says "
		 "otherwise. After \"-\" a missing SOURCE is passed over. Several are separated by "
		 "white space; \"\\:\" is a colon in a path. An empty assignment clears these and "
		 "BindReadOnlyPaths=."},
	{CONTAINER("BindReadOnlyPaths", type_mount, mounts), .second = FIELD(n_mounts),
	 .parameter = MOUNT_BIND_READ_ONLY, .argument = "[-]SOURCE[:TARGET[:rbind|norbind]]...",
	 .help = "The same, for reading alone."},
	{CONTAINER("TemporaryFileSystem", type_mount, mounts), .second = FIELD(n_mounts),
	 .parameter = MOUNT_TMPFS, .argument = "PATH[:OPTIONS]...",
	 .help = "Empty folders in memory that are gone when the site is cold. OPTIONS are separated by "
		 "commas: size=, nr_inodes=, mode=, ro, rw, nosuid, nodev, noexec."},
	{CONTAINER("ReadWritePaths", type_paths, paths), .second = FIELD(n_paths), .parameter = PATH_READ_WRITE,
	 .argument = "[-]PATH...",
	 .help = "Files and folders within those of ReadOnlyPaths= that stay as they were. What the site could "
		 "not "
		 "write to without these keys it cannot with them."},
	{CONTAINER("ReadOnlyPaths", type_paths, paths), .second = FIELD(n_paths), .parameter = PATH_READ_ONLY,
	 .argument = "[-]PATH...",
	 .help = "Files and folders, as the site sees them, that it may not write to, with all that is mounted "
		 "below them. After \"-\" a missing one is passed over. Several are separated by white space; "
		 "an "
		 "empty assignment clears the list. It comes after all that BindPaths= and its like mount."},
	{CONTAINER("InaccessiblePaths", type_paths, paths), .second = FIELD(n_paths),
	 .parameter = PATH_INACCESSIBLE, .argument = "[-]PATH...",
	 .help = "The same with those that it may not even look into. Nothing below them can be given back."},
	{CONTAINER("ProtectProc", type_choice_small, protect_proc),
	 .argument = "default|noaccess|invisible|ptraceable", .choices = proc_choices, .fallback = "default",
	 .help = "What the site's processes learn from /proc of each other where their users differ: with "
		 "noaccess "
		 "nothing but that they are there, with invisible not even that, with ptraceable only of those "
		 "that they may trace. Of other sites they see nothing in any case."},
	{CONTAINER("Environment", type_environment, environment), .argument = "NAME=VALUE...",
	 .help = "Variables for the program, each in quotes where it holds white space. Later ones win. "
		 "An empty assignment clears them."},
	{CONTAINER("EnvironmentFile", type_files, environment_files), .argument = "[-]PATH",
	 .help = "A file with lines NAME=VALUE, read when the site starts; after \"-\" it may be "
		 "missing. May be given several times; its variables win over those of Environment=, "
		 "but ExecStart= does not see them."},
	{CONTAINER("Network", type_network, network), .argument = "none|host|NAME", .fallback = "none",
	 .help = "What the site can reach. none: a network of its own with a loopback interface alone, in "
		 "which "
		 "it answers its listeners and reaches nothing. host: the host's network. NAME: a CNI network "
		 "of this host (see NETWORKS): a network of its own with an interface eth0 that the network's "
		 "plugins make at each cold start. Listeners are the host's in every case."},
	{CONTAINER("PrivateNetwork", type_private_network, network), .argument = "BOOLEAN",
	 .unset_means = "as Network= says",
	 .help = "yes is Network=none, no is Network=host. Of the lines of both keys the last one counts."},
	{LIMIT(NOFILE, "NUMBER"), .help = "Open files. Like all limits: one value, or SOFT:HARD, or infinity."},
	{LIMIT(NPROC, "NUMBER"), .help = "Processes of the user. TasksMax= counts the site's own."},
	{LIMIT_OR(CORE, BYTES, "0"), .help = "The size of a core dump."},
	{LIMIT(FSIZE, BYTES), .help = "The size of a file that is written."},
	{LIMIT(AS, BYTES), .help = "The address space of a process."},
	{LIMIT(STACK, BYTES), .help = "The stack of a process."},
	{LIMIT(DATA, BYTES), .help = "The data segment of a process."},
	{LIMIT(MEMLOCK, BYTES), .help = "Memory that is locked."},
	{LIMIT(CPU, SECONDS), .help = "CPU time of a process, in whole seconds."},
	{LIMIT(NICE, "LEVEL"),
	 .help = "How far a process may raise its priority: 0 to 40, or a nice level with its sign, +19 "
		 "to -20."},
	{LIMIT(RTPRIO, "NUMBER"), .help = "The highest real-time priority."},
	{LIMIT(MSGQUEUE, BYTES), .help = "POSIX message queues of the user."},
	{LIMIT(SIGPENDING, "NUMBER"), .help = "Signals that wait, of the user."},
	{LIMIT(LOCKS, "NUMBER"), .help = "File locks. Linux has not looked at it since 2.4.25."},
	{LIMIT(RSS, BYTES), .help = "Resident memory. Linux does not look at it: see MemoryMax=."},
	{LIMIT(RTTIME, "MICROSECONDS"),
	 .help = "CPU time that a real-time process may take without a system call that blocks."},
	{CONTAINER("CapabilityBoundingSet", type_capabilities, capabilities), .argument = "[~]CAPABILITY...",
	 .fallback = NULL, .unset_means = "none",
	 .help = "Capabilities that the site's processes can have at most, by name. A list after \"~\" "
		 "is taken away from those named before, or from all. Unlike systemd's, the set is "
		 "empty by default."},
	{CONTAINER("AmbientCapabilities", type_capabilities, ambient_capabilities),
	 .argument = "[~]CAPABILITY...", .unset_means = "none",
	 .help = "Capabilities that the program has from its start without being root. Each must be in "
		 "CapabilityBoundingSet= as well."},
	{CONTAINER("AppArmorProfile", type_label, app_armor), .argument = "[-]PROFILE",
	 .unset_means = "torpord's own",
	 .help = "The AppArmor profile that the program runs under, which has to be loaded. Where it cannot be "
		 "set "
		 "the site does not start, or after \"-\" starts without. Unlike systemd's, it is not passed "
		 "over where the host has no AppArmor."},
	{CONTAINER("SELinuxContext", type_label, selinux), .argument = "[-]CONTEXT",
	 .unset_means = "as the policy says",
	 .help = "The same with an SELinux security context. Its type has to be one that the policy lets "
		 "torpord's "
		 "enter with no_new_privs and from file systems without set-user-ID (nnp_transition, "
		 "nosuid_transition)."},
	{CONTAINER("SystemCallFilter", type_syscalls, system_calls), .argument = "[~]CALL|@GROUP[:ERROR]...",
	 .unset_means = "@container",
	 .help = "The system calls that the site may make: names, and groups of names (see SYSTEM CALLS). "
		 "After "
		 "\"~\" those that it may not make, each with the error it gets where \":EPERM\", \":5\" or "
		 "\":kill\" "
		 "follows. Several assignments add up: the first says whether the list allows or denies, later "
		 "ones "
		 "of the other kind take away from it. A list that allows replaces @container, @default being "
		 "part "
		 "of it; one that denies takes away from @container."},
	{CONTAINER("SystemCallErrorNumber", type_syscall_error, system_call_error), .argument = "ERROR|kill",
	 .unset_means = "kill for what SystemCallFilter= refuses, ENOSYS for the rest",
	 .help = "What a refused call gets: an error by name or by number from 1 to 4095, or kill, which ends "
		 "the "
		 "process with SIGSYS."},
	{CONTAINER("SystemCallArchitectures", type_architectures, name), .argument = "native",
	 .unset_means = "native",
	 .help = "The machine whose calls a site may make. There is one: calls of i386 and x32, which would go "
		 "around the filter, are refused with ENOSYS always."},
	{CONTAINER("RestrictAddressFamilies", type_families, families), .argument = "none|[~]FAMILY...",
	 .unset_means = "~AF_ALG AF_PACKET AF_VSOCK",
	 .help = "The address families of sockets that the site may make, AF_UNIX, AF_INET, AF_INET6 and so "
		 "on; "
		 "after \"~\" those that it may not, beside the default's. Several assignments add up as those "
		 "of "
		 "SystemCallFilter=. Listeners, and pairs of unix sockets, are not touched."},
	{CONTAINER("RestrictNamespaces", type_namespaces, namespaces), .argument = "BOOLEAN|[~]NAMESPACE...",
	 .unset_means = "yes",
	 .help = "Whether the site is kept from making and entering namespaces of its own; or those that it "
		 "may "
		 "use, some of cgroup, ipc, net, mnt, pid, time, user and uts; after \"~\" those that it may "
		 "not. "
		 "Several assignments add up. Unlike systemd's, it is yes by default. With anything but no, "
		 "clone3(2) "
		 "fails with ENOSYS, as its flags cannot be looked at."},
	{CONTAINER("LockPersonality", type_bool, lock_personality), .argument = "BOOLEAN", .fallback = "no",
	 .help = "With yes, personality(2) changes nothing. With no, Linux's 32-bit and old-version "
		 "personalities "
		 "remain, and those that weaken memory protection are refused."},
	{CONTAINER("MemoryDenyWriteExecute", type_bool, memory_deny_write_execute), .argument = "BOOLEAN",
	 .fallback = "no",
	 .help = "With yes, memory cannot be made writable and executable at once, or executable later. "
		 "Programs "
		 "that compile while they run (Node.js, Java, PHP's JIT) do not work then."},
	{CONTAINER("RestrictRealtime", type_bool, restrict_realtime), .argument = "BOOLEAN", .fallback = "no",
	 .help = "With yes, processes cannot ask for real-time scheduling, whatever LimitRTPRIO= says. "
		 "sched_setattr(2), which hides what it asks for, fails with ENOSYS."},
	{CONTAINER("RestrictSUIDSGID", type_bool, restrict_suid_sgid), .argument = "BOOLEAN", .fallback = "no",
	 .help = "With yes, no file or folder can be given the set-user-ID or set-group-ID bit. openat2(2), "
		 "which "
		 "hides the mode, fails with ENOSYS. A site with DynamicUser= or PrivateUsers= has it in any "
		 "case."},
	{CONTAINER("Handover", type_choice, handover), .argument = "auto|listen-fds|bind|stdin",
	 .choices = handover_choices, .fallback = "auto",
	 .help = "How the program gets its listeners. listen-fds: from descriptor 3 on, by the protocol "
		 "of sd_listen_fds(3). bind: when it binds a socket to a listener's address, it gets the "
		 "listener in that socket's place; it need know nothing of torpor. auto: whichever of the "
		 "two it uses. stdin: the one listener is descriptor 0."},
	{CONTAINER("BindPort", type_bind, listeners), .parameter = AF_UNSPEC, .argument = "[LISTENER] PORT",
	 .phase = KEY_BIND, .unset_means = "the listener's own",
	 .help = "The port that the program binds to where it is not the listener's: with "
		 "ListenStream=443 and BindPort=8443, the program that binds to 8443 of any address gets the "
		 "listener of port 443. A site with several listeners names the one that is meant first, by "
		 "its port, its address as in ListenStream= or its FileDescriptorName=: BindPort=443 8443. "
		 "Where one port is listened on for connections and for datagrams, both are meant. May be "
		 "given for each listener; of several lines for one the last counts. An empty assignment "
		 "clears these and BindAddress=."},
	{CONTAINER("BindAddress", type_bind, listeners), .parameter = AF_INET, .argument = "[LISTENER] ADDRESS",
	 .phase = KEY_BIND, .unset_means = "the listener's own",
	 .help = "The same with an address, in the syntax of ListenStream=: BindAddress=127.0.0.1:8000, "
		 "BindAddress=/run/site.sock 127.0.0.1:8000. Kinds may differ: a program that knows TCP alone "
		 "can be reached by a unix socket, whose clients have no address that it could ask for."},
	{CONTAINER("NonBlocking", type_bool, non_blocking), .argument = "BOOLEAN", .fallback = "no",
	 .help = "Whether the listeners are handed over non-blocking. Programs that wait in accept(2) need no, "
		 "those that expect an event loop's sockets need yes."},
	{CONTAINER("NotifyAccess", type_choice, notify_access), .argument = "none|main|all",
	 .choices = notify_choices, .fallback = "none",
	 .help = "Whose messages of sd_notify(3) count: nobody's, the main process's, or those of all "
		 "of the site's processes. With Type=notify at least main."},
	{CONTAINER("AcceptWhenReady", type_bool, accept_when_ready), .argument = "BOOLEAN", .fallback = "no",
	 .help = "For programs that take connections only to refuse or drop them while they start or stop: "
		 "with yes, accept(2) has none for the program until it is ready (see Type=), and none as "
		 "soon as it is to be stopped; they wait for it, or for the next start. Where the program's "
		 "socket is non-blocking accept(2) says so (EAGAIN); where it is not the call waits, and is "
		 "interrupted (EINTR) every 10 milliseconds, so that a program that has asked poll(2) can "
		 "see to other things. A call that waits already when the program is to be stopped takes one "
		 "more. Each connection costs some 20 microseconds then, and there can be some 10,000 a "
		 "second."},
	{CONTAINER("KillSignal", type_signal, kill_signal), .argument = "SIGNAL", .fallback = "SIGTERM",
	 .help = "The signal that asks the program to end: SIGTERM, INT, 15, RTMIN+3."},
	{CONTAINER("DrainSec", type_span, drain_us), .argument = SECONDS, .fallback = "0", .min = 0,
	 .max = 86400000000,
	 .help = "For programs that drop their visitors when KillSignal= comes: how long at most torpord waits "
		 "before it sends it, until no connection is open that was accepted from the listeners. "
		 "Connections over TCP on which the program's answer was the last for 3 seconds do not "
		 "count. New ones are served meanwhile. 0 is not to wait, nor is an idle site waited for."},
	{CONTAINER("TimeoutStartSec", type_timeout, timeout_start_us), .argument = SECONDS, .fallback = "90s",
	 .help = "How long a start may take before it counts as failed. 0 and infinity are no limit."},
	{CONTAINER("TimeoutStopSec", type_timeout, timeout_stop_us), .argument = SECONDS, .fallback = "30s",
	 .help = "How long after KillSignal= the site's processes are killed. 0 and infinity are no "
		 "limit."},
	{CONTAINER("TimeoutSec", type_timeouts, timeout_start_us), .argument = SECONDS,
	 .help = "Sets both of them."},
	{CONTAINER("StandardOutput", type_output, standard_output), .argument = "OUTPUT", .fallback = "journal",
	 .help = "Where the program's output goes: journal; null; inherit (torpord's own); file:PATH "
		 "(opened for writing); append:PATH; truncate:PATH. journald counts the lines of all sites as "
		 "torpor.service's, whose limit ships so high that it is none: with a lower LogRateLimitBurst= "
		 "there "
		 "a noisy site has the lines of others dropped. append:PATH has no such limit."},
	{CONTAINER("StandardError", type_output, standard_error), .argument = "OUTPUT", .fallback = "inherit",
	 .help = "The same for its errors; inherit is where StandardOutput= goes."},
	{CONTAINER("SyslogIdentifier", type_string, syslog_identifier), .argument = "NAME",
	 .unset_means = "the site's name", .help = "What lines in the journal are marked with."},
	{CONTAINER("UMask", type_mode, umask), .argument = "MODE", .max = 0777, .fallback = "0022",
	 .help = "The permissions that files the program makes do not get."},
	{CONTAINER("OOMScoreAdjust", type_int, oom_score_adjust), .argument = "NUMBER", .min = -1000,
	 .max = 1000, .fallback = "0",
	 .help = "How readily the kernel kills the site's processes when memory runs out: -1000 (never) "
		 "to 1000 (first)."},
	{CONTAINER("Nice", type_int, nice), .argument = "LEVEL", .min = -20, .max = 19, .fallback = "0",
	 .help = "The nice level of the program, from -20 (most CPU) to 19."},
	{CONTAINER("DevicePolicy", type_choice, device_policy), .argument = "auto|closed|strict",
	 .choices = device_choices, .fallback = "closed",
	 .help = "The devices that the site may use, whatever nodes it finds or makes. With closed: /dev/null, "
		 "/dev/zero, /dev/full, /dev/random, /dev/urandom, /dev/tty, its own terminals, and what "
		 "DeviceAllow= names. With strict: what DeviceAllow= names alone. With auto: all where "
		 "DeviceAllow= names none, else as closed."},
	{CONTAINER("DeviceAllow", type_device, devices), .second = FIELD(n_devices),
	 .argument = "DEVICE [ACCESS]",
	 .help = "A device that the site may use: a node below /dev, which is made in its /dev too, or all "
		 "devices of a name in /proc/devices: char-NAME or block-NAME, where NAME may hold * and ?. "
		 "ACCESS is of r (read), w (write) and m (make nodes), by default rwm. May be given several "
		 "times; an empty assignment clears the list. Nodes are looked up when the unit is read."},

#define TASKS_MAX_DEFAULT .fallback = "512"
#include "resource-keys.inc"

	{HIBERNATE("FreezeAfterSec", type_span, freeze_after_us), .argument = SECONDS, .fallback = "30s",
	 .help = "How long the site must have been idle to be frozen: it stays in memory, takes no CPU, "
		 "and goes on with the next connection or byte. infinity is never. Over TCP the kernel tells "
		 "when bytes moved last; over a unix socket who has connected last is known by the time of "
		 "access of its file, not where that is on a file system mounted noatime, and not for abstract "
		 "names, where short visits do not show but by the CPU that they take. Connections of "
		 "processes "
		 "in other network namespaces to a unix socket are not seen once they are accepted."},
	{HIBERNATE("PageOutAfterSec", type_span, page_out_after_us), .argument = SECONDS,
	 .fallback = "infinity",
	 .help = "How long the site must have been idle, counted from the same instant, for its memory to be "
		 "written to the swap: it stays frozen, and goes on where it was with the next connection or "
		 "byte, reading back what it needs. infinity is never, but for a shortage of memory."},
	{HIBERNATE("SwapFullAction", type_choice_small, swap_full_action), .argument = "stop|none",
	 .choices = swap_full_choices, .fallback = "stop",
	 .help = "What becomes of the site when it is to be paged out and there is no swap, or too little "
		 "is left of it: with stop it is stopped, the next rung down; with none it stays frozen in "
		 "memory until StopAfterSec= is over."},
	{HIBERNATE("Prefetch", type_bool, prefetch), .argument = "BOOLEAN", .fallback = "no",
	 .help = "Whether the site's memory that it used when it was awake last is fetched from the swap, by "
		 "another thread, as soon as it goes on from being paged out, and not page by page as it asks "
		 "for "
		 "it: from the second time on that it is paged out. It makes the first answer earlier, by a "
		 "third "
		 "to a half of a Python site's, where a processor is free to do it, and takes some "
		 "milliseconds "
		 "of that; what a site used is kept in 16 bytes for each range of pages, some 6 KiB."},
	{HIBERNATE("StopAfterSec", type_span, stop_after_us), .argument = SECONDS, .fallback = "10min",
	 .help = "How long the site must have been idle, counted from the same instant, to be stopped: "
		 "the next connection starts it anew. infinity is never."},
	{HIBERNATE("IdleCPU", type_share, idle_cpu), .argument = "PERCENT", .min = 0,
	 .max = (int64_t)VALUE_CPUS_MAX * 10000, .fallback = "1%",
	 .help = "The site is idle only while it takes less than this share of one CPU."},
	{HIBERNATE("FreezeConnections", type_bool, freeze_connections), .argument = "BOOLEAN",
	 .fallback = "yes",
	 .help = "Whether the site may sleep while connections are open. With yes, one on which nothing moves "
		 "does not hold it awake: the site goes on with the next byte that comes in, or when the "
		 "visitor "
		 "hangs up, and the connection stays. With no, every connection that it has accepted holds it "
		 "awake, for programs that send by themselves, by a clock of their own: server-sent events."},
	{HIBERNATE("RequestTimeoutSec", type_span, request_timeout_us), .argument = SECONDS, .fallback = "2min",
	 .help = "How long a request that is not answered holds the site awake, though nothing moves and no "
		 "CPU "
		 "is used: a connection over TCP on which what came in is the last that moved, counted from "
		 "when "
		 "that was so first. After that it does not count, and neither do further bytes that come in, "
		 "until the program sends something: visitors who drip hold nothing awake. infinity is as long "
		 "as it is open; with 0 requests are not looked for, and all bytes count. Of a connection "
		 "over a unix socket nobody can tell what moved last, and when: it counts for so long from "
		 "when it was first seen, and anew when an answer was seen on its way; with 0 not at all."},
	{HIBERNATE("Keep", type_choice, keep), .argument = "no|warm|awake", .choices = keep_choices,
	 .fallback = "no",
	 .help = "What is spared to the site: with warm it is frozen but never paged out or stopped, with "
		 "awake it is never hibernated. It is started with torpord, and again where it has ended; "
		 "one that was stopped with torporctl stays so until somebody wakes it, or Keep= changes."},
	{HIBERNATE("WakeOnCalendar", type_calendars, wake_on), .argument = "CALENDAR", .unset_means = "none",
	 .help = "Times at which the site is woken, whether somebody comes or not, in the syntax of "
		 "OnCalendar= in systemd.timer(5): Mon..Fri 08:00, *-*-01 06:30, hourly, 22:00 UTC. Seconds "
		 "have no fractions, and the time zone is the local one or UTC. May be given several times; "
		 "an empty assignment clears the list. A time that a change to summer time leaves out is "
		 "passed over; one that was missed by more than a minute, as the machine slept or its clock "
		 "was set, is not made up for."},
	{HIBERNATE("WakeAheadSec", type_span, wake_ahead_us), .argument = SECONDS, .fallback = "0", .min = 0,
	 .max = 86400000000,
	 .help = "How long before each of these times the site is woken, so that it is ready when it comes. "
		 "It is not hibernated until then."},
	{HIBERNATE("KeepAwakeSec", type_span, keep_awake_us), .argument = SECONDS, .fallback = "0", .min = 0,
	 .max = (int64_t)366 * 86400000000,
	 .help = "How long from each of these times on the site is kept awake, as with Keep=awake: "
		 "WakeOnCalendar=Mon..Fri 08:00 and KeepAwakeSec=10h are its hours. torpord that starts "
		 "within them wakes it."},
	{HIBERNATE("HibernateOnCalendar", type_calendars, hibernate_on), .argument = "CALENDAR",
	 .unset_means = "none",
	 .help = "Times from which the site is hibernated as soon as it has been idle for 5 seconds: stopped, "
		 "or with Keep=warm frozen. That holds until the next visitor has woken it. Not within the "
		 "hours of KeepAwakeSec=, and not together with Keep=awake."},
	{HIBERNATE("Priority", type_int, priority), .argument = "NUMBER", .min = -100, .max = 100,
	 .fallback = "0",
	 .help = "Where several sites wake at a time, the higher goes first, whatever its slice; under memory "
		 "pressure, the lower sleeps first."},
};

const struct key_table site_keys = {keys, sizeof keys / sizeof *keys, "torpor.site(5)"};
