/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "root.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "layers.h"
#include "mount-source.h"
#include "str.h"

static const struct mount_op whole_tree = {.flags = MOUNT_OP_RECURSIVE | MOUNT_OP_RDONLY},
			     one_folder = {.flags = 0};

/* A folder in one that only root can write to: nobody swaps it for a link meanwhile. Owned by who writes there
 * where it is new. */
static int make_folder(int dir_fd, const char *name, mode_t mode, uid_t uid, gid_t gid)
{
	autoclose int fd = -EBADF;
	bool made = mkdirat(dir_fd, name, mode) == 0;

	if (!made && errno != EEXIST)
		return -errno;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || (made && fchown(fd, uid, gid) < 0))
		return -errno;
	return 0;
}

static int make_folders(int dir_fd, const struct launch_plan *plan, const struct identity *identity,
			uid_t owner)
{
	int r = make_folder(dir_fd, "upper", 0755, identity_on_host(identity, plan->uid),
			    identity_on_host(identity, plan->gid));

	return r < 0 ? r : make_folder(dir_fd, "work", 0700, owner, owner);
}

/* The same where the mount is mapped: in the eyes of who is not of the container's users nothing can be made.
 */
static int make_folders_mapped(int dir_fd, const struct launch_plan *plan, const struct identity *identity)
{
	int r = identity_begin(identity);

	if (r == 0)
		r = make_folders(dir_fd, plan, identity, identity->first);
	identity_end();
	return r;
}

/* The folder of Overlay=. Who could write to it would choose what the overlay takes for its own; who could look
 * into it, run what is there. */
static int open_kept(struct root *root, const struct launch_plan *plan, const struct identity *identity)
{
	const char *path = plan->spec->overlay;
	autoclose int fd = -EBADF;
	struct stat st;
	int r = fd_make_directories(path);

	if (r < 0)
		return r;
	fd = mount_source_clone_trusted(&one_folder, path);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != 0 || st.st_mode & (S_IWGRP | S_IWOTH))
		return -EPERM;
	/* A set-user-ID program of the image is copied up with its owner, who is the host's here. */
	if (st.st_mode & (S_IRWXG | S_IRWXO) && fchmodat(fd, ".", S_IRWXU, 0) < 0)
		return -errno;
	/* What is copied up keeps its owner: a layer that is mapped takes none from one that is not. */
	r = root->base_mapped || !identity->first ? identity_map_mount(identity, plan, fd, path, false, true)
						  : identity_leave_files(identity, plan, path);
	if (r >= 0) {
		root->upper_mapped = r > 0;
		r = r > 0 ? make_folders_mapped(fd, plan, identity) : make_folders(fd, plan, identity, 0);
	}
	return r < 0 ? r : steal_fd(&fd);
}

