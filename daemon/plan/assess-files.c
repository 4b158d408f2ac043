/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <sys/sysmacros.h>

#include "assessment.h"
#include "devices.h"
#include "str.h"

/* How bad it is to have some path of the host, or something below it, where it can be written to or read. The
 * longest row that a path lies in counts, and every row that lies in the path. */
static const struct {
	const char *path;
	uint8_t write, write_below, read, read_below;
} paths[] = {
	{"/bin", 100, 100, 0, 0},
	{"/boot", 100, 100, 20, 20},
	{"/dev", 100, 20, 50, 20}, /* nodes do not work on a bind, sockets do */
	{"/etc", 100, 80, 60, 10},
	{"/home", 80, 30, 60, 10},
	{"/lib", 100, 100, 0, 0},
	{"/lib64", 100, 100, 0, 0},
	{"/proc", 100, 100, 80, 80},
	{"/root", 100, 100, 100, 100},
	{"/run", 100, 40, 100, 40},
	{"/run/containerd", 100, 100, 100, 100}, /* sockets of who starts programs as root */
	{"/run/dbus", 100, 100, 100, 100},
	{"/run/docker.sock", 100, 100, 100, 100},
	{"/run/podman", 100, 100, 100, 100},
	{"/run/systemd", 100, 100, 100, 100},
	{"/run/torpor", 100, 60, 100, 60},
	{"/run/torpor/control", 100, 100, 100, 100},
	{"/sbin", 100, 100, 0, 0},
	{"/sys", 100, 100, 40, 40},
	{"/usr", 100, 80, 0, 0},
	{"/var/lib", 80, 20, 60, 10},
	{"/var/log", 60, 40, 60, 20},
	{"/var/run", 100, 40, 100, 40},
	{"/var/run/docker.sock", 100, 100, 100, 100},
	{"/var/spool/cron", 100, 100, 40, 40},
};
#define WRITE_ELSEWHERE 20
#define READ_ELSEWHERE  5

#define N(array) (sizeof(array) / sizeof(array)[0])

static bool is_within(const char *path, const char *folder)
{
	return str_equal(folder, "/") || str_path_within(path, folder);
}

static unsigned path_badness(const char *path, bool write)
{
	unsigned own = write ? WRITE_ELSEWHERE : READ_ELSEWHERE, inner = 0;
	size_t longest = 0;

	for (size_t i = 0; i < N(paths); i++) {
		unsigned at = write ? paths[i].write : paths[i].read;
		unsigned below = write ? paths[i].write_below : paths[i].read_below;

		if (is_within(path, paths[i].path) && strlen(paths[i].path) > longest) {
			own = str_equal(path, paths[i].path) ? at : below;
			longest = strlen(paths[i].path);
		} else if (is_within(paths[i].path, path) && at > inner) {
			inner = at;
		}
	}
	return own > inner ? own : inner;
}

/* What ReadOnlyPaths= and its like leave of a bind: writable, read-only, or nothing (-1). The innermost of them
 * around it counts, and one that gives something in it back. */
static int kind_left(const struct site_spec *spec, const struct mount_spec *mount)
{
	enum mount_kind left = mount->kind;
	size_t innermost = 0;

	for (unsigned i = 0; i < spec->n_paths; i++) {
		const struct path_spec *path = &spec->paths[i];

		if (!is_within(mount->target, path->path))
			continue;
		if (path->kind == PATH_INACCESSIBLE)
			return -1;
		if (strlen(path->path) < innermost)
			continue;
		innermost = strlen(path->path);
		left = path->kind == PATH_READ_ONLY ? MOUNT_BIND_READ_ONLY : mount->kind;
	}
	for (unsigned i = 0; i < spec->n_paths; i++)
		if (spec->paths[i].kind == PATH_READ_WRITE && is_within(spec->paths[i].path, mount->target))
			left = mount->kind;
	return (int)left;
}

