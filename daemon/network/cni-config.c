/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cni-config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "str.h"
#include "value.h"

static const char *const suffixes[] = {".conf", ".conflist", ".json"};

/* Those whose results look alike. */
static const char *const versions[] = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};

#define VERSIONS "0.3.0, 0.3.1, 0.4.0, 1.0.0 or 1.1.0"

static bool known_version(const char *version)
{
	for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
		if (str_equal(versions[i], version))
			return true;
	return false;
}

/* The name of a program, not a path: as valid as a network's name. */
static bool valid_type(const json_t *plugin)
{
	const char *type = json_string_value(json_object_get(plugin, "type"));

	return type && value_valid_network(type);
}

static int check_root(const json_t *root, const char *file, struct diag *diag)
{
	const char *name = json_string_value(json_object_get(root, "name"));
	const json_t *version = json_object_get(root, "cniVersion");

	if (!json_is_object(root))
		return diag_set(diag, -EINVAL, file, 0, "expected a JSON object");
	if (!name || !value_valid_network(name))
		return diag_set(
			diag, -EINVAL, file, 0,
			"expected \"name\", the network's: letters, digits and \"_.-\", beginning with a "
			"letter or digit");
	if (!json_is_string(version))
		return diag_set(diag, -EINVAL, file, 0, "network %s: expected \"cniVersion\": " VERSIONS, name);
	if (!known_version(json_string_value(version)))
		return diag_set(diag, -EINVAL, file, 0,
				"network %s: cniVersion \"%s\" is not known; expected " VERSIONS, name,
				json_string_value(version));
	return 0;
}

static int check_plugins(const json_t *plugins, const char *name, const char *file, struct diag *diag)
{
	size_t n = json_array_size(plugins);

	if (n == 0 || n > CNI_PLUGINS_MAX)
		return diag_set(diag, -EINVAL, file, 0,
				"network %s: expected \"plugins\", a list of 1 to %d objects, or \"type\"",
				name, CNI_PLUGINS_MAX);
	for (size_t i = 0; i < n; i++)
		if (!valid_type(json_array_get(plugins, i)))
			return diag_set(
				diag, -EINVAL, file, 0,
				"network %s: plugin %zu: expected an object with \"type\", the name of a "
				"program without a folder",
				name, i + 1);
	return 0;
}

/* A file with one plugin is one whose list is itself. */
static json_t *plugins_of(json_t *root)
{
	json_t *plugins = json_object_get(root, "plugins");

	return plugins || !json_object_get(root, "type") ? json_incref(plugins) : json_pack("[O]", root);
}

int cni_network_parse(const char *text, size_t bytes, const char *file, struct cni_network *ret,
		      struct diag *diag)
{
	json_error_t error;
	json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
	struct cni_network network = {0};
	int r;

	if (!root)
		return diag_set(diag, -EINVAL, file, error.line > 0 ? (unsigned)error.line : 0,
				"expected JSON: %s", error.text);
	r = check_root(root, file, diag);
	if (r == 0) {
		const char *name = json_string_value(json_object_get(root, "name"));

		network.plugins = plugins_of(root);
		r = check_plugins(network.plugins, name, file, diag);
		network.name = strdup(name);
		network.version = strdup(json_string_value(json_object_get(root, "cniVersion")));
		network.file = strdup(file);
		if (r == 0 && (!network.name || !network.version || !network.file))
			r = diag_set(diag, -ENOMEM, file, 0, "out of memory");
	}
	json_decref(root);
	if (r < 0) {
		cni_network_finish(&network);
		return r;
	}
	*ret = network;
	return 0;
}

static int select_file(const struct dirent *entry)
{
	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
		if (*entry->d_name != '.' && str_has_suffix(entry->d_name, suffixes[i]))
			return 1;
	return 0;
}