/* Of a bundle, which may be hostile: its root lies in it, and no link leads out. */
static int open_bundle(const struct oci_image *image)
{
	const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				     .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	autoclose int folder_fd = open(image->folder, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -EBADF;

	if (folder_fd < 0)
		return -errno;
	fd = (int)syscall(SYS_openat2, folder_fd, image->root, &how, sizeof how);
	return fd < 0 ? -errno : mount_source_clone_fd(&whole_tree, fd);
}

static int open_layers(struct root *root, const struct launch_plan *plan, const struct identity *identity)
{
	const struct plan_oci *oci = plan->oci;
	int r = layers_open(oci->image, oci->layers_dir, &root->layer_fds);

	root->n_layers = oci->image->n_layers;
	root->base_mapped = identity->first != 0;
	for (unsigned i = 0; r >= 0 && i < root->n_layers; i++) {
		r = identity_map_mount(identity, plan, root->layer_fds[i], oci->layers_dir, false, false);
		root->base_mapped &= r > 0;
	}
	return r < 0 ? r : 0;
}

static int open_base(struct root *root, const struct launch_plan *plan, const struct identity *identity,
		     struct image_cache *images, const struct sandbox_host *host)
{
	const struct site_spec *spec = plan->spec;
	int r;

	if (plan->oci && !plan->oci->image->root)
		return open_layers(root, plan, identity);
	root->base_fd = spec->root_image ? image_open(images, host, spec->root_image)
			: plan->oci      ? open_bundle(plan->oci->image)
					 : mount_source_clone_trusted(&whole_tree, spec->root_directory);
	if (root->base_fd < 0)
		return root->base_fd;
	r = identity_map_mount(identity, plan, root->base_fd, spec_root(spec), !spec->root_image, false);
	root->base_mapped = r > 0;
	return r < 0 ? r : 0;
}

int root_open(struct root *root, const struct launch_plan *plan, const struct identity *identity,
	      struct image_cache *images, const struct sandbox_host *host, const char **detail)
{
	const struct site_spec *spec = plan->spec;
	int r;

	if (!spec_has_root(spec))
		return 0;
	*detail = spec_root(spec);
	r = open_base(root, plan, identity, images, host);
	if (r < 0 || !spec->overlay)
		return r;
	*detail = spec->overlay;
	root->upper_ahead = str_equal(spec->overlay, "tmpfs");
	if (root->upper_ahead)
		return 0;
	root->upper_fd = open_kept(root, plan, identity);
	return root->upper_fd < 0 ? root->upper_fd : 0;
}

/* In the sandbox's own root, where nobody has been yet; what it has of this name already is covered. */
static int attach(int fd, const char *name)
{
	if ((mkdirat(AT_FDCWD, name, 0700) < 0 && errno != EEXIST) ||
	    syscall(SYS_move_mount, fd, "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

static bool has_upper(const struct root *root)
{
	return root->upper_fd >= 0 || root->upper_ahead;
}

/* mounts_compile_system() has seen to the rest. */
static int own_upper(const struct launch_plan *plan, const struct identity *identity)
{
	return fchownat(AT_FDCWD, "upper/upper", identity_on_host(identity, plan->uid),
			identity_on_host(identity, plan->gid), AT_SYMLINK_NOFOLLOW) < 0
		       ? -errno
		       : 0;
}

static int new_overlay(const struct root *root)
{
	if (root->layer_fds)
		return layers_mount(root->n_layers,
				    has_upper(root) ? ",upperdir=upper/upper,workdir=upper/work" : "");
	return mount_source_create("overlay",
				   "lowerdir=lower,upperdir=upper/upper,workdir=upper/work,"
				   "redirect_dir=nofollow,metacopy=off,index=off",
				   MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

/* All its parts are mounts of the sandbox by now, and names in a folder that nobody else sees: the overlay's
 * layers have to be attached, before Linux 6.15, and paths are all that it takes, before 6.13. What it makes
 * for itself, it makes as who mounts it. */
static int mount_overlay(const struct root *root, const struct launch_plan *plan,
			 const struct identity *identity)
{
	int r = root->layer_fds ? layers_attach(root->layer_fds, root->n_layers, identity->first)
				: attach(root->base_fd, "lower");

	if (r == 0 && root->upper_ahead)
		r = own_upper(plan, identity);
	else if (r == 0 && root->upper_fd >= 0)
		r = attach(root->upper_fd, "upper");
	if (r < 0 || !root->upper_mapped)
		return r < 0 ? r : new_overlay(root);
	r = identity_begin(identity);
	if (r == 0)
		r = new_overlay(root);
	identity_end();
	return r;
}

int root_mount(const struct root *root, const struct launch_plan *plan, const struct identity *identity,
	       int *ret_fd, const char **detail)
{
	bool overlay = has_upper(root) || root->layer_fds;
	autoclose int fd = -EBADF;

	if (root->base_fd < 0 && !root->layer_fds)
		return 0;
	*detail = plan->spec->overlay ? plan->spec->overlay : "/";
	fd = overlay ? mount_overlay(root, plan, identity) : fcntl(root->base_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return overlay ? fd : -errno;
	/* Upon the sandbox's own root: as that one is the first of its namespace, no ".." leads back to it. */
	if (syscall(SYS_move_mount, fd, "", AT_FDCWD, ".", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	*ret_fd = steal_fd(&fd);
	return 0;
}

void root_finish(struct root *root)
{
	layers_close(root->layer_fds, root->n_layers);
	fd_close(root->base_fd);
	fd_close(root->upper_fd);
	*root = ROOT_NONE;
}
