/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attachment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "cni-result.h"
#include "mounts.h"
#include "namespace.h"
#include "plugin.h"

#define ID_SITE_BYTES 40 /* of the site's name in an id: for people who read the plugins' files */

/* Letters, digits and "_.-", as CNI wants it; the number is never used twice, whatever torpord or host of the
 * same plugins' files it is. */
static char *make_id(const char *site)
{
	uint64_t number = 0;
	char *id;

	if (getrandom(&number, sizeof number, 0) != sizeof number ||
	    asprintf(&id, "%.*s-%016llx", ID_SITE_BYTES, site, (unsigned long long)number) < 0)
		return NULL;
	for (char *at = id; *at; at++)
		if (strchr(":@", *at))
			*at = '_';
	if (strchr("_.-", *id))
		*id = 'x';
	return id;
}

static char *join(const char *folder, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

int attachment_init(struct attachment *attachment, const struct attachment_places *places, const char *site,
		    const char *network)
{
	*attachment = (struct attachment){.site = strdup(site), .id = make_id(site)};
	attachment->network_name = strdup(network);
	attachment->folder = attachment->id ? join(places->run, attachment->id) : NULL;
	return attachment->site && attachment->network_name && attachment->folder ? 0 : -ENOMEM;
}

static int fail(struct attachment *attachment, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct attachment *attachment, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(attachment->message, sizeof attachment->message, format, args);
	va_end(args);
	attachment->error = -error;
	return error;
}

int attachment_load(struct attachment *attachment, const struct attachment_places *places, const char *id)
{
	int r;

	*attachment = (struct attachment){.id = strdup(id), .folder = join(places->run, id)};
	r = attachment->id && attachment->folder ? attachment_read_state(attachment) : -ENOMEM;
	if (r == -ENOENT)
		return -ENODATA;
	return r < 0 ? fail(attachment, r, "%s/state: %s", attachment->folder ? attachment->folder : id,
			    r == -EBADMSG ? "not what torpord has written" : strerror(-r))
		     : 0;
}

void attachment_finish(struct attachment *attachment)
{
	free(attachment->site);
	free(attachment->id);
	free(attachment->folder);
	free(attachment->network_name);
	cni_network_finish(&attachment->network);
	json_decref(attachment->result);
	*attachment = (struct attachment){0};
}

static int find_network(struct attachment *attachment, const struct attachment_places *places)
{
	struct diag diag = {0};
	int r = cni_network_find(places->configs, attachment->network_name, &attachment->network, &diag);
	char text[1024];

	if (r == 0)
		r = cni_network_check(&attachment->network, places->plugins, &diag);
	return r < 0 ? fail(attachment, r, "%s", diag_format(&diag, text, sizeof text)) : 0;
}

static int make_folder(struct attachment *attachment)
{
	autofree char *netns = join(attachment->folder, "netns");
	int r;

	if (!netns)
		return fail(attachment, -ENOMEM, "out of memory");
	if (mkdir(attachment->folder, 0700) < 0)
		return fail(attachment, -errno, "%s: %s", attachment->folder, strerror(errno));
	r = attachment_write_state(attachment);
	if (r < 0)
		return fail(attachment, r, "%s/state: %s", attachment->folder, strerror(-r));
	r = namespace_create(netns);
	return r < 0 ? fail(attachment, r, "%s: %s", netns, strerror(-r)) : 0;
}

/* One plugin. A namespace that is gone is "" to it. */
static int call_plugin(struct attachment *attachment, const struct attachment_places *places,
		       const char *command, unsigned i, int cancel_fd, uint64_t deadline_ns, json_t **ret)
{
	autofree char *netns = join(attachment->folder, "netns");
	struct plugin_call call = {
		.command = command,
		.type = cni_network_type(&attachment->network, i),
		.folders = places->plugins,
		.container_id = attachment->id,
		.netns = netns && namespace_exists(netns) ? netns : "",
		.request = cni_network_request(&attachment->network, i, attachment->result),
		.cgroup_fd = places->cgroup_fd,
		.cancel_fd = cancel_fd,
		.deadline_ns = deadline_ns,
	};
	int r;

	if (!netns || !call.request)
		r = fail(attachment, -ENOMEM, "%s: out of memory", call.type);
	else
		r = plugin_run(&call, ret, attachment->message, sizeof attachment->message);
	attachment->error = -r;
	json_decref(call.request);
	return r;
}

static int add_one(struct attachment *attachment, const struct attachment_places *places, int cancel_fd)
{
	const char *type = cni_network_type(&attachment->network, attachment->begun);
	char wrong[256];
	json_t *result;
	unsigned i = attachment->begun++;
	int r = attachment_write_state(attachment);

	if (r < 0) {
		attachment->begun--; /* not called, and nobody else would know */
		return fail(attachment, r, "%s/state: %s", attachment->folder, strerror(-r));
	}
	r = call_plugin(attachment, places, "ADD", i, cancel_fd, UINT64_MAX, &result);
	if (r < 0)
		return r;
	r = result ? cni_result_check(result, wrong, sizeof wrong) : -EBADMSG;
	if (r < 0) {
		r = fail(attachment, r, "%s: its result is not understood: %s", type,
			 result ? wrong : "there is none");
		json_decref(result);
		return r;
	}
	json_decref(attachment->result);
	attachment->result = result;
	return 0;
}

static int write_resolv_conf(struct attachment *attachment)
{
	autofree char *text = cni_result_resolv_conf(attachment->result);
	int r = !text && errno ? -errno : 0;

	if (text) {
		autofree char *path = join(attachment->folder, MOUNT_NETWORK_RESOLV_CONF);
		autoclose int fd =
			path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644) : -1;

		r = !path ? -ENOMEM : fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
		/* Whatever torpord's umask is: the program is another user. */
		if (r == 0 && fchmod(fd, 0644) < 0)
			r = -errno;
	}
	return r < 0 ? fail(attachment, r, "%s/" MOUNT_NETWORK_RESOLV_CONF ": %s", attachment->folder,
			    strerror(-r))
		     : 0;
}

