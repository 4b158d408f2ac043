/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol.h"

#define LIMIT 4096

/* Appends a string with its NUL. */
static void append(struct protocol_buffer *buffer, const char *text)
{
	assert_int_equal(protocol_buffer_append(buffer, text, strlen(text) + 1, LIMIT), 0);
}

static void assert_number(json_t *message, json_int_t number)
{
	assert_int_equal(json_integer_value(json_object_get(message, "n")), number);
	json_decref(message);
}

static void test_empty(void **state)
{
	struct protocol_buffer buffer = {0};
	json_t *message = NULL;

	(void)state;
	assert_int_equal(protocol_buffer_next(&buffer, &message), 0);
	assert_int_equal(protocol_buffer_append(&buffer, "", 0, LIMIT), 0);
	assert_int_equal(protocol_buffer_next(&buffer, &message), 0);
	assert_null(message);
	protocol_buffer_finish(&buffer);
	protocol_buffer_finish(&buffer);
}

/* Three messages, cut after each of their bytes. */
static void test_byte_by_byte(void **state)
{
	static const char stream[] = "{\"n\":1}\0{\"n\":2,\"text\":\"\\u0007 \xc3\xa9\"}\0{\"n\":3}";
	struct protocol_buffer buffer = {0};
	json_int_t seen = 0;

	(void)state;
	for (size_t i = 0; i < sizeof stream; i++) {
		json_t *message = NULL;
		int r;

		assert_int_equal(protocol_buffer_append(&buffer, stream + i, 1, LIMIT), 0);
		r = protocol_buffer_next(&buffer, &message);
		assert_int_equal(r, stream[i] == '\0');
		if (r == 1)
			assert_number(message, ++seen);
		else
			assert_null(message);
		assert_int_equal(protocol_buffer_next(&buffer, &message), 0);
		/* What has been looked at is not looked at again: a byte costs the same at the end of a long
		 * one. */
		assert_int_equal(buffer.scanned, buffer.used);
	}
	assert_int_equal(seen, 3);
	assert_int_equal(buffer.used, 0);
	protocol_buffer_finish(&buffer);
}

static void test_cut_anywhere(void **state)
{
	static const char stream[] = "{\"n\":1}\0{\"n\":2}\0{\"n\":3";

	(void)state;
	for (size_t cut = 0; cut <= sizeof stream - 1; cut++) {
		struct protocol_buffer buffer = {0};
		json_int_t seen = 0;
		json_t *message;

		assert_int_equal(protocol_buffer_append(&buffer, stream, cut, LIMIT), 0);
		while (protocol_buffer_next(&buffer, &message) == 1)
			assert_number(message, ++seen);
		assert_int_equal(protocol_buffer_append(&buffer, stream + cut, sizeof stream - 1 - cut, LIMIT),
				 0);
		while (protocol_buffer_next(&buffer, &message) == 1)
			assert_number(message, ++seen);
		assert_int_equal(seen, 2);
		/* The half of a third stays until the rest comes. */
		append(&buffer, "4}");
		assert_int_equal(protocol_buffer_next(&buffer, &message), 1);
		assert_number(message, 34);
		protocol_buffer_finish(&buffer);
	}
}

static void test_bad_messages(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"[]",
		"1",
		"\"text\"",
		"null",
		"true",
		"{",
		"}",
		"{\"n\":1",
		"{\"n\":1}}",
		"{\"n\":1} x",
		"{\"n\":1}{\"n\":2}",
		"{\"n\":1,\"n\":2}",
		"{\"a\":{\"n\":1,\"n\":1}}",
		"{n:1}",
		"{'n':1}",
		"{\"n\":1,}",
		"{\"n\":01}",
		"{\"n\":\"\xff\"}",
		"{\"n\":\"\xed\xa0\x80\"}",
		"{\"n\":\"\\ud800\"}",
		"{\"n\":\"\\u0000\"}",
		"{\"n\":\"a\nb\"}",
		"{\"n\":1e999}",
		"{\"n\":99999999999999999999}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct protocol_buffer buffer = {0};
		json_t *message = NULL;

		append(&buffer, bad[i]);
		if (protocol_buffer_next(&buffer, &message) != -EBADMSG)
			fail_msg("taken for a message: %s", bad[i]);
		assert_null(message);
		protocol_buffer_finish(&buffer);
	}
}

/* Brackets that a recursive parser would follow to the end of its stack. */
static void test_deep(void **state)
{
	enum { DEPTH = 100000 };
	struct protocol_buffer buffer = {0};
	char *text = malloc(DEPTH);
	json_t *message;

	(void)state;
	memset(text, '[', DEPTH);
	memcpy(text, "{\"n\":", 5);
	text[DEPTH - 1] = '\0';
	assert_int_equal(protocol_buffer_append(&buffer, text, DEPTH, DEPTH), 0);
	assert_int_equal(protocol_buffer_next(&buffer, &message), -EBADMSG);
	free(text);
	protocol_buffer_finish(&buffer);
}

