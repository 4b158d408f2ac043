/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mounts.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "devices.h"
#include "folders.h"
#include "mount-list.h"
#include "paths.h"
#include "str.h"

/* Files and folders of the host's /etc that programs need to run and that say nothing of other sites. Each is a
 * mount of its own in every container. */
static const char *const shared_etc[] = {
	"alternatives",  "group",  "hosts",     "ld.so.cache", "localtime", "mime.types",
	"nsswitch.conf", "passwd", "protocols", "resolv.conf", "services",  "ssl",
};

/* Names under /proc that tell of the host or change it: as Docker and runc mask them (SECURITY: defaults). */
static const char *const masked_proc[] = {"interrupts",  "kcore",      "keys",       "latency_stats",
					  "sched_debug", "timer_list", "timer_stats"};
static const char *const masked_proc_folders[] = {"acpi", "asound", "scsi"};
static const char *const read_only_proc[] = {"bus", "fs", "irq", "sys", "sysrq-trigger"};

static const struct {
	const char *path, *to;
} device_links[] = {
	{"/dev/fd", "/proc/self/fd"},       {"/dev/stdin", "/proc/self/fd/0"},
	{"/dev/stdout", "/proc/self/fd/1"}, {"/dev/stderr", "/proc/self/fd/2"},
	{"/dev/ptmx", "pts/ptmx"},
};

static void add_directory(struct mount_builder *b, const char *path)
{
	mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_DIRECTORY, .mode = 0755}, NULL, path, NULL);
}

static void add_move(struct mount_builder *b, const char *path, uint8_t flags)
{
	mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_MOVE, .flags = flags}, NULL, path, NULL);
}

/* The shared parts of the default root: the host's programs and libraries, and nothing else of it. */
static void add_host(struct mount_builder *b, const struct host *host)
{
	const struct mount_op bind = {.kind = MOUNT_OP_BIND, .flags = MOUNT_OP_RECURSIVE};
	const struct mount_op etc = {.kind = MOUNT_OP_BIND, .flags = MOUNT_OP_OPTIONAL};
	char path[64];

	mount_list_add(b, bind, "/usr", "/usr", NULL);
	for (unsigned i = 0; i < host->n_links; i++)
		if (!*host->links[i].link) {
			snprintf(path, sizeof path, "/%s", host->links[i].name);
			mount_list_add(b, bind, path, path, NULL);
		}
	mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_FILESYSTEM}, "tmpfs", "/etc",
		       "mode=0755,size=64k,nr_inodes=256");
	for (size_t i = 0; i < sizeof shared_etc / sizeof shared_etc[0]; i++) {
		snprintf(path, sizeof path, "/etc/%s", shared_etc[i]);
		mount_list_add(b, etc, path, path, NULL);
	}
	mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_SYMLINK}, "../usr/lib/os-release",
		       "/etc/os-release", NULL);
	/* One call makes all of it read-only. */
	mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_SEAL}, NULL, "/", NULL);
	mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_WRITABLE}, NULL, "/", NULL);
}

/* The shared parts moved into a root of the container's own. Where the unit mounts something below /etc, that
 * folder is the container's own too, for the mount points. */
static void add_system(struct mount_builder *b, const struct host *host, bool own_etc)
{
	char path[64];

	add_move(b, "/usr", 0);
	for (unsigned i = 0; i < host->n_links; i++) {
		snprintf(path, sizeof path, "/%s", host->links[i].name);
		if (*host->links[i].link)
			mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_SYMLINK}, host->links[i].link,
				       path, NULL);
		else
			add_move(b, path, 0);
	}
	if (!own_etc)
		add_move(b, "/etc", 0);
	for (size_t i = 0; own_etc && i < sizeof shared_etc / sizeof shared_etc[0]; i++) {
		snprintf(path, sizeof path, "/etc/%s", shared_etc[i]);
		add_move(b, path, MOUNT_OP_OPTIONAL);
	}
	if (own_etc)
		mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_SYMLINK}, "../usr/lib/os-release",
			       "/etc/os-release", NULL);
	add_directory(b, "/var");
	add_directory(b, "/run");
	mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_SYMLINK}, "../tmp", "/var/tmp", NULL);
	mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_SYMLINK}, "../run", "/var/run", NULL);
}

