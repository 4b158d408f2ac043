/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "diag.h"

/* Network configurations of the Container Network Interface, as the host's administrator writes them: files
 * *.conflist (a list of plugins), *.conf and *.json (one plugin, or a list) in one folder. The specification:
 * https://www.cni.dev/docs/spec/, version 1.0.0, sections 1 and 4. */

#define CNI_PLUGINS_MAX    32           /* in one network */
#define CNI_FILE_BYTES_MAX (256 * 1024) /* of one file */

struct cni_network {
	char *name, *version, *file; /* owned */
	json_t *plugins; /* an array of 1 to CNI_PLUGINS_MAX objects with a valid "type"; a reference */
};

/* Reads the first file of the folder, in the order of their names, that has a network of this name. Files that
 * cannot be read matter only where none is found. -ENOENT, -EINVAL, -errno, with *diag saying what to do. */
int cni_network_find(const char *folder, const char *name, struct cni_network *ret, struct diag *diag);

/* The same for a text; file is where it came from. -EINVAL with *diag, or -ENOMEM. */
int cni_network_parse(const char *text, size_t bytes, const char *file, struct cni_network *ret,
		      struct diag *diag);

/* Whether every plugin of the network, and of its address management, is a program in one of the folders
 * ("/a:/b"). -ENOENT with *diag. */
int cni_network_check(const struct cni_network *network, const char *folders, struct diag *diag);

/* The network as text for cni_network_parse(): a new reference, or NULL. */
json_t *cni_network_save(const struct cni_network *network);

void cni_network_finish(struct cni_network *network);

/* The name of plugin i's program. */
const char *cni_network_type(const struct cni_network *network, size_t i);

/* What plugin i reads: its part of the configuration, with the network's name and version, and what the plugin
 * before it has answered (NULL: nothing). A new reference, or NULL when out of memory. */
json_t *cni_network_request(const struct cni_network *network, size_t i, json_t *previous);

/* The path of a plugin's program in the first of the folders that has it. -ENOENT, -ENAMETOOLONG. */
int cni_plugin_find(const char *folders, const char *type, char *buf, size_t size);
