/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "daemon.h"
#include "log.h"

struct write {
	uv_write_t request; /* first: its address is this */
	struct client *client;
	char *text; /* owned */
};

static void on_closed(uv_handle_t *handle)
{
	struct client *client = handle->data;

	protocol_buffer_finish(&client->in);
	free(client->file);
	free(client);
}

void client_close(struct client *client)
{
	if (client->closing)
		return;
	client->closing = true;
	client->wait = WAIT_NONE;
	control_client_gone(client->control, client);
	uv_close((uv_handle_t *)&client->pipe, on_closed);
}

static void on_written(uv_write_t *request, int status)
{
	struct write *write = (struct write *)request;
	struct client *client = write->client;

	free(write->text);
	free(write);
	if (status < 0 && !client->closing)
		client_close(client);
	else if (!client->closing && client->wait == WAIT_LIST && client->pipe.write_queue_size == 0)
		method_list_continue(client);
}

/* Sends a message, whose reference is taken. */
static void send_message(struct client *client, json_t *message)
{
	struct write *write = calloc(1, sizeof *write);
	size_t size = 0;
	uv_buf_t buf;

	if (write && message)
		write->text = protocol_encode(message, &size);
	json_decref(message);
	if (client->closing || !write || !write->text ||
	    client->pipe.write_queue_size + size > CLIENT_QUEUE_BYTES) {
		if (write)
			free(write->text);
		free(write);
		client_close(client);
		return;
	}
	write->client = client;
	buf = uv_buf_init(write->text, (unsigned)size);
	if (uv_write(&write->request, (uv_stream_t *)&client->pipe, &buf, 1, on_written) < 0) {
		free(write->text);
		free(write);
		client_close(client);
	}
}

void client_reply(struct client *client, json_t *parameters, bool continues)
{
	json_t *message;

	if (!continues)
		client->wait = WAIT_NONE;
	if (client->oneway) {
		json_decref(parameters);
		return;
	}
	message = json_pack("{s:o*}", "parameters", parameters ? parameters : json_object());
	if (message && continues)
		json_object_set_new(message, "continues", json_true());
	send_message(client, message);
}

void client_error(struct client *client, const char *error, json_t *parameters)
{
	client->wait = WAIT_NONE;
	if (client->oneway)
		json_decref(parameters);
	else
		send_message(client, json_pack("{s:s, s:o*}", "error", error, "parameters", parameters));
}

static void run_request(struct client *client, json_t *request)
{
	const json_t *method = json_object_get(request, "method");
	json_t *parameters = json_object_get(request, "parameters");

	client->more = json_is_true(json_object_get(request, "more"));
	client->oneway = json_is_true(json_object_get(request, "oneway"));
	if (!json_is_string(method) || (parameters && !json_is_object(parameters)))
		client_close(client);
	else
		method_call(client, json_string_value(method), parameters);
}

void client_run(struct client *client)
{
	while (!client->closing && !client->resume && client->wait == WAIT_NONE) {
		json_t *request;
		int r = protocol_buffer_next(&client->in, &request);

		if (r == 0)
			return;
		if (r < 0) {
			client_close(client);
			return;
		}
		run_request(client, request);
		json_decref(request);
	}
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	static char chunk[65536]; /* used up in on_read(), before the next one is asked for */

	(void)handle;
	(void)suggested;
	*buf = uv_buf_init(chunk, sizeof chunk);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct client *client = stream->data;

	if (n == 0)
		return;
	if (n < 0 || protocol_buffer_append(&client->in, buf->base, (size_t)n, PROTOCOL_REQUEST_BYTES) < 0) {
		client_close(client);
		return;
	}
	control_client_active(client->control, client);
	client_run(client);
}

/* Whether the peer, as the kernel knows it, is in the group that may look. */
static bool in_group(int fd, gid_t peer_gid, const char *group)
{
	gid_t groups[256];
	socklen_t bytes = sizeof groups;
	struct group *gr = group ? getgrnam(group) : NULL;

	if (!gr)
		return false;
	if (peer_gid == gr->gr_gid)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) < 0)
		return false;
	for (size_t i = 0; i < bytes / sizeof groups[0]; i++)
		if (groups[i] == gr->gr_gid)
			return true;
	return false;
}

static int check_peer(struct client *client)
{
	struct ucred cred;
	socklen_t length = sizeof cred;
	uv_os_fd_t fd;

	if (uv_fileno((uv_handle_t *)&client->pipe, &fd) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &length) < 0)
		return -EPERM;
	client->peer = (struct peer){.family = AF_UNIX, .has_uid = true, .uid = cred.uid, .pid = cred.pid};
	client->may_change = cred.uid == 0 || cred.uid == geteuid();
	if (client->may_change || in_group(fd, cred.gid, control_daemon(client->control)->config.control_group))
		return 0;
	log_notice("control: uid %u refused", cred.uid);
	return -EPERM;
}

struct client *client_accept(struct control *control, uv_pipe_t *server)
{
	struct client *client = calloc(1, sizeof *client);

	if (!client)
		return NULL;
	client->control = control;
	uv_pipe_init(server->loop, &client->pipe, 0);
	client->pipe.data = client;
	if (uv_accept((uv_stream_t *)server, (uv_stream_t *)&client->pipe) < 0 || check_peer(client) < 0 ||
	    uv_read_start((uv_stream_t *)&client->pipe, on_alloc, on_read) < 0) {
		uv_close((uv_handle_t *)&client->pipe, on_closed);
		return NULL;
	}
	return client;
}
