/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer-store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "cleanup.h"
#include "str.h"

#define WALK_FILES 64 /* descriptors that a removal may have open */

#define NAME_BYTES (sizeof "new." + OCI_DIGEST_BYTES)

static const char new_prefix[] = "new.", old_prefix[] = "old.";

char *layer_store_folder(const char *state)
{
	char *folder;

	/* Sites keep their data beside it, under their names, of which none begins with a dot. */
	return asprintf(&folder, "%s/.layers", state) < 0 ? NULL : folder;
}

char *layer_store_path(const char *folder, const char *digest)
{
	char *path;

	return asprintf(&path, "%s/%s", folder, digest) < 0 ? NULL : path;
}

int layer_store_init(struct layer_store *store, const char *state)
{
	*store = (struct layer_store){.folder = layer_store_folder(state), .fd = -EBADF};
	return store->folder ? 0 : -ENOMEM;
}

void layer_store_finish(struct layer_store *store)
{
	fd_close(store->fd);
	free(store->folder);
	*store = (struct layer_store){.fd = -EBADF};
}

int layer_store_open(struct layer_store *store)
{
	autoclose int fd = -EBADF;
	int r;

	if (store->fd >= 0)
		return 0;
	r = fd_make_directories(store->folder);
	if (r < 0)
		return r;
	fd = open(store->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchown(fd, 0, 0) < 0 || fchmod(fd, 0700) < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	store->fd = steal_fd(&fd);
	return 0;
}

unsigned layer_store_missing(const char *folder, const struct oci_image *image)
{
	unsigned missing = 0;

	for (unsigned i = 0; i < image->n_layers; i++) {
		autofree char *path = layer_store_path(folder, image->layers[i].digest);

		missing += !path || access(path, F_OK) < 0;
	}
	return missing;
}

int layer_store_begin(const struct layer_store *store, char **path)
{
	autofree char *made = NULL;
	int fd;

	if (asprintf(&made, "%s/%sXXXXXX", store->folder, new_prefix) < 0) {
		made = NULL;
		return -ENOMEM;
	}
	if (!mkdtemp(made))
		return -errno;
	/* The root of a tree: where no layer says otherwise, everybody may enter. */
	fd = open(made, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0755) < 0) {
		int error = -errno;

		fd_close(fd);
		(void)rmdir(made);
		return error;
	}
	*path = steal_ptr(made);
	return fd;
}

static const char *name_of(const char *prefix, const char *digest, char buf[static NAME_BYTES])
{
	snprintf(buf, NAME_BYTES, "%s%s", prefix, digest);
	return buf;
}

int layer_store_commit(const struct layer_store *store, const char *path, const char *digest)
{
	char name[NAME_BYTES];

	return renameat(AT_FDCWD, path, store->fd, name_of(new_prefix, digest, name)) < 0 ? -errno : 0;
}

int layer_store_publish(const struct layer_store *store, const struct oci_image *image)
{
	if (syncfs(store->fd) < 0)
		return -errno;
	for (unsigned i = 0; i < image->n_layers; i++) {
		const char *digest = image->layers[i].digest;
		char name[NAME_BYTES];

		if (renameat(store->fd, name_of(new_prefix, digest, name), store->fd, digest) < 0 &&
		    errno != ENOENT)
			return -errno;
	}
	return fsync(store->fd) < 0 ? -errno : 0;
}

int layer_store_drop(const struct layer_store *store, const char *digest)
{
	char name[NAME_BYTES];

	return renameat(store->fd, digest, store->fd, name_of(old_prefix, digest, name)) < 0 ? -errno : 0;
}

void layer_store_each(const struct layer_store *store, void (*each)(void *context, const char *digest),
		      void *context)
{
	DIR *dir = opendir(store->folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (strlen(entry->d_name) == OCI_DIGEST_BYTES - 1 &&
		    strspn(entry->d_name, "0123456789abcdef") == OCI_DIGEST_BYTES - 1)
			each(context, entry->d_name);
	if (dir)
		closedir(dir);
}

/* No link is followed, and nobody else is in there to change anything meanwhile. */
static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return (kind == FTW_DP || kind == FTW_DNR ? rmdir(path) : unlink(path)) < 0 ? -errno : 0;
}

int layer_store_clean(const struct layer_store *store)
{
	DIR *dir = opendir(store->folder);
	struct dirent *entry;
	int first = dir ? 0 : -errno;

	while (dir && (entry = readdir(dir))) {
		autofree char *path = NULL;
		int r;

		if (strncmp(entry->d_name, new_prefix, sizeof new_prefix - 1) != 0 &&
		    strncmp(entry->d_name, old_prefix, sizeof old_prefix - 1) != 0)
			continue;
		path = layer_store_path(store->folder, entry->d_name);
		r = path ? nftw(path, remove_one, WALK_FILES, FTW_DEPTH | FTW_PHYS) : -ENOMEM;
		if (first == 0 && r != 0)
			first = r < 0 ? r : -errno;
	}
	if (dir)
		closedir(dir);
	return first;
}