int attachment_add(struct attachment *attachment, const struct attachment_places *places, int cancel_fd)
{
	int r = find_network(attachment, places);

	if (r == 0)
		r = make_folder(attachment);
	while (r == 0 && attachment->begun < json_array_size(attachment->network.plugins))
		r = add_one(attachment, places, cancel_fd);
	if (r == 0)
		r = write_resolv_conf(attachment);
	if (r < 0)
		return r;
	r = attachment_write_state(attachment);
	return r < 0 ? fail(attachment, r, "%s/state: %s", attachment->folder, strerror(-r)) : 0;
}

static int remove_folder(struct attachment *attachment)
{
	static const char *const files[] = {MOUNT_NETWORK_RESOLV_CONF, "state.new", "state"};
	autofree char *netns = join(attachment->folder, "netns");
	int r = netns ? namespace_remove(netns) : -ENOMEM;

	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		autofree char *path = join(attachment->folder, files[i]);

		if (!path || (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR))
			return path ? -errno : -ENOMEM;
	}
	return rmdir(attachment->folder) < 0 && errno != ENOENT ? -errno : 0;
}

int attachment_remove(struct attachment *attachment, const struct attachment_places *places, int cancel_fd,
		      uint64_t deadline_ns)
{
	int r;

	while (attachment->begun > 0) {
		json_t *answer;

		r = call_plugin(attachment, places, "DEL", attachment->begun - 1, cancel_fd, deadline_ns,
				&answer);
		if (r < 0)
			return r;
		json_decref(answer);
		attachment->begun--;
	}
	r = remove_folder(attachment);
	return r < 0 ? fail(attachment, r, "%s: %s", attachment->folder, strerror(-r)) : 0;
}
