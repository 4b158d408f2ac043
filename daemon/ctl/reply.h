/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct arena;

/* What torporctl ends with; torporctl(1) describes them. With several sites, the highest. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,      /* the operation failed */
	EXIT_USAGE = 2,       /* the command line is wrong */
	EXIT_SITE_FAILED = 3, /* status: the site is in the state failed */
	EXIT_NO_SITE = 4,
	EXIT_DENIED = 5,
	EXIT_UNREACHABLE = 6, /* no answer from the daemon, or none that makes sense */
};

/* One reply of the daemon. */
struct reply {
	json_t *message;          /* owned */
	const json_t *parameters; /* of message; NULL when absent. May be of any type: read it by field_...() */
	const char *error;        /* of message, without its interface; NULL: success */
	bool continues;           /* more replies to the same call will come */
};

/* Takes the reference of message, a JSON object. */
void reply_init(struct reply *reply, json_t *message);
void reply_finish(struct reply *reply);

enum exit_code reply_exit_code(const struct reply *reply);

/* An error as a sentence that names the site (escaped; NULL when the call was about none) and what to do. In
 * arena; NULL when out of memory. */
const char *reply_describe(struct arena *arena, const struct reply *reply, const char *site);

/* The same for what kept a reply from coming, an -errno of client_...(). */
const char *reply_describe_trouble(struct arena *arena, int error, const char *run_dir);
enum exit_code reply_trouble_exit_code(int error);
