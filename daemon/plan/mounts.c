/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mounts.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "devices.h"
#include "folders.h"
#include "str.h"

/* A list under construction: operations and texts grow apart and are joined at the end. */
struct builder {
	struct mount_op *ops;
	size_t n_ops, size_ops, n_ahead;
	char *texts;
	size_t texts_bytes, texts_size;
	int error; /* sticky: the first -errno */
};

/* Files and folders of the host's /etc that programs need to run and that say nothing of other sites. Each is a
 * mount of its own in every container. */
static const char *const shared_etc[] = {
	"alternatives",  "group",  "hosts",     "ld.so.cache", "localtime", "mime.types",
	"nsswitch.conf", "passwd", "protocols", "resolv.conf", "services",  "ssl",
};

/* Names under /proc that tell of the host or change it: as Docker and runc mask them (SECURITY: defaults). */
static const char *const masked_proc_files[] = {"interrupts",  "kcore",      "keys",       "latency_stats",
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

static uint32_t add_text(struct builder *b, const char *text)
{
	size_t bytes, at = b->texts_bytes;

	if (!text || b->error)
		return 0;
	bytes = strlen(text) + 1;
	if (b->texts_bytes + bytes > b->texts_size) {
		size_t want = (b->texts_bytes + bytes) * 2;
		char *grown = want > UINT32_MAX / 4 ? NULL : realloc(b->texts, want);

		if (!grown) {
			b->error = want > UINT32_MAX / 4 ? -E2BIG : -ENOMEM;
			return 0;
		}
		b->texts = grown;
		b->texts_size = want;
	}
	memcpy(b->texts + at, text, bytes);
	b->texts_bytes += bytes;
	return (uint32_t)at + 1; /* 0 is "none"; the join turns it into an offset */
}

static void add(struct builder *b, struct mount_op op, const char *source, const char *target,
		const char *options)
{
	if (b->n_ops == b->size_ops) {
		size_t want = b->size_ops ? b->size_ops * 2 : 64;
		struct mount_op *grown = realloc(b->ops, want * sizeof *grown);

		if (!grown) {
			b->error = -ENOMEM;
			return;
		}
		b->ops = grown;
		b->size_ops = want;
	}
	op.source = add_text(b, source);
	op.target = add_text(b, target);
	op.options = add_text(b, options);
	if (!b->error)
		b->ops[b->n_ops++] = op;
}

static void add_directory(struct builder *b, const char *path)
{
	add(b, (struct mount_op){.kind = MOUNT_OP_DIRECTORY, .mode = 0755}, NULL, path, NULL);
}

static void add_move(struct builder *b, const char *path, uint8_t flags)
{
	add(b, (struct mount_op){.kind = MOUNT_OP_MOVE, .flags = flags}, NULL, path, NULL);
}

/* The shared parts of the default root: the host's programs and libraries, and nothing else of it. */
static void add_host(struct builder *b, const struct host *host)
{
	const struct mount_op bind = {.kind = MOUNT_OP_BIND, .flags = MOUNT_OP_RECURSIVE};
	const struct mount_op etc = {.kind = MOUNT_OP_BIND, .flags = MOUNT_OP_OPTIONAL};
	char path[64];

	add(b, bind, "/usr", "/usr", NULL);
	for (unsigned i = 0; i < host->n_links; i++)
		if (!*host->links[i].link) {
			snprintf(path, sizeof path, "/%s", host->links[i].name);
			add(b, bind, path, path, NULL);
		}
	add(b, (struct mount_op){.kind = MOUNT_OP_FILESYSTEM}, "tmpfs", "/etc",
	    "mode=0755,size=64k,nr_inodes=256");
	for (size_t i = 0; i < sizeof shared_etc / sizeof shared_etc[0]; i++) {
		snprintf(path, sizeof path, "/etc/%s", shared_etc[i]);
		add(b, etc, path, path, NULL);
	}
	add(b, (struct mount_op){.kind = MOUNT_OP_SYMLINK}, "../usr/lib/os-release", "/etc/os-release", NULL);
	/* One call makes all of it read-only. */
	add(b, (struct mount_op){.kind = MOUNT_OP_SEAL}, NULL, "/", NULL);
	add(b, (struct mount_op){.kind = MOUNT_OP_WRITABLE}, NULL, "/", NULL);
}

/* The shared parts moved into a root of the container's own. Where the unit mounts something below /etc, that
 * folder is the container's own too, for the mount points. */
static void add_system(struct builder *b, const struct host *host, bool own_etc)
{
	char path[64];

	add_move(b, "/usr", 0);
	for (unsigned i = 0; i < host->n_links; i++) {
		snprintf(path, sizeof path, "/%s", host->links[i].name);
		if (*host->links[i].link)
			add(b, (struct mount_op){.kind = MOUNT_OP_SYMLINK}, host->links[i].link, path, NULL);
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
		add(b, (struct mount_op){.kind = MOUNT_OP_SYMLINK}, "../usr/lib/os-release", "/etc/os-release",
		    NULL);
	add_directory(b, "/var");
	add_directory(b, "/run");
	add(b, (struct mount_op){.kind = MOUNT_OP_SYMLINK}, "../tmp", "/var/tmp", NULL);
	add(b, (struct mount_op){.kind = MOUNT_OP_SYMLINK}, "../run", "/var/run", NULL);
}

/* One operation for each name below /proc; what this kernel does not have is passed over. */
static void add_proc_each(struct builder *b, enum mount_op_kind kind, const char *const *names, size_t n)
{
	char path[64];

	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof path, "/proc/%s", names[i]);
		add(b, (struct mount_op){.kind = (uint8_t)kind, .flags = MOUNT_OP_OPTIONAL}, NULL, path, NULL);
	}
}