/* One operation for each name below /proc; what this kernel does not have is passed over. */
static void add_proc_each(struct mount_builder *b, enum mount_op_kind kind, uint8_t flags,
			  const char *const *names, size_t n)
{
	char path[64];

	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof path, "/proc/%s", names[i]);
		mount_list_add(b, (struct mount_op){.kind = (uint8_t)kind, .flags = MOUNT_OP_OPTIONAL | flags},
			       NULL, path, NULL);
	}
}

static void add_proc(struct mount_builder *b, const struct site_spec *spec)
{
	static const char *const hidepid[] = {
		[PROC_DEFAULT] = NULL,
		[PROC_NO_ACCESS] = "noaccess",
		[PROC_INVISIBLE] = "invisible",
		[PROC_PTRACEABLE] = "ptraceable",
	};

	mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_PROC}, NULL, "/proc", hidepid[spec->protect_proc]);
	add_proc_each(b, MOUNT_OP_MASK, 0, masked_proc, sizeof masked_proc / sizeof masked_proc[0]);
	add_proc_each(b, MOUNT_OP_MASK, MOUNT_OP_FOLDER, masked_proc_folders,
		      sizeof masked_proc_folders / sizeof masked_proc_folders[0]);
	add_proc_each(b, MOUNT_OP_COVER_READ_ONLY, 0, read_only_proc,
		      sizeof read_only_proc / sizeof read_only_proc[0]);
}

static void add_device_nodes(struct mount_builder *b, const char *options)
{
	mount_list_add(
		b, (struct mount_op){.kind = MOUNT_OP_FILESYSTEM, .flags = MOUNT_OP_NOEXEC | MOUNT_OP_DEVICES},
		"tmpfs", "/dev", options);
	for (const struct device_node *node = device_standard; node->path; node++)
		mount_list_add(b,
			       (struct mount_op){.kind = MOUNT_OP_DEVICE,
						 .mode = 0666,
						 .device = (uint32_t)makedev(node->major, node->minor)},
			       NULL, node->path, NULL);
	for (size_t i = 0; i < sizeof device_links / sizeof device_links[0]; i++)
		mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_SYMLINK}, device_links[i].to,
			       device_links[i].path, NULL);
	add_directory(b, "/dev/shm");
	add_directory(b, "/dev/pts");
	add_directory(b, "/dev/mqueue"); /* empty: the cover of folders that are masked */
}

/* A node, or a link, that every container has: /dev/ptmx is one of its own. */
static bool is_standard(const char *path)
{
	for (const struct device_node *node = device_standard; node->path; node++)
		if (str_equal(node->path, path))
			return true;
	for (size_t i = 0; i < sizeof device_links / sizeof device_links[0]; i++)
		if (str_equal(device_links[i].path, path))
			return true;
	return false;
}

/* One node of DeviceAllow=, for everybody in the container: it is the only tenant there. A folder that it lies
 * in is made with it. */
static void add_allowed_device(struct mount_builder *b, const struct device_spec *device)
{
	struct mount_op op = {.kind = MOUNT_OP_DEVICE};
	char folder[PATH_MAX];
	bool block;
	dev_t number;

	if (is_standard(device->name) || device_find(device->name, &block, &number) < 0)
		return;
	snprintf(folder, sizeof folder, "%s", device->name);
	*strrchr(folder, '/') = '\0';
	if (!str_equal(folder, "/dev"))
		add_directory(b, folder);
	op.flags = block ? MOUNT_OP_BLOCK : 0;
	op.mode = (uint16_t)((device->access & DEVICE_READ ? 0444 : 0) |
			     (device->access & DEVICE_WRITE ? 0222 : 0));
	op.device = (uint32_t)number;
	mount_list_add(b, op, NULL, device->name, NULL);
}

/* A /dev of the container's own, where it is not like everybody's. */
static void add_private_devices(struct mount_builder *b, const struct site_spec *spec)
{
	char options[64];

	/* Each device may need a folder of its own. */
	snprintf(options, sizeof options, "mode=0755,size=64k,nr_inodes=%u", 64 + 2 * spec->n_devices);
	add_device_nodes(b, options);
	for (unsigned i = 0; i < spec->n_devices; i++)
		if (spec->devices[i].name[0] == '/')
			add_allowed_device(b, &spec->devices[i]);
}

static void seal_devices(struct mount_builder *b)
{
	mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_READ_ONLY}, NULL, "/dev", NULL);
}

static bool has_target(const struct site_spec *spec, const char *target)
{
	for (unsigned i = 0; i < spec->n_mounts; i++)
		if (str_equal(spec->mounts[i].target, target))
			return true;
	return false;
}

