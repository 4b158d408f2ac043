/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"
#include "loop.h"
#include "str.h"

#define NAME_BYTES 16

/* linux/magic.h has them; where they stand is said by the file systems. Both are little-endian. */
static const struct {
	const char *type;
	off_t offset;
	unsigned char magic[4];
	bool by_file; /* the kernel may mount a file without a device */
} types[] = {
	{"squashfs", 0, {0x68, 0x73, 0x71, 0x73}, false},
	{"erofs", 1024, {0xe2, 0xe1, 0xf5, 0xe0}, true},
};

void image_cache_init(struct image_cache *cache)
{
	*cache = (struct image_cache){0};
	pthread_mutex_init(&cache->mutex, NULL);
	shared_root_init(&cache->place);
}

void image_cache_finish(struct image_cache *cache)
{
	/* The mounts go with the namespace. */
	shared_root_finish(&cache->place);
	while (cache->images) {
		struct image *next = cache->images->next;

		free(cache->images);
		cache->images = next;
	}
	pthread_mutex_destroy(&cache->mutex);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The file system on a device or in a file, attached nowhere. */
static int mount_source(const char *type, const char *source)
{
	autoclose int fs = fsopen(type, FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	return fd < 0 ? -errno : fd;
}

static int mount_by_loop(const char *type, int file_fd)
{
	char device[LOOP_PATH_BYTES];
	autoclose int loop_fd = loop_attach(file_fd, device);

	/* The device goes with the last mount of it, as nobody else has it open then. */
	return loop_fd < 0 ? loop_fd : mount_source(type, device);
}

/* Named by its descriptor: the file at the path may be another one by now. */
static int mount_file(const char *type, int file_fd)
{
	char source[48];

	snprintf(source, sizeof source, "/proc/thread-self/fd/%d", file_fd);
	return mount_source(type, source);
}

static int mount_image(int file_fd)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		unsigned char magic[sizeof types[i].magic];
		int r = -ENOTBLK;

		if (pread(file_fd, magic, sizeof magic, types[i].offset) != sizeof magic ||
		    memcmp(magic, types[i].magic, sizeof magic) != 0)
			continue;
		if (types[i].by_file)
			r = mount_file(types[i].type, file_fd);
		return r == -ENOTBLK ? mount_by_loop(types[i].type, file_fd) : r;
	}
	return -EMEDIUMTYPE;
}

/* Into the namespace of the images, which is made for the first of them. Its root is the working directory
 * then. Called with the mutex. */
static int enter(struct image_cache *cache, const struct sandbox_host *host)
{
	static const struct mount_list nothing;
	const char *detail;
	int r = cache->place.namespace_fd >= 0
			? 0
			: shared_root_refresh(&cache->place, &nothing, host->mounts_fd, UINT64_MAX, &detail);

	return r == 0 && setns(cache->place.namespace_fd, CLONE_NEWNS) < 0 ? -errno : r;
}

static int leave(const struct sandbox_host *host)
{
	return setns(host->mounts_fd, CLONE_NEWNS) < 0 ? -errno : 0;
}

static const char *name_of(const struct image *image, char buf[static NAME_BYTES])
{
	snprintf(buf, NAME_BYTES, "%u", image->number);
	return buf;
}

static const struct image *find(const struct image_cache *cache, const struct stat *file)
{
	const struct image *image = cache->images;

	while (image && !same_file(&image->file, file))
		image = image->next;
	return image;
}

/* Takes an image off the list and unmounts it. Called in the namespace of the images, with the mutex. */
static void drop(struct image **at)
{
	struct image *image = *at;
	char name[NAME_BYTES];

	*at = image->next;
	if (umount2(name_of(image, name), MNT_DETACH) < 0 || rmdir(name) < 0)
		log_error("image %s cannot be unmounted: %s", image->path, strerror(errno));
	free(image);
}

/* Those that this path was another file for. */
static void drop_path(struct image_cache *cache, const char *path)
{
	for (struct image **at = &cache->images; *at;)
		if (str_equal((*at)->path, path))
			drop(at);
		else
			at = &(*at)->next;
}

/* Called in the namespace of the images, with the mutex. */
static int add(struct image_cache *cache, const char *path, const struct stat *file, int mount_fd)
{
	struct image *image = malloc(sizeof *image + strlen(path) + 1);
	char name[NAME_BYTES];

	if (!image)
		return -ENOMEM;
	*image = (struct image){.file = *file, .number = cache->next_number++};
	strcpy(image->path, path);
	if (mkdir(name_of(image, name), 0700) < 0 ||
	    move_mount(mount_fd, "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH) < 0) {
		int error = -errno;

		(void)rmdir(name);
		free(image);
		return error;
	}
	drop_path(cache, path);
	image->next = cache->images;
	cache->images = image;
	return 0;
}

/* A clone of the image that is mounted for a file; -ENOENT: there is none. mount_fd: to be added first then. */
static int clone_image(struct image_cache *cache, const struct sandbox_host *host, const char *path,
		       const struct stat *file, int mount_fd)
{
	autoclose int fd = -EBADF;
	char name[NAME_BYTES];
	int r, left;

	pthread_mutex_lock(&cache->mutex);
	r = find(cache, file) || mount_fd >= 0 ? enter(cache, host) : -ENOENT;
	if (r == 0 && !find(cache, file))
		r = add(cache, path, file, mount_fd);
	if (r == 0) {
		name_of(find(cache, file), name);
		fd = open_tree(AT_FDCWD, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		r = fd < 0 ? -errno : 0;
	}
	left = leave(host);
	pthread_mutex_unlock(&cache->mutex);
	r = r < 0 ? r : left;
	return r < 0 ? r : steal_fd(&fd);
}

int image_open(struct image_cache *cache, const struct sandbox_host *host, const char *path)
{
	autoclose int file_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), mount_fd = -EBADF;
	struct stat file;
	int r;

	if (file_fd < 0 || fstat(file_fd, &file) < 0)
		return -errno;
	if (!S_ISREG(file.st_mode))
		return S_ISDIR(file.st_mode) ? -EISDIR : -EMEDIUMTYPE;
	r = clone_image(cache, host, path, &file, -EBADF);
	if (r != -ENOENT)
		return r;
	/* Without the mutex: a disk may take its time. Of two that do so at once, one is dropped. */
	mount_fd = mount_image(file_fd);
	return mount_fd < 0 ? mount_fd : clone_image(cache, host, path, &file, mount_fd);
}

void image_forget(struct image_cache *cache, const struct sandbox_host *host, const char *path)
{
	pthread_mutex_lock(&cache->mutex);
	if (cache->images && enter(cache, host) == 0) {
		drop_path(cache, path);
		(void)leave(host);
	}
	pthread_mutex_unlock(&cache->mutex);
}
