/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attachment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "str.h"

#define STATE_BYTES_MAX (4 * 1024 * 1024)

/* A new file takes the old one's place, so that there is always a whole one. */
static int replace(const char *folder, const char *text)
{
	autoclose int dir_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int fd = dir_fd < 0 ? -1
				      : openat(dir_fd, "state.new",
					       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, text, strlen(text));
	if (r == 0 && renameat(dir_fd, "state.new", dir_fd, "state") < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir_fd, "state.new", 0);
	return r;
}

int attachment_write_state(const struct attachment *attachment)
{
	json_t *state = json_pack("{s:s, s:s, s:i, s:o, s:O?}", "site", attachment->site, "file",
				  attachment->network.file, "begun", (int)attachment->begun, "network",
				  cni_network_save(&attachment->network), "result", attachment->result);
	autofree char *text = state ? json_dumps(state, JSON_COMPACT) : NULL;

	json_decref(state);
	return text ? replace(attachment->folder, text) : -ENOMEM;
}

static int read_network(struct attachment *attachment, const json_t *state, const char *file)
{
	autofree char *text = json_dumps(json_object_get(state, "network"), JSON_COMPACT);
	struct diag diag = {0};
	int r = text ? cni_network_parse(text, strlen(text), file, &attachment->network, &diag) : -EBADMSG;

	return r == -EINVAL ? -EBADMSG : r;
}

static int take(struct attachment *attachment, json_t *state)
{
	const char *site = json_string_value(json_object_get(state, "site")),
		   *file = json_string_value(json_object_get(state, "file"));
	json_int_t begun = json_integer_value(json_object_get(state, "begun"));
	json_t *result = json_object_get(state, "result");
	int r;

	if (!site || !str_valid_name(site) || !file || begun < 0 ||
	    (result && !json_is_object(result) && !json_is_null(result)))
		return -EBADMSG;
	r = read_network(attachment, state, file);
	if (r < 0)
		return r;
	if ((size_t)begun > json_array_size(attachment->network.plugins))
		return -EBADMSG;
	attachment->site = strdup(site);
	attachment->network_name = strdup(attachment->network.name);
	attachment->begun = (unsigned)begun;
	attachment->result = json_is_object(result) ? json_incref(result) : NULL;
	return attachment->site && attachment->network_name ? 0 : -ENOMEM;
}

int attachment_read_state(struct attachment *attachment)
{
	autofree char *path = NULL, *text = NULL;
	json_t *state;
	size_t bytes;
	int r;

	if (asprintf(&path, "%s/state", attachment->folder) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = fd_read_file(AT_FDCWD, path, STATE_BYTES_MAX, &text, &bytes);
	if (r < 0)
		return r;
	state = json_loadb(text, bytes, 0, NULL);
	r = json_is_object(state) ? take(attachment, state) : -EBADMSG;
	json_decref(state);
	return r;
}