static void test_too_large(void **state)
{
	struct protocol_buffer buffer = {0};
	char block[LIMIT];
	json_t *message;

	(void)state;
	memset(block, ' ', sizeof block);
	memcpy(block, "{\"n\":1}", 7);
	block[LIMIT - 1] = '\0';
	/* The largest that is taken, its NUL counted; in one piece and in two. */
	assert_int_equal(protocol_buffer_append(&buffer, block, LIMIT, LIMIT), 0);
	assert_int_equal(protocol_buffer_next(&buffer, &message), 1);
	assert_number(message, 1);
	assert_int_equal(protocol_buffer_append(&buffer, block, LIMIT - 1, LIMIT), 0);
	assert_int_equal(protocol_buffer_next(&buffer, &message), 0);
	assert_int_equal(protocol_buffer_append(&buffer, "", 1, LIMIT), 0);
	assert_int_equal(protocol_buffer_next(&buffer, &message), 1);
	assert_number(message, 1);
	/* One byte more, at once or on top of what waits, which stays as it is. */
	assert_int_equal(protocol_buffer_append(&buffer, block, LIMIT, LIMIT - 1), -EMSGSIZE);
	assert_int_equal(protocol_buffer_append(&buffer, block, LIMIT - 1, LIMIT), 0);
	assert_int_equal(protocol_buffer_append(&buffer, "  ", 2, LIMIT), -EMSGSIZE);
	assert_int_equal(protocol_buffer_append(&buffer, block, SIZE_MAX, LIMIT), -EMSGSIZE);
	assert_int_equal(protocol_buffer_append(&buffer, "", 1, LIMIT), 0);
	assert_int_equal(protocol_buffer_next(&buffer, &message), 1);
	assert_number(message, 1);
	protocol_buffer_finish(&buffer);
}

static void test_encode(void **state)
{
	json_t *message = json_pack("{s:s, s:s}", "a", "x", "b", "\n\x1b");
	size_t size = 0;
	char *text = protocol_encode(message, &size);
	struct protocol_buffer buffer = {0};
	json_t *back = NULL;

	(void)state;
	assert_string_equal(text, "{\"a\":\"x\",\"b\":\"\\n\\u001B\"}");
	assert_int_equal(size, strlen(text) + 1);
	assert_int_equal(protocol_buffer_append(&buffer, text, size, LIMIT), 0);
	assert_int_equal(protocol_buffer_next(&buffer, &back), 1);
	assert_true(json_equal(message, back));
	json_decref(back);
	json_decref(message);
	free(text);
	protocol_buffer_finish(&buffer);
}

struct pair {
	int client_fd, server_fd;
	struct protocol_buffer client, server;
};

static int pair_setup(void **state)
{
	static struct pair pair;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	pair = (struct pair){.client_fd = fds[0], .server_fd = fds[1]};
	*state = &pair;
	return 0;
}

static int pair_teardown(void **state)
{
	struct pair *pair = *state;

	protocol_buffer_finish(&pair->client);
	protocol_buffer_finish(&pair->server);
	close(pair->client_fd);
	if (pair->server_fd >= 0)
		close(pair->server_fd);
	return 0;
}

static void server_sends(struct pair *pair, const void *data, size_t size)
{
	assert_int_equal(send(pair->server_fd, data, size, MSG_NOSIGNAL), size);
}

static void server_closes(struct pair *pair)
{
	close(pair->server_fd);
	pair->server_fd = -1;
}

static void assert_call(struct pair *pair, const char *text)
{
	json_t *call = NULL, *expected = json_loads(text, 0, NULL);

	assert_int_equal(protocol_receive(pair->server_fd, &pair->server, &call), 0);
	assert_true(json_equal(call, expected));
	json_decref(call);
	json_decref(expected);
}