static void add_proc(struct builder *b)
{
	add(b, (struct mount_op){.kind = MOUNT_OP_FILESYSTEM, .flags = MOUNT_OP_NOEXEC}, "proc", "/proc", NULL);
	add_proc_each(b, MOUNT_OP_MASK_FILE, masked_proc_files,
		      sizeof masked_proc_files / sizeof masked_proc_files[0]);
	add_proc_each(b, MOUNT_OP_MASK_FOLDER, masked_proc_folders,
		      sizeof masked_proc_folders / sizeof masked_proc_folders[0]);
	add_proc_each(b, MOUNT_OP_REBIND_READ_ONLY, read_only_proc,
		      sizeof read_only_proc / sizeof read_only_proc[0]);
}

static void add_device_nodes(struct builder *b, const char *options)
{
	add(b, (struct mount_op){.kind = MOUNT_OP_FILESYSTEM, .flags = MOUNT_OP_NOEXEC | MOUNT_OP_DEVICES},
	    "tmpfs", "/dev", options);
	for (const struct device_node *node = device_standard; node->path; node++)
		add(b,
		    (struct mount_op){.kind = MOUNT_OP_DEVICE,
				      .mode = 0666,
				      .device = (uint32_t)makedev(node->major, node->minor)},
		    NULL, node->path, NULL);
	for (size_t i = 0; i < sizeof device_links / sizeof device_links[0]; i++)
		add(b, (struct mount_op){.kind = MOUNT_OP_SYMLINK}, device_links[i].to, device_links[i].path,
		    NULL);
	add_directory(b, "/dev/shm");
	add_directory(b, "/dev/pts");
	add_directory(b, "/dev/mqueue"); /* empty: the cover of folders that are masked */
}

static bool is_standard(const char *path)
{
	for (const struct device_node *node = device_standard; node->path; node++)
		if (str_equal(node->path, path))
			return true;
	return false;
}

/* One node of DeviceAllow=, for everybody in the container: it is the only tenant there. A folder that it lies
 * in is made with it. */
static void add_allowed_device(struct builder *b, const struct device_spec *device)
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
	add(b, op, NULL, device->name, NULL);
}

/* A /dev of the container's own, where it is not like everybody's. */
static void add_private_devices(struct builder *b, const struct site_spec *spec)
{
	char options[64];

	/* Each device may need a folder of its own. */
	snprintf(options, sizeof options, "mode=0755,size=64k,nr_inodes=%u", 64 + 2 * spec->n_devices);
	add_device_nodes(b, options);
	for (unsigned i = 0; i < spec->n_devices; i++)
		if (spec->devices[i].name[0] == '/')
			add_allowed_device(b, &spec->devices[i]);
}

static void seal_devices(struct builder *b)
{
	add(b, (struct mount_op){.kind = MOUNT_OP_READ_ONLY}, NULL, "/dev", NULL);
}

/* What of /dev is a container's own, and its /tmp. */
static void add_own_filesystems(struct builder *b, bool own_tmp)
{
	const struct mount_op shm = {.kind = MOUNT_OP_FILESYSTEM, .flags = MOUNT_OP_NOEXEC};
	const struct mount_op pts = {.kind = MOUNT_OP_FILESYSTEM, .flags = MOUNT_OP_NOEXEC | MOUNT_OP_DEVICES};

	add(b, shm, "tmpfs", "/dev/shm", "mode=1777,size=64m");
	add(b, pts, "devpts", "/dev/pts", "mode=0620,ptmxmode=0666");
	if (own_tmp)
		add(b, (struct mount_op){.kind = MOUNT_OP_FILESYSTEM}, "tmpfs", "/tmp", "mode=1777,size=10%");
}

