/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "peer.h"

struct listener;

/* Who or what is behind an event of a site, where more is known than a word: given with the event, and valid as
 * long as it is being handled. */
struct cause {
	const char *text;                /* how a program ended; NULL: it is not that */
	const struct listener *listener; /* something waits there; NULL: it is not that */
	struct peer peer; /* who gave the command, or sent what came in on a held connection; else AF_UNSPEC */
};

/* In words: "127.0.0.1:80", "10.0.0.1:54321", "pid 123 (torporctl), uid 0"; "" when there is nothing to say. */
const char *cause_format(const struct cause *cause, char *buf, size_t size);
