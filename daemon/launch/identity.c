/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "identity.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "id-ranges.h"
#include "log.h"
#include "str.h"

int identity_take(struct identity *identity, struct id_ranges *ranges, const struct launch_plan *plan,
		  const struct user_namespace *users)
{
	const struct site_spec *spec = plan->spec;
	int r = 0;

	*identity = IDENTITY_NONE;
	identity->ranges = ranges;
	if (spec_has_private_users(spec)) {
		r = id_ranges_acquire(ranges, ID_RANGE, spec->name, &identity->first);
		if (r == 0)
			r = user_namespace_map(users, identity->first);
		identity->users_fd = users->fd;
	} else if (spec->dynamic_user) {
		r = id_ranges_acquire(ranges, ID_SINGLE, spec->name, &identity->single);
	}
	return r;
}

uint32_t identity_inside(const struct identity *identity, uint32_t id)
{
	return identity->single && id == PLAN_DYNAMIC_ID ? identity->single : id;
}

uint32_t identity_on_host(const struct identity *identity, uint32_t id)
{
	return identity->first + identity_inside(identity, id);
}

int identity_leave_files(const struct identity *identity, const struct launch_plan *plan, const char *path)
{
	enum id_kind kind = identity->first ? ID_RANGE : ID_SINGLE;

	if (!identity->first && !identity->single)
		return 0;
	if (identity->first)
		log_info("site %s: %s cannot be id-mapped on this host: owners there are the host's, where the "
			 "site's users begin with %u",
			 plan->spec->name, path, identity->first);
	return id_ranges_add_place(identity->ranges, kind, plan->spec->name, path);
}

int identity_map_mount(const struct identity *identity, const struct launch_plan *plan, int mount_fd,
		       const char *path, bool recursive, bool writable)
{
	int whole = identity->first ? user_namespace_map_mount(mount_fd, recursive, identity->users_fd) : 0;
	int top = whole, r = 0;

	/* What is mounted below it may be what cannot be. */
	if (identity->first && whole == 0 && recursive)
		top = user_namespace_map_mount(mount_fd, false, identity->users_fd);
	if (top >= 0 && whole == 0 && writable)
		r = identity_leave_files(identity, plan, path);
	return r < 0 ? r : top;
}

/* One of the words of a tmpfs's options: whether it is name=NUMBER. */
static bool read_owner(const char *word, size_t length, const char *name, uint64_t *ret)
{
	size_t skip = strlen(name);
	char number[24];

	if (length <= skip || length - skip >= sizeof number || strncmp(word, name, skip) != 0)
		return false;
	memcpy(number, word + skip, length - skip);
	number[length - skip] = '\0';
	return str_to_u64(number, ret) == 0 && *ret <= UINT32_MAX;
}

char *identity_tmpfs_options(const struct identity *identity, const char *options)
{
	uint64_t uid = 0, gid = 0;
	char *result;

	for (const char *at = options; *at;) {
		size_t length = strcspn(at, ",");

		if (!read_owner(at, length, "uid=", &uid))
			(void)read_owner(at, length, "gid=", &gid);
		at += length + (at[length] == ',');
	}
	/* The last one of a name counts. */
	return asprintf(&result, "%s%suid=%u,gid=%u", options, *options ? "," : "",
			identity_on_host(identity, (uint32_t)uid),
			identity_on_host(identity, (uint32_t)gid)) < 0
		       ? NULL
		       : result;
}

int identity_own_sandbox(const struct identity *identity)
{
	static const char *const folders[] = {".", "run", "tmp", "dev/shm"};

	for (size_t i = 0; identity->first && i < sizeof folders / sizeof *folders; i++)
		if (fchownat(AT_FDCWD, folders[i], identity->first, identity->first, AT_SYMLINK_NOFOLLOW) < 0 &&
		    errno != ENOENT)
			return -errno;
	return 0;
}

/* Another file-system user takes the capabilities over files away from the calling thread. */
static int regain_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		data[i].effective = data[i].permitted;
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int identity_begin(const struct identity *identity)
{
	(void)setfsgid(identity->first);
	(void)setfsuid(identity->first);
	return regain_capabilities();
}

void identity_end(void)
{
	(void)setfsuid(0);
	(void)setfsgid(0);
}