/* The binds of a kind, the worst of them first in the sentence. */
static void find_binds(struct assessment *a, enum mount_kind kind, const char *none, const char *verb)
{
	bool write = kind == MOUNT_BIND;
	const char *list = NULL, *worst = NULL;
	unsigned n = 0, badness = 0;

	for (unsigned i = 0; i < a->spec->n_mounts; i++) {
		const struct mount_spec *mount = &a->spec->mounts[i];
		unsigned bad;

		if (mount->kind == MOUNT_TMPFS || kind_left(a->spec, mount) != (int)kind)
			continue;
		bad = path_badness(mount->source, write);
		if (!worst || bad > badness)
			worst = mount->source;
		badness = bad > badness ? bad : badness;
		list = assessment_join(a, list, mount->source);
		n++;
	}
	if (n == 0)
		assessment_find(a, 0, "none", "%s", none);
	else if (n == 1)
		assessment_find(a, badness, list, "%s the host's %s", verb, worst);
	else
		assessment_find(a, badness, list, "%s the host's %s and %u more", verb, worst, n - 1);
}

void assess_host_writable(struct assessment *a)
{
	find_binds(a, MOUNT_BIND, "Writes to no path of the host", "Writes to");
}

void assess_host_readable(struct assessment *a)
{
	find_binds(a, MOUNT_BIND_READ_ONLY, "Reads no further path of the host", "Reads");
}

void assess_root(struct assessment *a)
{
	const struct mount_list *list = a->plan->shared_mounts->data;
	unsigned names = 0;

	if (a->spec->root_directory) {
		assessment_find(a, path_badness(a->spec->root_directory, false), "directory",
				"Has %s for its root", a->spec->root_directory);
		return;
	}
	if (a->spec->root_oci) {
		assessment_find(a, 0, "image", "Has the image %s for its root", a->spec->root_oci);
		return;
	}
	if (a->spec->root_image) {
		assessment_find(a, 0, "image", "Has the image %s for its root", a->spec->root_image);
		return;
	}
	for (uint32_t i = 0; i < list->n_ops; i++)
		names += list->ops[i].kind == MOUNT_OP_BIND &&
			 strncmp(mount_text(list, list->ops[i].target), "/etc/", 5) == 0;
	assessment_find(a, 20, "host", "Reads the host's /usr and %u names of /etc", names);
}

/* The unit's own operations end with the root: what is done to it last counts. */
void assess_root_writable(struct assessment *a)
{
	const struct mount_list *list = a->plan->unit_mounts->data;
	bool writable = true;

	for (uint32_t i = 0; i < list->n_ops; i++)
		if (str_equal(mount_text(list, list->ops[i].target), "/"))
			writable = list->ops[i].kind != MOUNT_OP_READ_ONLY &&
				   list->ops[i].kind != MOUNT_OP_COVER_READ_ONLY;
	if (!writable)
		assessment_find(a, 0, "no", "Has a root that is read-only");
	else if (a->spec->overlay && str_equal(a->spec->overlay, "tmpfs"))
		assessment_find(a, 30, "tmpfs", "Writes to its root, until it is stopped");
	else
		assessment_find(a, 100, "kept", "Writes to its root, and that is kept");
}

/* The last mount at a place counts. */
void assess_tmp(struct assessment *a)
{
	const struct mount_spec *last = NULL;

	for (unsigned i = 0; i < a->spec->n_mounts; i++)
		if (str_equal(a->spec->mounts[i].target, "/tmp"))
			last = &a->spec->mounts[i];
	if (!last || last->kind == MOUNT_TMPFS)
		assessment_find(a, 0, "own", "Has a /tmp of its own, in memory");
	else
		assessment_find(
			a, str_equal(last->source, "/tmp") || str_equal(last->source, "/var/tmp") ? 100 : 20,
			last->source, "Has the host's %s for its /tmp", last->source);
}

