/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What images and bundles say about the process to start. */

#include "oci-document.h"

#include <errno.h>
#include <string.h>

#include "str.h"

#define STRINGS_MAX 1024        /* of a list */
#define STRING_MAX  (64 * 1024) /* bytes of one */

/* A document on its way into an image. */
struct reading {
	struct oci_image *image;
	const char *file;
	struct diag *diag;
};

static int refuse(const struct reading *r, const char *key, const char *expected)
{
	return diag_set(r->diag, -EINVAL, r->file, 0, "\"%s\": expected %s", key, expected);
}

static int out_of_memory(const struct reading *r)
{
	return diag_set(r->diag, -ENOMEM, r->file, 0, "out of memory");
}

/* Makers of images write null for what they have not. */
static const json_t *member(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_null(value) ? NULL : value;
}

static int read_string(const struct reading *r, const json_t *object, const char *key, const char **ret)
{
	const json_t *value = member(object, key);

	if (!value || (json_is_string(value) && json_string_length(value) == 0))
		return 0;
	if (!json_is_string(value) || json_string_length(value) > STRING_MAX)
		return refuse(r, key, "a string");
	*ret = arena_strdup(&r->image->arena, json_string_value(value));
	return *ret ? 0 : out_of_memory(r);
}

static int read_strings(const struct reading *r, const json_t *object, const char *key, const char *const **ret)
{
	const json_t *list = member(object, key);
	size_t n = json_array_size(list);
	const char **strings;

	if (list && !json_is_array(list))
		return refuse(r, key, "a list of strings");
	if (n == 0)
		return 0;
	if (n > STRINGS_MAX)
		return refuse(r, key, "at most 1024 strings");
	strings = arena_alloc(&r->image->arena, (n + 1) * sizeof *strings);
	for (size_t i = 0; strings && i < n; i++) {
		const json_t *item = json_array_get(list, i);

		if (!json_is_string(item) || json_string_length(item) > STRING_MAX)
			return refuse(r, key, "a list of strings");
		strings[i] = arena_strdup(&r->image->arena, json_string_value(item));
		if (!strings[i])
			return out_of_memory(r);
	}
	*ret = strings;
	return strings ? 0 : out_of_memory(r);
}

static int read_environment(const struct reading *r, const json_t *object, const char *key)
{
	int error = read_strings(r, object, key, &r->image->environment);

	for (const char *const *at = r->image->environment; error == 0 && at && *at; at++)
		if (**at == '=' || !strchr(*at, '='))
			return refuse(r, key, "strings NAME=VALUE");
	return error;
}

static int read_working_directory(const struct reading *r, const json_t *object, const char *key)
{
	const char **path = &r->image->working_directory;
	int error = read_string(r, object, key, path);

	if (error == 0 && *path && **path != '/')
		return refuse(r, key, "an absolute path");
	return error;
}

static int check_platform(const struct reading *r, const json_t *config, const char *architecture)
{
	const char *os = json_string_value(json_object_get(config, "os")),
		   *of = json_string_value(json_object_get(config, "architecture"));

	if (os && of && str_equal(os, "linux") && str_equal(of, architecture))
		return 0;
	return diag_set(r->diag, -EINVAL, r->file, 0, "the image is for %.32s/%.32s; expected linux/%s",
			os ? os : "(none)", of ? of : "(none)", architecture);
}

int oci_config_read(const json_t *config, const char *architecture, struct oci_image *image, const char *file,
		    struct diag *diag)
{
	const struct reading r = {image, file, diag};
	const json_t *process = member(config, "config"),
		     *layers = member(json_object_get(config, "rootfs"), "diff_ids");
	int error = check_platform(&r, config, architecture);

	if (error < 0)
		return error;
	if (process && !json_is_object(process))
		return refuse(&r, "config", "an object");
	if (!json_is_array(layers) || json_array_size(layers) != image->n_listed)
		return refuse(&r, "diff_ids", "as many layers as the manifest has");
	error = read_environment(&r, process, "Env");
	if (error == 0)
		error = read_strings(&r, process, "Entrypoint", &image->entrypoint);
	if (error == 0)
		error = read_strings(&r, process, "Cmd", &image->command);
	if (error == 0)
		error = read_string(&r, process, "User", &image->user);
	return error < 0 ? error : read_working_directory(&r, process, "WorkingDir");
}

static int read_number(const struct reading *r, const json_t *user, const char *key, json_int_t *ret)
{
	const json_t *value = member(user, key);

	*ret = value ? json_integer_value(value) : 0;
	if (value && (!json_is_integer(value) || *ret < 0 || *ret >= UINT32_MAX))
		return refuse(r, key, "a number below 4294967295");
	return 0;
}

static int read_bundle_user(const struct reading *r, const json_t *user)
{
	json_int_t uid = 0, gid = 0;
	int error;

	if (!user)
		return 0;
	if (!json_is_object(user))
		return refuse(r, "user", "an object");
	error = read_number(r, user, "uid", &uid);
	if (error == 0)
		error = read_number(r, user, "gid", &gid);
	if (error < 0)
		return error;
	r->image->user = arena_printf(&r->image->arena, "%lld:%lld", (long long)uid, (long long)gid);
	return r->image->user ? 0 : out_of_memory(r);
}

/* Relative, and without a way out. */
static bool lies_inside(const char *path)
{
	if (*path == '/')
		return false;
	for (const char *at = path; *at;) {
		size_t length = strcspn(at, "/");

		if (length == 2 && at[0] == '.' && at[1] == '.')
			return false;
		at += length + (at[length] == '/');
	}
	return true;
}

int oci_bundle_read(const json_t *config, struct oci_image *image, const char *file, struct diag *diag)
{
	const struct reading r = {image, file, diag};
	const json_t *process = member(config, "process"), *root = member(config, "root");
	int error;

	if (!json_is_string(json_object_get(config, "ociVersion")))
		return refuse(&r, "ociVersion", "the version of the runtime specification: is this a bundle?");
	if (!json_is_object(root) || (process && !json_is_object(process)))
		return refuse(&r, root ? "process" : "root", "an object");
	error = read_string(&r, root, "path", &image->root);
	if (error == 0 && (!image->root || !lies_inside(image->root)))
		return refuse(&r, "path", "a folder in the bundle, such as \"rootfs\"");
	if (error == 0)
		error = read_environment(&r, process, "env");
	if (error == 0)
		error = read_strings(&r, process, "args", &image->entrypoint);
	if (error == 0)
		error = read_bundle_user(&r, member(process, "user"));
	return error < 0 ? error : read_working_directory(&r, process, "cwd");
}
