/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "arena.h"
#include "client.h"
#include "reply.h"
#include "terminal.h"

struct options;

/* What every command works with. */
struct ctl {
	const struct options *options;
	struct terminal terminal;
	struct arena arena;   /* texts of this run */
	struct client client; /* closed until ctl_connect() */
};

/* How long torporctl waits for an answer that torpord has at hand, when --timeout= does not say. Waking,
 * freezing, stopping, restarting and reloading take what they take. */
#define CTL_TIMEOUT_US (30 * 1000000ULL)

/* The time limit of --timeout=, or else. */
uint64_t ctl_timeout(const struct ctl *ctl, uint64_t otherwise_us);

/* Connects. On failure says on stderr what is wrong and what to do, and returns what to exit with. */
enum exit_code ctl_connect(struct ctl *ctl, uint64_t timeout_us);

/* Says what is wrong when client_...() failed with error. */
enum exit_code ctl_complain(struct ctl *ctl, int error);

/* Says what an error reply means; site is a name, or NULL. */
enum exit_code ctl_complain_reply(struct ctl *ctl, const struct reply *reply, const char *site);

/* One call and its one reply. Both kinds of failure have been complained of. An error reply is in *ret
 * like any; without a reply ret->message is NULL. Always to be given to reply_finish(). Takes the reference of
 * parameters. */
enum exit_code ctl_call(struct ctl *ctl, const char *method, json_t *parameters, const char *site,
			struct reply *ret);

/* For --json: {"site": site, "error": ..., "parameters": ...} of an error reply; with error NULL what happened
 * was no reply at all. A new reference. */
json_t *ctl_error_object(const char *site, const struct reply *reply);

/* For --json: one value, indented on a terminal. */
void ctl_print_json(const struct ctl *ctl, const json_t *value);

static inline enum exit_code ctl_worse(enum exit_code a, enum exit_code b)
{
	return a > b ? a : b;
}
