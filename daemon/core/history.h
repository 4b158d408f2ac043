/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ledger.h"
#include "peer.h"

struct daemon;
struct looker_answer;
struct site;

/* Who has woken a site is looked for so long after it: a look at once would cost the visitor some 100 us. Who
 * has gone by then, and has closed first, is not known. */
#define HISTORY_LOOK_MS 5

/* What a site keeps of its past: nothing until it has woken for the first time. */

/* How far a wake has come, in this order. Thaws have none but the last. */
enum wake_step {
	WAKE_NETWORK, /* attached to its CNI network */
	WAKE_QUEUED,  /* its turn has come */
	WAKE_TAKEN,   /* a launcher has taken it up */
	WAKE_CLONED,  /* prepared as far as clone3 */
	WAKE_EXECUTED,
	WAKE_READY,
	WAKE_STEPS
};

/* How it stands with who is behind a wake. */
enum wake_peer {
	WAKE_PEER_NONE,   /* nobody: Keep= */
	WAKE_PEER_WANTED, /* to be looked for soon */
	WAKE_PEER_ASKED,  /* it is being looked for */
	WAKE_PEER_KNOWN,
	WAKE_PEER_GONE,   /* had gone again when it was looked for */
	WAKE_PEER_UNSEEN, /* the kernel's tables could not be read */
};

#define WAKE_NO_LISTENER UINT8_MAX

struct wake {
	uint64_t time_us;             /* CLOCK_REALTIME */
	uint32_t took_us;             /* 0: it is not over, or has failed */
	uint32_t step_us[WAKE_STEPS]; /* since the wake; 0: was not passed */
	const char *by;               /* static text */
	struct peer peer;             /* WAKE_PEER_KNOWN */
	uint16_t others;              /* connections that may as well have been the first */
	uint8_t peer_state;           /* enum wake_peer */
	uint8_t from;                 /* enum site_state */
	uint8_t listener;             /* which of the site's, or WAKE_NO_LISTENER */
};

struct history {
	struct wake wake; /* the last; time_us 0: none since torpord started */
	struct ledger ledger;
};

/* A wake begins: by why, and by daemon->cause where it is known. Out of memory: nothing is kept. */
void history_wake(struct site *site, const char *by);

/* It is over: the site is about to be awake, after the state it is in. An undone freeze is no wake. */
void history_awake(struct site *site, uint64_t took_us);

/* Has somebody look for who is behind a wake by connection, soon. */
void history_look(struct site *site);

/* Who it was: the answer to history_look(). */
void history_answered(struct site *site, const struct looker_answer *answer);

/* A Wake of io.torpor; NULL when it has not woken, or out of memory. */
json_t *history_wake_json(const struct site *site);

/* A Peer of io.torpor. */
json_t *history_peer_json(const struct peer *peer);