static void test_call(void **state)
{
	struct pair *pair = *state;
	json_t *parameters = json_pack("{s:s}", "site", "a"), *reply = NULL;

	assert_int_equal(protocol_send_call(pair->client_fd, "io.torpor.Wake", json_incref(parameters), 0), 0);
	assert_call(pair, "{\"method\":\"io.torpor.Wake\",\"parameters\":{\"site\":\"a\"}}");
	/* The reference was taken and given up. */
	assert_int_equal(parameters->refcount, 1);
	json_decref(parameters);
	assert_int_equal(protocol_send_call(pair->client_fd, "io.torpor.List", NULL, PROTOCOL_MORE), 0);
	assert_call(pair, "{\"method\":\"io.torpor.List\",\"more\":true}");
	server_sends(pair, "{\"n\":1}\0{\"n\":2}\0{\"n\"", 20);
	assert_int_equal(protocol_receive(pair->client_fd, &pair->client, &reply), 0);
	assert_number(reply, 1);
	assert_int_equal(protocol_receive(pair->client_fd, &pair->client, &reply), 0);
	assert_number(reply, 2);
	server_sends(pair, ":3}", 4);
	assert_int_equal(protocol_receive(pair->client_fd, &pair->client, &reply), 0);
	assert_number(reply, 3);
}

static void test_receive_bad_message(void **state)
{
	struct pair *pair = *state;
	json_t *reply = NULL;

	server_sends(pair, "[]\0{\"n\":1}", 11);
	assert_int_equal(protocol_receive(pair->client_fd, &pair->client, &reply), -EBADMSG);
	assert_null(reply);
	assert_int_equal(protocol_receive(pair->client_fd, &pair->client, &reply), 0);
	assert_number(reply, 1);
}

static void test_peer_closes(void **state)
{
	struct pair *pair = *state;
	json_t *reply = NULL;

	/* What it said before is still heard, half a message is none. */
	server_sends(pair, "{\"n\":1}\0{\"n\":2}", 15);
	server_closes(pair);
	assert_int_equal(protocol_receive(pair->client_fd, &pair->client, &reply), 0);
	assert_number(reply, 1);
	reply = NULL;
	assert_int_equal(protocol_receive(pair->client_fd, &pair->client, &reply), -ECONNRESET);
	assert_null(reply);
	/* And no SIGPIPE ends us. */
	assert_int_equal(protocol_send_call(pair->client_fd, "x.y", json_object(), 0), -EPIPE);
}

static void test_receive_error(void **state)
{
	struct protocol_buffer buffer = {0};
	json_t *reply = NULL;

	(void)state;
	assert_int_equal(protocol_receive(-EBADF, &buffer, &reply), -EBADF);
	protocol_buffer_finish(&buffer);
}

/* A call larger than the socket's buffers: the peer's reading lets it through. */
static void test_large_call(void **state)
{
	enum { SIZE = 4 * 1024 * 1024 };
	struct pair *pair = *state;
	char *text = malloc(SIZE);
	json_t *call = NULL;
	int status;
	pid_t client;

	memset(text, 'x', SIZE);
	text[SIZE - 1] = '\0';
	client = fork();
	assert_true(client >= 0);
	if (client == 0) {
		/* Its own copy of the other end would keep it waiting for a reader that is gone. */
		close(pair->server_fd);
		_exit(protocol_send_call(pair->client_fd, "x.y", json_pack("{s:s}", "t", text), 0) == 0 ? 0
													: 1);
	}
	assert_int_equal(protocol_receive(pair->server_fd, &pair->server, &call), 0);
	assert_string_equal(json_string_value(json_object_get(json_object_get(call, "parameters"), "t")), text);
	json_decref(call);
	free(text);
	assert_int_equal(waitpid(client, &status, 0), client);
	assert_int_equal(status, 0);
}

/* A peer that never ends its message is not listened to for ever. */
static void test_endless_reply(void **state)
{
	struct pair *pair = *state;
	json_t *reply = NULL;
	int status;
	pid_t server = fork();

	assert_true(server >= 0);
	if (server == 0) {
		char block[65536];

		close(pair->client_fd);
		memset(block, ' ', sizeof block);
		while (send(pair->server_fd, block, sizeof block, MSG_NOSIGNAL) > 0)
			;
		_exit(errno == EPIPE || errno == ECONNRESET ? 0 : 1);
	}
	server_closes(pair);
	assert_int_equal(protocol_receive(pair->client_fd, &pair->client, &reply), -EMSGSIZE);
	assert_true(pair->client.used <= PROTOCOL_REPLY_BYTES);
	shutdown(pair->client_fd, SHUT_RDWR);
	assert_int_equal(waitpid(server, &status, 0), server);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_bad_messages),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_encode),
		cmocka_unit_test_setup_teardown(test_call, pair_setup, pair_teardown),
		cmocka_unit_test_setup_teardown(test_receive_bad_message, pair_setup, pair_teardown),
		cmocka_unit_test_setup_teardown(test_peer_closes, pair_setup, pair_teardown),
		cmocka_unit_test(test_receive_error),
		cmocka_unit_test_setup_teardown(test_large_call, pair_setup, pair_teardown),
		cmocka_unit_test_setup_teardown(test_endless_reply, pair_setup, pair_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