static int compare_entries(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_network(const char *folder, const char *entry, struct cni_network *ret, struct diag *diag)
{
	autofree char *text = NULL;
	char path[PATH_MAX];
	size_t bytes;
	int r;

	if (snprintf(path, sizeof path, "%s/%s", folder, entry) >= (int)sizeof path)
		return diag_set(diag, -ENAMETOOLONG, folder, 0, "%s", strerror(ENAMETOOLONG));
	r = fd_read_file(AT_FDCWD, path, CNI_FILE_BYTES_MAX, &text, &bytes);
	if (r < 0)
		return diag_set(diag, r, path, 0, "%s", strerror(-r));
	return cni_network_parse(text, bytes, path, ret, diag);
}

int cni_network_find(const char *folder, const char *name, struct cni_network *ret, struct diag *diag)
{
	struct dirent **entries = NULL;
	int n = scandir(folder, &entries, select_file, compare_entries), r = -ENOENT;
	struct diag broken = {0};

	if (n < 0)
		return diag_set(diag, -errno, folder, 0,
				"no network %s: %s (NetworkConfigPath= names the folder of CNI networks)", name,
				strerror(errno));
	for (int i = 0; i < n; i++) {
		struct cni_network network = {0};

		if (r == -ENOENT &&
		    read_network(folder, entries[i]->d_name, &network, *broken.message ? NULL : &broken) == 0) {
			if (str_equal(network.name, name)) {
				*ret = network;
				r = 0;
			} else {
				cni_network_finish(&network);
			}
		}
		free(entries[i]);
	}
	free(entries);
	if (r == 0)
		return 0;
	if (*broken.message)
		return diag_set(diag, -EINVAL, broken.file, broken.line, "%s", broken.message);
	return diag_set(diag, r, folder, 0,
			"no network %s: expected a file *.conflist, *.conf or *.json with \"name\": \"%s\"",
			name, name);
}

int cni_plugin_find(const char *folders, const char *type, char *buf, size_t size)
{
	for (const char *at = folders; at; at = strchr(at, ':')) {
		int length;

		at += *at == ':';
		length = (int)strcspn(at, ":");
		if (snprintf(buf, size, "%.*s/%s", length, at, type) >= (int)size)
			return -ENAMETOOLONG;
		if (access(buf, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

static int check_plugin(const struct cni_network *network, const char *type, const char *folders,
			struct diag *diag)
{
	char path[PATH_MAX];

	if (cni_plugin_find(folders, type, path, sizeof path) == 0)
		return 0;
	return diag_set(
		diag, -ENOENT, network->file, 0,
		"network %s: no plugin %s in %s: install it (Debian: containernetworking-plugins), or name "
		"its folder with NetworkPluginPath=",
		network->name, type, folders);
}

int cni_network_check(const struct cni_network *network, const char *folders, struct diag *diag)
{
	for (size_t i = 0; i < json_array_size(network->plugins); i++) {
		const json_t *ipam = json_object_get(json_array_get(network->plugins, i), "ipam");
		const char *type = json_string_value(json_object_get(ipam, "type"));
		int r = check_plugin(network, cni_network_type(network, i), folders, diag);

		if (r < 0)
			return r;
		if (!type || !*type)
			continue;
		if (!valid_type(ipam))
			return diag_set(diag, -EINVAL, network->file, 0,
					"network %s: ipam: expected \"type\", the name of a program without a "
					"folder",
					network->name);
		r = check_plugin(network, type, folders, diag);
		if (r < 0)
			return r;
	}
	return 0;
}

json_t *cni_network_save(const struct cni_network *network)
{
	return json_pack("{s:s, s:s, s:O}", "name", network->name, "cniVersion", network->version, "plugins",
			 network->plugins);
}

void cni_network_finish(struct cni_network *network)
{
	free(network->name);
	free(network->version);
	free(network->file);
	json_decref(network->plugins);
	*network = (struct cni_network){0};
}

const char *cni_network_type(const struct cni_network *network, size_t i)
{
	return json_string_value(json_object_get(json_array_get(network->plugins, i), "type"));
}

json_t *cni_network_request(const struct cni_network *network, size_t i, json_t *previous)
{
	json_t *request = json_copy(json_array_get(network->plugins, i));

	/* Section 4, "Deriving execution configuration from plugin configuration". Capabilities are what a
	 * runtime could add; there is nothing that a site would: its ports are its listeners. */
	if (!request || json_object_set_new(request, "cniVersion", json_string(network->version)) < 0 ||
	    json_object_set_new(request, "name", json_string(network->name)) < 0 ||
	    (previous && json_object_set(request, "prevResult", previous) < 0)) {
		json_decref(request);
		return NULL;
	}
	(void)json_object_del(request, "capabilities");
	return request;
}
