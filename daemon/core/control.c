/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utlist.h>

#include "cleanup.h"
#include "daemon.h"
#include "log.h"

struct control {
	struct daemon *daemon;
	uv_pipe_t pipe;
	uv_timer_t resume;
	struct sockaddr_un address;
	struct client *clients;
	unsigned n_clients;
};

struct daemon *control_daemon(struct control *control)
{
	return control->daemon;
}

void control_client_active(struct control *control, struct client *client)
{
	DL_DELETE(control->clients, client);
	DL_APPEND(control->clients, client);
}

void control_client_gone(struct control *control, struct client *client)
{
	DL_DELETE(control->clients, client);
	control->n_clients--;
}

static void on_resume(uv_timer_t *timer)
{
	struct control *control = timer->data;
	struct client *client, *next;

	DL_FOREACH_SAFE(control->clients, client, next)
	if (client->resume) {
		client->resume = false;
		client_run(client);
		/* What it asked for may have closed the next one. */
		uv_timer_start(&control->resume, on_resume, 0, 0);
		return;
	}
}

void control_client_resume(struct control *control, struct client *client)
{
	client->resume = true;
	uv_timer_start(&control->resume, on_resume, 0, 0);
}

static void on_connection(uv_stream_t *server, int status)
{
	struct control *control = server->data;
	struct client *client;

	if (status < 0)
		return;
	client = client_accept(control, &control->pipe);
	if (!client)
		return;
	if (control->n_clients >= CONTROL_CLIENTS_MAX)
		client_close(control->clients);
	DL_APPEND(control->clients, client);
	control->n_clients++;
}

/* The lock that torpord holds on its run folder says that no other one lives: what is left is stale. */
static int open_socket(struct control *control)
{
	const char *group_name = control->daemon->config.control_group;
	const struct group *group = group_name ? getgrnam(group_name) : NULL;
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t old;
	int n, r;

	if (fd < 0)
		return -errno;
	if (group_name && !group)
		log_warning("ControlGroup=%s: no such group: only root may use torporctl", group_name);
	control->address.sun_family = AF_UNIX;
	n = snprintf(control->address.sun_path, sizeof control->address.sun_path, "%s/control",
		     control->daemon->options.lookup.dirs[1]);
	if (n < 0 || (size_t)n >= sizeof control->address.sun_path)
		return -ENAMETOOLONG;
	(void)unlink(control->address.sun_path);
	old = umask(0177);
	r = bind(fd, (const struct sockaddr *)&control->address, sizeof control->address) < 0 ? -errno : 0;
	umask(old);
	if (r < 0)
		return r;
	if (group && (chown(control->address.sun_path, (uid_t)-1, group->gr_gid) < 0 ||
		      chmod(control->address.sun_path, 0660) < 0))
		return -errno;
	r = uv_pipe_open(&control->pipe, fd);
	if (r < 0)
		return r;
	steal_fd(&fd);
	return uv_listen((uv_stream_t *)&control->pipe, 128, on_connection);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct control *control = handle->data;

	uv_close((uv_handle_t *)&control->pipe, on_closed);
}

int control_create(struct daemon *daemon, struct control **ret)
{
	struct control *control = calloc(1, sizeof *control);
	int r;

	if (!control)
		return -ENOMEM;
	control->daemon = daemon;
	uv_pipe_init(&daemon->loop, &control->pipe, 0);
	uv_timer_init(&daemon->loop, &control->resume);
	control->pipe.data = control->resume.data = control;
	r = open_socket(control);
	if (r < 0) {
		uv_close((uv_handle_t *)&control->resume, on_timer_closed);
		return r;
	}
	*ret = control;
	return 0;
}

void control_destroy(struct control *control)
{
	struct client *client, *next;

	if (!control)
		return;
	DL_FOREACH_SAFE(control->clients, client, next)
	client_close(client);
	(void)unlink(control->address.sun_path);
	uv_close((uv_handle_t *)&control->resume, on_timer_closed);
}

void control_site_changed(struct site *site, const struct journal_entry *entry)
{
	struct control *control = site->daemon->control;
	struct client *client, *next;

	if (!control)
		return;
	DL_FOREACH_SAFE(control->clients, client, next)
	{
		if (client->wait == WAIT_EVENTS && (client->site_id == 0 || client->site_id == site->id))
			client_reply(client, json_pack("{s:o*}", "event", journal_event(entry)), true);
		else if (client->wait == WAIT_SITE && client->site_id == site->id)
			method_site_settled(client, site, false);
	}
}

void control_site_gone(struct site *site)
{
	struct control *control = site->daemon->control;
	struct client *client, *next;

	if (!control)
		return;
	DL_FOREACH_SAFE(control->clients, client, next)
	if (client->site_id == site->id) {
		if (client->wait == WAIT_SITE)
			method_site_settled(client, site, true);
		else if (client->wait == WAIT_LOOK)
			method_looked(client, site, NULL);
	}
}

void control_looked(struct daemon *daemon, const struct looker_answer *answer)
{
	struct site *site = daemon_find_site(daemon, answer->id);
	struct client *client, *next;

	if (!daemon->control || !site)
		return;
	DL_FOREACH_SAFE(daemon->control->clients, client, next)
	if (client->wait == WAIT_LOOK && client->look_tag == answer->tag)
		method_looked(client, site, answer);
}

void control_enforced(struct daemon *daemon, const struct enforcement *enforcement)
{
	struct client *client, *next;

	if (!daemon->control)
		return;
	DL_FOREACH_SAFE(daemon->control->clients, client, next)
	if (client->wait == WAIT_LIMITS)
		method_enforced(client, enforcement);
}
