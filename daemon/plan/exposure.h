/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "plan.h"

/* What a container may and may not do, item by item, and one figure for the whole: for people, in the manner of
 * systemd-analyze(1) security. Nothing is asked of the host: all is in the plan. */

struct assessment;

/* One thing that is looked at. The table of them, exposure.c, is the one place for weights. */
struct exposure_item {
	const char *id;     /* "user": stable, for programs */
	const char *keys;   /* of a unit that change it, separated by spaces; NULL: none does */
	unsigned weight;    /* what it counts of the whole; 0: is told and does not count */
	unsigned alone;     /* the least exposure of a container where it is wholly bad, in tenths; 0: none */
	const char *reason; /* for the weight: a sentence */
	void (*assess)(struct assessment *assessment);
	const char *value, *text; /* where there is no assess(): it is so for every container */
};

extern const struct exposure_item exposure_items[];
extern const size_t exposure_n_items;

/* What an item came to. */
struct exposure_finding {
	const struct exposure_item *item;
	unsigned badness;  /* 0: as closed as can be; 100: wide open */
	unsigned tenths;   /* what that is of the whole exposure, rounded up */
	const char *value; /* for programs: "65534", "none"; may hold any byte, as may text */
	const char *text;  /* one line */
};

struct exposure {
	struct arena arena;
	struct exposure_finding *findings;      /* [exposure_n_items], in the order of the table */
	unsigned tenths;                        /* 0..100: the exposure, 0.0 to 10.0 */
	const struct exposure_item *decided_by; /* the item that alone is worth that much; NULL: all are */
};

/* What a system call filter lets in, as syscalls_decide() has it. */
struct exposure_calls {
	unsigned known;        /* calls that this machine has and torpor knows */
	unsigned allowed;      /* of them, by some arguments at least */
	unsigned container;    /* of those, how many are in @container too */
	unsigned in_container; /* calls of @container */
	uint32_t hazards;      /* bit n is the n-th of SYSCALL_HAZARDS */
	uint32_t groups;       /* bit n: some call of syscall_groups[n] that is not in @container */
	uint64_t families;     /* bit n: a socket of family n */
	uint32_t namespaces;   /* CLONE_NEW* that can be made or entered, were there the capabilities */
	uint32_t notify;       /* bit n: the n-th of exposure_intercepted asks torpord */
	bool write_execute, realtime, set_id, personality, weak_personality, terminal, foreign;
};
extern const char *const exposure_intercepted[]; /* ends with NULL */

/* The part of an assessment that takes time, some milliseconds. Sites whose plans have one blob of calls have
 * one of these. */
void exposure_calls_decide(const struct site_spec *spec, struct exposure_calls *ret);

struct exposure_input {
	const struct launch_plan *plan;
	const struct exposure_calls *calls;    /* of its spec */
	const struct resource_list *resources; /* what is in force of [Resources]; the plan's or a later one */
	const char *unenforced;                /* why not all of that is in force, or NULL */
};

/* Fills *ret, to be given to exposure_finish(), which keeps no pointer to the input but to strings of its spec.
 * -ENOMEM, and there is nothing to finish. */
int exposure_assess(const struct exposure_input *input, struct exposure *ret);
void exposure_finish(struct exposure *exposure);

/* "OK", "MEDIUM" ...: the words and bounds of systemd-analyze(1). */
const char *exposure_word(unsigned tenths);