/* What of /dev is a container's own, its /tmp, and its /run in a root of its own. */
static void add_own_filesystems(struct mount_builder *b, const struct site_spec *spec)
{
	const struct mount_op shm = {.kind = MOUNT_OP_FILESYSTEM, .flags = MOUNT_OP_NOEXEC};
	const struct mount_op pts = {.kind = MOUNT_OP_FILESYSTEM, .flags = MOUNT_OP_NOEXEC | MOUNT_OP_DEVICES};

	mount_list_add(b, shm, "tmpfs", "/dev/shm", "mode=1777,size=64m");
	mount_list_add(b, pts, "devpts", "/dev/pts", "mode=0620,ptmxmode=0666");
	if (!has_target(spec, "/tmp"))
		mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_FILESYSTEM}, "tmpfs", "/tmp",
			       "mode=1777,size=10%");
	if (spec_has_root(spec) && !has_target(spec, "/run"))
		mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_FILESYSTEM}, "tmpfs", "/run",
			       "mode=0755,size=10%");
}

/* What an overlay in memory writes to, where root_mount() looks for it: beneath the root that it is for. Those
 * that have none have it too: so they can take each other's sandboxes. */
static void add_upper(struct mount_builder *b)
{
	mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_FILESYSTEM}, "tmpfs", "/upper",
		       "mode=0755,size=10%");
	add_directory(b, "/upper/upper");
	mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_DIRECTORY, .mode = 0700}, NULL, "/upper/work",
		       NULL);
}

/* Whether the unit mounts something below a folder. */
static bool mounts_below(const struct site_spec *spec, const char *folder)
{
	size_t length = strlen(folder);

	for (unsigned i = 0; i < spec->n_mounts; i++)
		if (strncmp(spec->mounts[i].target, folder, length) == 0 &&
		    spec->mounts[i].target[length] == '/')
			return true;
	return false;
}

/* A network may bring its own name servers. */
static bool needs_own_etc(const struct site_spec *spec)
{
	return spec_names_network(spec) || mounts_below(spec, "/etc");
}

static bool needs_own_devices(const struct site_spec *spec)
{
	for (unsigned i = 0; i < spec->n_devices; i++)
		if (spec->devices[i].name[0] == '/')
			return true;
	return mounts_below(spec, "/dev");
}

/* The container's own file systems into a root that they were not made in. */
static void add_moves(struct mount_builder *b, const struct site_spec *spec)
{
	mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_PLACE}, NULL, "/proc", NULL);
	add_move(b, "/dev", 0);
	if (!has_target(spec, "/run"))
		add_move(b, "/run", 0);
	if (!has_target(spec, "/tmp"))
		add_move(b, "/tmp", 0);
}

/* A folder of the program's own for each unix socket that it binds, in place of the host's. */
static void add_folder(struct mount_builder *b, const char *path, uid_t uid, gid_t gid)
{
	char options[96];

	snprintf(options, sizeof options, "mode=0755,uid=%u,gid=%u,size=10%%", uid, gid);
	mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_FILESYSTEM}, "tmpfs", path, options);
}

static void add_mount(struct mount_builder *b, const struct mount_spec *m)
{
	struct mount_op op = {.kind = m->kind == MOUNT_TMPFS ? MOUNT_OP_FILESYSTEM : MOUNT_OP_BIND};

	op.flags |= m->optional ? MOUNT_OP_OPTIONAL : 0;
	op.flags |= m->recursive ? MOUNT_OP_RECURSIVE : 0;
	op.flags |= m->kind == MOUNT_BIND_READ_ONLY ? MOUNT_OP_RDONLY : 0;
	if (m->kind == MOUNT_TMPFS)
		mount_list_add(b, op, "tmpfs", m->target, m->options ? m->options : "mode=0755,size=10%");
	else
		mount_list_add(b, op, m->source, m->target, NULL);
}

/* What the unit mounts, and the folders of its sockets in between. */
static void add_mounts(struct mount_builder *b, const struct site_spec *spec, const struct host *host,
		       uid_t uid, gid_t gid)
{
	struct socket_folder folders[SPEC_LISTENERS_MAX];
	unsigned n_folders = folders_find(spec, host, folders);

	for (unsigned i = 0; i <= spec->n_mounts; i++) {
		for (unsigned k = 0; k < n_folders; k++)
			if (folders[k].before == i)
				add_folder(b, folders[k].path, uid, gid);
		if (i < spec->n_mounts && !str_path_within(spec->mounts[i].target, "/proc"))
			add_mount(b, &spec->mounts[i]);
	}
}

