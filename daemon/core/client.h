/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "peer.h"
#include "protocol.h"
#include "state.h"
#include "str.h"

struct control;
struct daemon;
struct enforcement;
struct looker_answer;
struct site;

#define CLIENT_QUEUE_BYTES                                                                                     \
	(4 * 1024 * 1024) /* a client that reads slower than this is written to is dropped                     \
			   */

/* What a client's present request waits for. */
enum client_wait {
	WAIT_NONE,
	WAIT_SITE,   /* for `site` to come to rest in `target` */
	WAIT_LIST,   /* more of a list is to be written */
	WAIT_LOOK,   /* for a look at the connections of a site */
	WAIT_LIMITS, /* for limits of a site or a slice to be in force */
	WAIT_EVENTS  /* a subscription */
};

/* A connection to the control socket. */
struct client {
	struct client *prev, *next; /* of the control's clients: longest silent first */
	struct control *control;
	uv_pipe_t pipe;
	struct protocol_buffer in;
	struct peer peer; /* who it is, as the kernel knows it */
	bool may_change;  /* root */
	bool closing;
	bool resume;       /* answered while a site was changing its state: to go on when that is over */
	bool more, oneway; /* of the request being answered */

	enum client_wait wait;
	uint64_t look_tag; /* WAIT_LOOK: of the question */
	uint64_t site_id;  /* WAIT_SITE; WAIT_LOOK; WAIT_LIMITS; WAIT_EVENTS: 0 for all */
	enum site_state target;
	uint64_t wait_since_ns;

	uint64_t list_after;            /* WAIT_LIST: the id of the last site that was written */
	enum site_state list_state;     /* STATE_ILLEGAL: all */
	char slice[NAME_BYTES_MAX + 1]; /* WAIT_LIST: "": all; WAIT_LIMITS: "": a site's */
	char *file;                     /* WAIT_LIMITS: for the answer; owned */
};

/* Takes the next connection of the listening pipe. NULL (and nothing accepted) when it fails or the peer may
 * not even look. */
struct client *client_accept(struct control *control, uv_pipe_t *server);

/* Ends a connection; the memory is given up by the loop. */
void client_close(struct client *client);

/* Answers: parameters' reference is taken. With continues more replies follow; else the request is over. */
void client_reply(struct client *client, json_t *parameters, bool continues);
void client_error(struct client *client, const char *error, json_t *parameters);

/* Goes on with the requests that have come in, one after the other, until one has to wait. */
void client_run(struct client *client);

/* The control's side: what clients ask it for. */
struct daemon *control_daemon(struct control *control);
void control_client_active(struct control *control, struct client *client);
void control_client_gone(struct control *control, struct client *client);

/* Goes on with the client's next request in the next turn of the loop: not inside a change of state. */
void control_client_resume(struct control *control, struct client *client);

/* Carries one request out (methods.c). */
void method_call(struct client *client, const char *method, json_t *parameters);

/* Writes the next part of a list (methods.c). */
void method_list_continue(struct client *client);

/* Settings of a site or a slice (set.c), and their answer when limits are in force, or their container is gone.
 */
void method_set(struct client *client, json_t *parameters);
void method_enforced(struct client *client, const struct enforcement *enforcement);

/* The answer of a client in WAIT_LOOK: who is connected; NULL: the site is about to be forgotten (methods.c).
 */
void method_looked(struct client *client, struct site *site, const struct looker_answer *answer);

/* What other times would have cost (simulate.c). */
void method_simulate(struct client *client, json_t *parameters);

/* Looks whether what a client waits for has come: site has changed its state, or is gone (methods.c). */
void method_site_settled(struct client *client, struct site *site, bool gone);
