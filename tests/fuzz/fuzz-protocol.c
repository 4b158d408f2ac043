/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Fuzzes the framing and the JSON of the control socket. The first byte says in which pieces the rest arrives:
 * however it is cut, the same messages come out, and each one encoded and read again is the same. */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol.h"

#define MESSAGES_MAX 256
#define LIMIT        4096 /* less than the real one, to be reached */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came out: messages, NULL for those that were none. */
struct result {
	json_t *messages[MESSAGES_MAX];
	size_t n;
	int error; /* of an append, which ends a connection */
};

static void check_round_trip(const json_t *message)
{
	struct protocol_buffer buffer = {0};
	size_t size = 0;
	char *text = protocol_encode(message, &size);
	json_t *again = NULL;

	if (!text || text[size - 1] != '\0' || strlen(text) + 1 != size)
		abort();
	if (protocol_buffer_append(&buffer, text, size, size) < 0 || protocol_buffer_next(&buffer, &again) != 1)
		abort();
	if (!json_equal(message, again) || buffer.used != 0)
		abort();
	json_decref(again);
	free(text);
	protocol_buffer_finish(&buffer);
}

static void take_all(struct protocol_buffer *buffer, struct result *result)
{
	json_t *message;
	int r;

	while ((r = protocol_buffer_next(buffer, &message)) != 0) {
		if (r < 0 && r != -EBADMSG)
			abort();
		if (result->n == MESSAGES_MAX) {
			if (r == 1)
				json_decref(message);
			continue;
		}
		result->messages[result->n++] = r == 1 ? message : NULL;
	}
}

static void feed(const uint8_t *data, size_t size, size_t piece, struct result *result)
{
	struct protocol_buffer buffer = {0};

	while (size > 0 && result->error == 0) {
		size_t n = size < piece ? size : piece;

		result->error = protocol_buffer_append(&buffer, data, n, LIMIT);
		if (buffer.used > LIMIT)
			abort();
		take_all(&buffer, result);
		data += n;
		size -= n;
	}
	protocol_buffer_finish(&buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct result whole, cut;

	if (size < 1)
		return 0;
	whole.n = cut.n = 0;
	whole.error = cut.error = 0;
	feed(data + 1, size - 1, 1, &whole);
	feed(data + 1, size - 1, (size_t)*data + 1, &cut);
	/* Larger pieces may be refused earlier, never later. */
	if ((whole.error && !cut.error) || cut.n > whole.n || (!cut.error && cut.n != whole.n))
		abort();
	for (size_t i = 0; i < cut.n; i++)
		if (!cut.messages[i] != !whole.messages[i] ||
		    (cut.messages[i] && !json_equal(cut.messages[i], whole.messages[i])))
			abort();
	for (size_t i = 0; i < whole.n; i++) {
		if (whole.messages[i])
			check_round_trip(whole.messages[i]);
		json_decref(whole.messages[i]);
	}
	for (size_t i = 0; i < cut.n; i++)
		json_decref(cut.messages[i]);
	return 0;
}