static bool has_target(const struct site_spec *spec, const char *target)
{
	for (unsigned i = 0; i < spec->n_mounts; i++)
		if (str_equal(spec->mounts[i].target, target))
			return true;
	return false;
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

static bool needs_own_devices(const struct site_spec *spec)
{
	for (unsigned i = 0; i < spec->n_devices; i++)
		if (spec->devices[i].name[0] == '/')
			return true;
	return mounts_below(spec, "/dev");
}

/* A folder of the program's own for each unix socket that it binds, in place of the host's. */
static void add_folder(struct builder *b, const char *path, uid_t uid, gid_t gid)
{
	char options[96];

	snprintf(options, sizeof options, "mode=0755,uid=%u,gid=%u,size=10%%", uid, gid);
	add(b, (struct mount_op){.kind = MOUNT_OP_FILESYSTEM}, "tmpfs", path, options);
}

static void add_unit(struct builder *b, const struct site_spec *spec, const struct host *host, uid_t uid,
		     gid_t gid)
{
	struct socket_folder folders[SPEC_LISTENERS_MAX];
	unsigned n_folders = folders_find(spec, host, folders);
	char path[4096];

	for (unsigned i = 0; i < spec->n_mounts; i++) {
		const struct mount_spec *m = &spec->mounts[i];
		struct mount_op op = {.kind = m->kind == MOUNT_TMPFS ? MOUNT_OP_FILESYSTEM : MOUNT_OP_BIND};

		for (unsigned k = 0; k < n_folders; k++)
			if (folders[k].before == i)
				add_folder(b, folders[k].path, uid, gid);
		op.flags |= m->optional ? MOUNT_OP_OPTIONAL : 0;
		op.flags |= m->recursive ? MOUNT_OP_RECURSIVE : 0;
		op.flags |= m->kind == MOUNT_BIND_READ_ONLY ? MOUNT_OP_RDONLY : 0;
		if (m->kind == MOUNT_TMPFS)
			add(b, op, "tmpfs", m->target, m->options ? m->options : "mode=0755,size=10%");
		else
			add(b, op, m->source, m->target, NULL);
	}
	for (unsigned k = 0; k < n_folders; k++)
		if (folders[k].before == spec->n_mounts)
			add_folder(b, folders[k].path, uid, gid);
	if (spec->notify_access != NOTIFY_NONE) {
		snprintf(path, sizeof path, "%s/notify", host->run_dir);
		add(b, (struct mount_op){.kind = MOUNT_OP_BIND, .flags = MOUNT_OP_RDONLY}, path,
		    CONTAINER_NOTIFY_SOCKET, NULL);
	}
	if (needs_own_devices(spec))
		seal_devices(b);
	add(b, (struct mount_op){.kind = MOUNT_OP_READ_ONLY}, NULL, "/", NULL);
}

/* Joins operations and texts to one block; the builder is empty afterwards. */
static int finish(struct builder *b, struct mount_list **ret, size_t *ret_bytes)
{
	size_t head = sizeof **ret + b->n_ops * sizeof b->ops[0], bytes = head + b->texts_bytes;
	struct mount_list *list = b->error ? NULL : calloc(1, bytes);

	if (!b->error && !list)
		b->error = -ENOMEM;
	if (!b->error) {
		list->n_ops = (uint32_t)b->n_ops;
		list->n_ahead = (uint32_t)b->n_ahead;
		for (size_t i = 0; i < b->n_ops; i++) {
			struct mount_op op = b->ops[i];

			op.source += op.source ? (uint32_t)head - 1 : 0;
			op.target += op.target ? (uint32_t)head - 1 : 0;
			op.options += op.options ? (uint32_t)head - 1 : 0;
			list->ops[i] = op;
		}
		memcpy((char *)list + head, b->texts, b->texts_bytes);
		*ret = list;
		*ret_bytes = bytes;
	}
	free(b->ops);
	free(b->texts);
	return b->error;
}

int mounts_compile_shared(const struct host *host, struct mount_list **ret, size_t *ret_bytes)
{
	struct builder b = {0};

	add_host(&b, host);
	add_device_nodes(&b, "mode=0755,size=64k,nr_inodes=64");
	seal_devices(&b);
	return finish(&b, ret, ret_bytes);
}

int mounts_compile_system(const struct site_spec *spec, const struct host *host, struct mount_list **ret,
			  size_t *ret_bytes)
{
	struct builder b = {0};

	add_system(&b, host, mounts_below(spec, "/etc"));
	if (needs_own_devices(spec))
		add_private_devices(&b, spec);
	else
		add_move(&b, "/dev", 0);
	add_own_filesystems(&b, !has_target(spec, "/tmp"));
	add_directory(&b, "/proc");
	b.n_ahead = b.n_ops;
	add_proc(&b);
	return finish(&b, ret, ret_bytes);
}

int mounts_compile_unit(const struct site_spec *spec, const struct host *host, uid_t uid, gid_t gid,
			struct mount_list **ret, size_t *ret_bytes)
{
	struct builder b = {0};

	add_unit(&b, spec, host, uid, gid);
	return finish(&b, ret, ret_bytes);
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
		[MOUNT_OP_MASK_FILE] = "mask-file",
		[MOUNT_OP_MASK_FOLDER] = "mask-folder",
		[MOUNT_OP_READ_ONLY] = "read-only",
		[MOUNT_OP_WRITABLE] = "writable",
		[MOUNT_OP_SEAL] = "seal",
		[MOUNT_OP_REBIND_READ_ONLY] = "rebind-read-only",
	};

	return names[kind];
}
