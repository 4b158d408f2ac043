/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "delegation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "cgroup.h"
#include "cgroup-file.h"
#include "cleanup.h"
#include "device-program.h"
#include "host.h"
#include "log.h"
#include "str.h"

#define PROBE      "probe"   /* a cgroup for a moment */
#define SUPERVISOR "torpord" /* where the daemon itself lives: a cgroup with controllers holds no processes */

/* Where cgroup v2 is mounted: the usual places of a unified and of a hybrid host. */
static const char *find_mount(void)
{
	static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	struct statfs st;

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		if (statfs(places[i], &st) == 0 && st.f_type == CGROUP2_SUPER_MAGIC)
			return places[i];
	return NULL;
}

/* This process's cgroup as /proc says: "/system.slice/torpor.service". */
static int own_cgroup(char *buf, size_t size)
{
	char text[8192], *line, *end;
	ssize_t n = fd_read_attribute(AT_FDCWD, "/proc/self/cgroup", text, sizeof text);

	if (n < 0)
		return (int)n;
	line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (!line)
		return -ENOENT;
	line = strchr(line, '/');
	end = line ? strchr(line, '\n') : NULL;
	if (end)
		*end = '\0';
	if (!line || strlen(line) >= size)
		return -ENOENT;
	strcpy(buf, line);
	return 0;
}

static char *choose_path(const char *wanted)
{
	const char *mount = find_mount();
	char own[PATH_MAX], *path = NULL;

	if (wanted)
		return strdup(wanted);
	if (!mount || own_cgroup(own, sizeof own) < 0)
		return NULL;
	if (str_has_suffix(own, "/" SUPERVISOR))
		*strrchr(own, '/') = '\0';
	/* The root belongs to the machine. */
	if (asprintf(&path, "%s%s", mount, *own == '\0' || str_equal(own, "/") ? "/torpor" : own) < 0)
		return NULL;
	return path;
}

static bool in_cgroup(int fd)
{
	autofclose FILE *procs = cgroup_open_list(fd, "cgroup.procs");
	int pid;

	while (procs && fscanf(procs, "%d", &pid) == 1)
		if (pid == getpid())
			return true;
	return false;
}