void assess_proc(struct assessment *a)
{
	const struct mount_list *list = a->plan->system_mounts->data;
	unsigned masked = 0, read_only = 0;

	for (uint32_t i = 0; i < list->n_ops; i++) {
		masked += list->ops[i].kind == MOUNT_OP_MASK;
		read_only += list->ops[i].kind == MOUNT_OP_COVER_READ_ONLY;
	}
	assessment_find(a, masked > 0 && read_only > 0 ? 0 : 100,
			arena_printf(a->arena, "%u masked %u read-only", masked, read_only),
			"Has %u names masked, %u read-only in /proc", masked, read_only);
}

void assess_proc_processes(struct assessment *a)
{
	static const char *const values[] = {
		[PROC_DEFAULT] = "default",
		[PROC_NO_ACCESS] = "noaccess",
		[PROC_INVISIBLE] = "invisible",
		[PROC_PTRACEABLE] = "ptraceable",
	};

	assessment_find(a, 0, values[a->spec->protect_proc],
			a->spec->protect_proc == PROC_DEFAULT ? "Sees all of its own processes in /proc"
							      : "Sees less of its other users' processes");
}

static bool is_standard(const char *path)
{
	for (const struct device_node *node = device_standard; node->path; node++)
		if (str_equal(node->path, path))
			return true;
	return false;
}

/* A disk; or /dev/mem, kmem and port: Documentation/admin-guide/devices.txt. */
static bool is_host_itself(const struct mount_op *op)
{
	unsigned number = minor(op->device);

	return op->flags & MOUNT_OP_BLOCK ||
	       (major(op->device) == 1 && (number == 1 || number == 2 || number == 4));
}

void assess_device_nodes(struct assessment *a)
{
	const struct mount_list *list = a->plan->system_mounts->data;
	const char *names = NULL;
	unsigned badness = 0;

	for (uint32_t i = 0; i < list->n_ops; i++) {
		const struct mount_op *op = &list->ops[i];
		unsigned bad = is_host_itself(op) ? 100 : 30;

		if (op->kind != MOUNT_OP_DEVICE || is_standard(mount_text(list, op->target)))
			continue;
		names = assessment_join(a, names, mount_text(list, op->target));
		badness = bad > badness ? bad : badness;
	}
	if (!names)
		assessment_find(a, 0, "standard", "Has null, zero, full, random, tty in /dev");
	else
		assessment_find(a, badness, names, "Has %s in /dev", names);
}

void assess_device_program(struct assessment *a)
{
	unsigned classes = 0;

	for (unsigned i = 0; i < a->spec->n_devices; i++)
		classes += a->spec->devices[i].name[0] != '/';
	if (a->plan->devices && classes > 0)
		assessment_find(a, 30, "classes", "May use %u whole classes of devices, had it their nodes",
				classes);
	else if (a->plan->devices)
		assessment_find(a, 0, a->spec->device_policy == DEVICES_STRICT ? "strict" : "closed",
				"May use no device but those of its /dev");
	else if (a->spec->device_policy == DEVICES_AUTO && a->spec->n_devices == 0)
		assessment_find(a, 60, "auto", "May use every device that it has a node of");
	else
		assessment_find(a, 60, "not in force",
				"May use every device that it has a node of: no device program");
}

void assess_environment_files(struct assessment *a)
{
	unsigned n = 0;

	for (const char *const *file = a->spec->environment_files; file && *file; file++)
		n++;
	if (n == 0)
		assessment_find(a, 0, "0", "Has no environment from files of the host");
	else
		assessment_find(a, 100, arena_printf(a->arena, "%u", n),
				"Has the environment of %s%s in its memory", a->spec->environment_files[0],
				n > 1 ? " and more" : "");
}

void assess_umask(struct assessment *a)
{
	const char *value = arena_printf(a->arena, "%04o", a->spec->umask);
	bool others = !(a->spec->umask & 0002), group = !(a->spec->umask & 0020);

	assessment_find(a,
			others  ? 100
			: group ? 30
				: 0,
			value, "Makes files that %s may write",
			others  ? "everybody"
			: group ? "its group"
				: "its user alone");
}
