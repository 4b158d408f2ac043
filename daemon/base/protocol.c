/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"

void protocol_buffer_finish(struct protocol_buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct protocol_buffer){0};
}

int protocol_buffer_append(struct protocol_buffer *buffer, const void *data, size_t size, size_t max_bytes)
{
	if (size > max_bytes || buffer->used > max_bytes - size)
		return -EMSGSIZE;
	if (size == 0)
		return 0;
	if (buffer->used + size > buffer->size) {
		size_t want = (buffer->used + size) * 2;
		char *grown = realloc(buffer->data, want);

		if (!grown)
			return -ENOMEM;
		buffer->data = grown;
		buffer->size = want;
	}
	memcpy(buffer->data + buffer->used, data, size);
	buffer->used += size;
	return 0;
}

int protocol_buffer_next(struct protocol_buffer *buffer, json_t **ret)
{
	char *end;
	size_t length;
	json_t *message;

	if (buffer->used == buffer->scanned)
		return 0;
	end = memchr(buffer->data + buffer->scanned, 0, buffer->used - buffer->scanned);
	if (!end) {
		buffer->scanned = buffer->used;
		return 0;
	}
	length = (size_t)(end - buffer->data);
	message = json_loadb(buffer->data, length, JSON_REJECT_DUPLICATES, NULL);
	buffer->used -= length + 1;
	buffer->scanned = 0;
	memmove(buffer->data, end + 1, buffer->used);
	if (!json_is_object(message)) {
		json_decref(message);
		return -EBADMSG;
	}
	*ret = message;
	return 1;
}

char *protocol_encode(const json_t *message, size_t *ret_size)
{
	char *text = json_dumps(message, JSON_COMPACT);

	if (text)
		*ret_size = strlen(text) + 1;
	return text;
}

int protocol_send_call(int fd, const char *method, json_t *parameters, int flags)
{
	json_t *call = json_pack("{s:s, s:o*}", "method", method, "parameters", parameters);
	autofree char *text = NULL;
	size_t size = 0, done = 0;

	if (call && flags & PROTOCOL_MORE)
		json_object_set_new(call, "more", json_true());
	text = call ? protocol_encode(call, &size) : NULL;
	json_decref(call);
	if (!text)
		return -ENOMEM;
	while (done < size) {
		ssize_t n = send(fd, text + done, size - done, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int protocol_receive(int fd, struct protocol_buffer *buffer, json_t **ret)
{
	char chunk[65536];
	int r;

	while ((r = protocol_buffer_next(buffer, ret)) == 0) {
		ssize_t n = recv(fd, chunk, sizeof chunk, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ECONNRESET;
		r = protocol_buffer_append(buffer, chunk, (size_t)n, PROTOCOL_REPLY_BYTES);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : 0;
}