static int step_aside(int fd)
{
	autoclose int child_fd = -EBADF;

	if (!in_cgroup(fd))
		return 0;
	if (mkdirat(fd, SUPERVISOR, 0755) < 0 && errno != EEXIST)
		return -errno;
	child_fd = openat(fd, SUPERVISOR, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	return child_fd < 0 ? -errno : fd_write_attribute(child_fd, "cgroup.procs", "0");
}

/* Finds out what the kernel lets us hand on to sites, one by one: "threaded" or missing controllers are no
 * reason not to use the others. */
static unsigned try_controllers(int fd)
{
	unsigned available = controllers_available(fd), usable = 0;

	for (unsigned bit = CONTROLLER_CPU; bit <= CONTROLLER_PIDS; bit <<= 1) {
		int r = available & bit ? controllers_enable(fd, bit, true) : -ENOENT;

		if (r == 0)
			usable |= bit;
		else if (available & bit)
			log_warning("cgroup controller %s cannot be used for sites: %s", controller_name(bit),
				    strerror(-r));
	}
	return usable;
}

/* What a site's cgroup will have, seen in one. */
static void probe_child(struct delegation *delegation)
{
	static const struct bpf_insn allow[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	autoclose int child_fd = cgroup_create(delegation->fd, PROBE);
	autoclose int program_fd = device_program_load(allow, sizeof allow);

	if (child_fd < 0)
		return;
	delegation->files = cgroup_files_present(child_fd);
	delegation->device_programs = program_fd >= 0 && device_program_attach(child_fd, program_fd) == 0;
	(void)cgroup_remove(delegation->fd, PROBE);
}

/* Some controllers cost every start and every switch between processes, so that they are not enabled before a
 * unit asks for them. The others keep sites from each other's throats: without the CPU controller the site with
 * the most processes gets the most of it. */
static void set_up_controllers(struct delegation *delegation)
{
	unsigned later = 0;

	delegation->controllers = try_controllers(delegation->fd);
	probe_child(delegation);
	later = delegation->controllers & ~(unsigned)CONTROLLERS_ALWAYS;
	delegation->enabled = delegation->controllers;
	if (controllers_enable(delegation->fd, later, false) == 0)
		delegation->enabled &= ~later;
}

int delegation_enable(struct delegation *delegation, unsigned controllers)
{
	unsigned more = controllers & ~delegation->enabled;
	int r = controllers_enable(delegation->fd, more, true);

	if (r == 0)
		delegation->enabled |= more;
	return r;
}

/* A site's cgroup is ended, and so are those in slices. A slice is left to whoever made it where it holds
 * anything but sites: a name alone does not make it torpor's. */
static int end_leftover(int parent_fd, const char *name)
{
	int fd, r = 0;
	struct dirent *entry;
	DIR *dir;

	if (str_has_suffix(name, ".site"))
		return cgroup_destroy_tree(parent_fd, name);
	fd = openat(parent_fd, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		fd_close(fd);
		return -errno;
	}
	while (r == 0 && (entry = readdir(dir)))
		if (str_has_suffix(entry->d_name, ".site") || str_has_suffix(entry->d_name, ".slice"))
			r = end_leftover(fd, entry->d_name);
	closedir(dir);
	(void)cgroup_remove(parent_fd, name);
	return r;
}

/* Sites' cgroups of a daemon that did not get to remove them. */
static void end_leftovers(int fd)
{
	int dup_fd = openat(fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	DIR *dir = dup_fd < 0 ? NULL : fdopendir(dup_fd);
	struct dirent *entry;
	unsigned n = 0;

	if (!dir) {
		fd_close(dup_fd);
		return;
	}
	while ((entry = readdir(dir))) {
		int r;

		if (str_has_suffix(entry->d_name, ".network")) /* of a plugin */
			(void)cgroup_destroy_tree(fd, entry->d_name);
		if (!str_has_suffix(entry->d_name, ".site") && !str_has_suffix(entry->d_name, ".slice"))
			continue;
		r = end_leftover(fd, entry->d_name);
		if (r < 0)
			log_warning("cgroup %s of an earlier torpord cannot be removed: %s", entry->d_name,
				    strerror(-r));
		else
			n++;
	}
	closedir(dir);
	if (n > 0)
		log_notice("ended %u containers of an earlier torpord", n);
}

/* Whether a path lies on cgroup v2, by the part of it that exists: nothing is made elsewhere. */
static bool on_cgroup2(const char *path)
{
	char buf[PATH_MAX];
	struct statfs st;

	if (snprintf(buf, sizeof buf, "%s", path) >= (int)sizeof buf)
		return false;
	while (statfs(buf, &st) < 0) {
		char *slash = strrchr(buf, '/');

		if (errno != ENOENT || !slash || slash == buf)
			return false;
		*slash = '\0';
	}
	return st.f_type == CGROUP2_SUPER_MAGIC;
}

int delegation_open(const char *wanted, struct delegation *ret)
{
	autofree char *chosen = choose_path(wanted);
	autoclose int fd = -EBADF;
	bool made;
	int r;

	if (!chosen) {
		log_error("no cgroup v2 is mounted at /sys/fs/cgroup or /sys/fs/cgroup/unified: name torpor's "
			  "part of it "
			  "with --cgroup=PATH");
		return -ENOENT;
	}
	made = access(chosen, F_OK) < 0;
	r = on_cgroup2(chosen) ? fd_make_directories(chosen) : -EMEDIUMTYPE;
	if (r == 0) {
		fd = open(chosen, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
		r = fd < 0 ? -errno : 0;
	}
	/* The root has no cgroup.kill: it is the machine's, and so is what lies in it. */
	if (r == 0 && faccessat(fd, "cgroup.kill", F_OK, 0) < 0)
		r = -EPERM;
	/* Two daemons in one place would end each other's containers. */
	if (r == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
		r = errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (r == 0)
		r = step_aside(fd);
	if (r < 0) {
		log_error("cgroup %s cannot be used: %s", chosen,
			  r == -EMEDIUMTYPE ? "not a cgroup v2"
			  : r == -EPERM     ? "the root of the hierarchy, or a kernel before 5.14"
			  : r == -EBUSY     ? "another torpord manages it"
					    : strerror(-r));
		return r;
	}
	end_leftovers(fd);
	*ret = (struct delegation){.fd = steal_fd(&fd), .path = steal_ptr(chosen), .made = made};
	set_up_controllers(ret);
	return 0;
}

void delegation_close(struct delegation *delegation)
{
	if (delegation->fd < 0)
		return;
	if (delegation->made && rmdir(delegation->path) < 0)
		log_debug("cgroup %s stays: %s", delegation->path, strerror(errno));
	fd_close(delegation->fd);
	free(delegation->path);
	delegation->fd = -EBADF;
}