static void add_unit(struct mount_builder *b, const struct site_spec *spec, const struct host *host, uid_t uid,
		     gid_t gid)
{
	const struct mount_op resolver = {.kind = MOUNT_OP_BIND, .flags = MOUNT_OP_OPTIONAL | MOUNT_OP_RDONLY};
	char path[4096];

	if (spec_has_root(spec))
		add_moves(b, spec);
	/* Before the unit's own, which may cover it. */
	if (spec_names_network(spec))
		mount_list_add(b, resolver, MOUNT_NETWORK_RESOLV_CONF, "/etc/resolv.conf", NULL);
	add_mounts(b, spec, host, uid, gid);
	if (spec->notify_access != NOTIFY_NONE) {
		snprintf(path, sizeof path, "%s/notify", host->run_dir);
		mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_BIND, .flags = MOUNT_OP_RDONLY}, path,
			       CONTAINER_NOTIFY_SOCKET, NULL);
	}
	paths_add(b, spec, false);
	if (needs_own_devices(spec))
		seal_devices(b);
	if (!spec->overlay)
		mount_list_add(b, (struct mount_op){.kind = MOUNT_OP_READ_ONLY}, NULL, "/", NULL);
	b->n_ahead = b->n_ops;
}

/* What the unit has in /proc, which then goes to its place. */
static void add_unit_proc(struct mount_builder *b, const struct site_spec *spec)
{
	for (unsigned i = 0; i < spec->n_mounts; i++)
		if (str_path_within(spec->mounts[i].target, "/proc"))
			add_mount(b, &spec->mounts[i]);
	paths_add(b, spec, true);
	if (spec_has_root(spec))
		add_move(b, "/proc", 0);
}

int mounts_compile_shared(const struct host *host, bool own_root, struct mount_list **ret, size_t *ret_bytes)
{
	struct mount_builder b = {0};

	if (!own_root)
		add_host(&b, host);
	add_device_nodes(&b, "mode=0755,size=64k,nr_inodes=64");
	seal_devices(&b);
	b.n_ahead = b.n_ops;
	return mount_list_finish(&b, ret, ret_bytes);
}

int mounts_compile_system(const struct site_spec *spec, const struct host *host, struct mount_list **ret,
			  size_t *ret_bytes)
{
	struct mount_builder b = {0};

	if (!spec_has_root(spec))
		add_system(&b, host, needs_own_etc(spec));
	if (needs_own_devices(spec))
		add_private_devices(&b, spec);
	else
		add_move(&b, "/dev", 0);
	add_own_filesystems(&b, spec);
	if (spec_has_root(spec))
		add_upper(&b);
	add_directory(&b, "/proc");
	b.n_ahead = b.n_ops;
	add_proc(&b, spec);
	return mount_list_finish(&b, ret, ret_bytes);
}

int mounts_compile_unit(const struct site_spec *spec, const struct host *host, uid_t uid, gid_t gid,
			struct mount_list **ret, size_t *ret_bytes)
{
	struct mount_builder b = {0};

	add_unit(&b, spec, host, uid, gid);
	add_unit_proc(&b, spec);
	return mount_list_finish(&b, ret, ret_bytes);
}

const char *mount_op_name(enum mount_op_kind kind)
{
	static const char *const names[] = {
		[MOUNT_OP_DIRECTORY] = "directory",
		[MOUNT_OP_SYMLINK] = "symlink",
		[MOUNT_OP_DEVICE] = "device",
		[MOUNT_OP_BIND] = "bind",
		[MOUNT_OP_FILESYSTEM] = "filesystem",
		[MOUNT_OP_MOVE] = "move",
		[MOUNT_OP_PLACE] = "place",
		[MOUNT_OP_PROC] = "proc",
		[MOUNT_OP_MASK] = "mask",
		[MOUNT_OP_READ_ONLY] = "read-only",
		[MOUNT_OP_WRITABLE] = "writable",
		[MOUNT_OP_SEAL] = "seal",
		[MOUNT_OP_HOLD] = "hold",
		[MOUNT_OP_RELEASE] = "release",
		[MOUNT_OP_COVER_READ_ONLY] = "cover-read-only",
		[MOUNT_OP_HIDE] = "hide",
	};

	return names[kind];
}
