/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oci-image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "oci-blob.h"
#include "str.h"

#define INDEX_DEPTH_MAX 4 /* indexes in indexes */

static const char index_file[] = "index.json", layout_file[] = "oci-layout", bundle_file[] = "config.json";

size_t oci_name_folder(const char *name)
{
	return strcspn(name, ":");
}

static int read_config(struct oci_image *image, int folder_fd, const struct oci_descriptor *descriptor,
		       struct diag *diag)
{
	char path[OCI_BLOB_PATH_BYTES];
	json_t *config = NULL;
	int r = oci_read_blob(folder_fd, descriptor, &config, diag);

	if (r == 0)
		r = oci_config_read(config, oci_architecture(), image, oci_blob_path(descriptor->digest, path),
				    diag);
	json_decref(config);
	return r;
}

static int read_manifest(struct oci_image *image, int folder_fd, const struct oci_descriptor *descriptor,
			 struct diag *diag)
{
	char path[OCI_BLOB_PATH_BYTES];
	struct oci_descriptor config;
	json_t *manifest = NULL;
	int r = oci_read_blob(folder_fd, descriptor, &manifest, diag);

	if (r == 0)
		r = oci_manifest_read(manifest, image, &config, oci_blob_path(descriptor->digest, path), diag);
	json_decref(manifest);
	if (r < 0)
		return r;
	image->digest = arena_strdup(&image->arena, descriptor->digest);
	if (!image->digest)
		return diag_set(diag, -ENOMEM, path, 0, "out of memory");
	return read_config(image, folder_fd, &config, diag);
}

/* From an index down to the manifest for this machine. */
static int read_index(struct oci_image *image, int folder_fd, struct diag *diag)
{
	char path[OCI_BLOB_PATH_BYTES] = "index.json";
	const char *reference = image->reference;
	struct oci_descriptor descriptor;
	json_t *index = NULL;
	bool nested = true;
	int r = oci_read_file(folder_fd, path, &index, diag);

	for (unsigned depth = 0; r == 0 && nested; depth++) {
		if (depth == INDEX_DEPTH_MAX) {
			r = diag_set(diag, -EINVAL, path, 0, "more than %d indexes in each other",
				     INDEX_DEPTH_MAX);
			break;
		}
		r = oci_index_choose(index, reference, oci_architecture(), &descriptor, &nested, path, diag);
		reference = NULL; /* names are the outermost's */
		json_decref(index);
		index = NULL;
		oci_blob_path(descriptor.digest, path);
		if (r == 0 && nested)
			r = oci_read_blob(folder_fd, &descriptor, &index, diag);
	}
	json_decref(index);
	return r < 0 ? r : read_manifest(image, folder_fd, &descriptor, diag);
}

static int read_layout(struct oci_image *image, int folder_fd, struct diag *diag)
{
	json_t *layout = NULL;
	int r = oci_read_file(folder_fd, layout_file, &layout, diag);

	if (r == 0)
		r = oci_layout_check(layout, layout_file, diag);
	json_decref(layout);
	return r < 0 ? r : read_index(image, folder_fd, diag);
}

static int read_bundle(struct oci_image *image, int folder_fd, struct diag *diag)
{
	json_t *config = NULL;
	int r;

	if (image->reference)
		return diag_set(diag, -EINVAL, "", 0, "a bundle has one image, and no name for it");
	r = oci_read_file(folder_fd, bundle_file, &config, diag);
	if (r == 0)
		r = oci_bundle_read(config, image, bundle_file, diag);
	json_decref(config);
	return r;
}

/* Which of the two it is, by its file. */
static int stamp(int folder_fd, struct stat *ret)
{
	if (fstatat(folder_fd, index_file, ret, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return fstatat(folder_fd, bundle_file, ret, AT_SYMLINK_NOFOLLOW) == 0 ? 1 : -ENOENT;
}

static int open_folder(const char *name)
{
	autofree char *folder = strndup(name, oci_name_folder(name));
	int fd = folder ? open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	return !folder ? -ENOMEM : fd < 0 ? -errno : fd;
}

static int set_name(struct oci_image *image, const char *name)
{
	size_t length = oci_name_folder(name);

	image->name = arena_strdup(&image->arena, name);
	image->folder = arena_strndup(&image->arena, name, length);
	image->reference = image->name && name[length] ? image->name + length + 1 : NULL;
	return image->name && image->folder ? 0 : -ENOMEM;
}

int oci_image_load(const char *name, struct oci_image **ret, struct diag *diag)
{
	struct oci_image *image = calloc(1, sizeof *image);
	autoclose int fd = open_folder(name);
	int r = image ? fd : -ENOMEM, bundle = 0;

	if (image) {
		arena_init(&image->arena);
		image->refs = 1;
	}
	if (r >= 0)
		r = set_name(image, name);
	if (r == 0)
		r = bundle = stamp(fd, &image->stamp);
	if (r == -ENOENT && fd >= 0)
		diag_set(diag, r, "", 0,
			 "expected an image layout (index.json, oci-layout, blobs) or a bundle (config.json)");
	else if (r < 0)
		diag_set(diag, r, "", 0, "%s", strerror(-r));
	if (r >= 0)
		r = bundle ? read_bundle(image, fd, diag) : read_layout(image, fd, diag);
	if (r < 0) {
		oci_image_free(image);
		return r;
	}
	*ret = image;
	return 0;
}

void oci_image_free(struct oci_image *image)
{
	if (!image)
		return;
	arena_finish(&image->arena);
	free(image);
}

static bool same_stamp(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

int oci_cache_get(struct oci_cache *cache, const char *name, struct oci_image **ret, struct diag *diag)
{
	autoclose int fd = open_folder(name);
	struct stat now;
	int r;

	if (fd >= 0 && stamp(fd, &now) >= 0)
		for (struct oci_image *image = cache->images; image; image = image->next)
			if (str_equal(image->name, name) && same_stamp(&image->stamp, &now)) {
				*ret = oci_image_ref(image);
				return 0;
			}
	r = oci_image_load(name, ret, diag);
	if (r == 0) {
		(*ret)->next = cache->images;
		cache->images = *ret;
	}
	return r;
}

struct oci_image *oci_image_ref(struct oci_image *image)
{
	image->refs++;
	return image;
}

void oci_image_unref(struct oci_cache *cache, struct oci_image *image)
{
	if (!image || --image->refs > 0)
		return;
	for (struct oci_image **at = &cache->images; *at; at = &(*at)->next)
		if (*at == image) {
			*at = image->next;
			break;
		}
	oci_image_free(image);
	if (cache->unused)
		cache->unused(cache->context);
}
