/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

struct client;
struct daemon;
struct looker_answer;
struct site;

/* Why a site is as it is: what woke it, what holds it, what comes next. */

/* A Why of io.torpor. answer: its connections now; NULL: they are not known. A new reference; NULL when out of
 * memory. */
json_t *explain_report(const struct site *site, const struct looker_answer *answer);

/* Has the looker look who is connected, for a client who waits for it. -errno. */
int explain_ask(const struct site *site, struct client *client);

/* The looker has looked: for a wake, or for a client. */
void explain_answered(struct daemon *daemon, const struct looker_answer *answer);
