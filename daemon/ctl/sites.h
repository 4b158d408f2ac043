/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "reply.h"

struct client;
struct ctl;

/* The sites of a box, as List gives them. */
struct sites {
	json_t **items; /* Summary objects, [count]; owned */
	size_t count, allocated;
};

void sites_finish(struct sites *sites);

/* Asks List for sites and appends them: of the parameters (NULL: all), whose reference is taken. 0; 1 when the
 * daemon answered with an error, in *ret_error, which the caller gives to reply_finish(); -errno as
 * client_wait(), -EMSGSIZE past any sense.
 */
int sites_fetch(struct client *client, json_t *parameters, struct sites *sites, struct reply *ret_error);

/* The same on the connection of ctl, complaining of failures. */
enum exit_code sites_list(struct ctl *ctl, json_t *parameters, struct sites *sites);

void sites_sort_by_name(struct sites *sites);

/* A list of references to the objects, as JSON. */
json_t *sites_to_json(const struct sites *sites);

/* {state: how many}: what state_format_counts() takes. A new reference. */
json_t *sites_tally(const struct sites *sites);

/* "1003 sites: 12 awake, 991 cold", in the arena of ctl. */
const char *sites_summary(struct ctl *ctl, const struct sites *sites);

/* Whether an argument is a pattern and not a name. */
int sites_is_pattern(const char *argument);

/* The one argument of a command that takes a name and no pattern, once it can be one. NULL: complained of. */
const char *sites_one(struct ctl *ctl);

/* Sets *ret to an object whose keys are, in order and each once, the names the arguments of the command mean:
 * names as they are, patterns by what the daemon lists. Complains of what is no name and of patterns without a
 * match, and returns the worst; the rest is in *ret all the same. Connects when it has to. */
enum exit_code sites_select(struct ctl *ctl, json_t **ret);
