/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The smallest server that is still a server: what the benchmarks and the loss tests start thousands of times.
 *
 *     static-server                     listeners from LISTEN_FDS
 *     static-server --stdin-listener    the listener is descriptor 0
 *     static-server --listen=ADDRESS    a listener of its own
 *
 * GET /counter answers the number of requests so far, anything else "hello". */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "serve.h"

static void complain(const char *what)
{
	(void)!write(STDERR_FILENO, what, strlen(what));
}

static void answer(const struct serve_request *request, struct serve_reply *reply)
{
	uint64_t number = request->number;

	if (strcmp(request->path, "/counter") != 0) {
		memcpy(reply->body, "hello\n", 6);
		reply->length = 6;
		return;
	}
	for (uint64_t rest = number; rest || !reply->length; rest /= 10)
		reply->length++;
	for (size_t i = reply->length; i--; number /= 10)
		reply->body[i] = (char)('0' + number % 10);
}

int main(int argc, char **argv)
{
	static struct serve serve = {.handler = answer};
	const char *listen_address = NULL;
	bool stdin_listener = false;
	int r;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--stdin-listener") == 0) {
			stdin_listener = true;
		} else if (strncmp(argv[i], "--listen=", 9) == 0) {
			listen_address = argv[i] + 9;
		} else {
			complain("usage: static-server [--stdin-listener | --listen=ADDRESS]\n");
			return 2;
		}
	}
	r = serve_find_listeners(&serve, stdin_listener, listen_address);
	if (r < 0) {
		complain(r == -ESRCH ? "static-server: LISTEN_PID is not mine\n"
				     : "static-server: no listeners\n");
		return 3;
	}
	return serve_run(&serve) < 0 ? 4 : 0;
}
