/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state.h"

#include <stdint.h>

#include "arena.h"
#include "field.h"
#include "str.h"
#include "terminal.h"

/* In the order of a live view. */
static const struct {
	const char *name, *mark;
} states[] = {
	{"starting", MARK_YELLOW}, {"awake", MARK_GREEN},   {"freezing", MARK_YELLOW},
	{"stopping", MARK_YELLOW}, {"paging", MARK_YELLOW}, {"failed", MARK_RED},
	{"frozen", MARK_BLUE},     {"paged", MARK_BLUE},    {"cold", MARK_PLAIN},
};

#define N_STATES    (sizeof states / sizeof states[0])
#define UNKNOWN_MAX 8 /* states of another version that are told */

/* How counts are told: what runs first. */
static const char *const count_order[] = {"awake", "starting", "freezing", "frozen", "paging",
					  "paged", "stopping", "cold",     "failed"};

size_t state_rank(const char *state)
{
	for (size_t i = 0; state && i < N_STATES; i++)
		if (str_equal(states[i].name, state))
			return i;
	return N_STATES;
}

const char *state_mark(const char *state)
{
	size_t rank = state_rank(state);

	return rank < N_STATES ? states[rank].mark : MARK_PLAIN;
}

const char *state_format(struct arena *arena, const char *state)
{
	const char *text = state ? field_escape(arena, state) : NULL;

	return text ? arena_printf(arena, "%s%s" MARK_PLAIN, state_mark(state), text) : NULL;
}

static const char *append_count(struct arena *arena, const char *text, const json_t *counts, const char *state)
{
	uint64_t count;
	const char *name = field_escape(arena, state);

	if (!field_u64(counts, state, &count) || count == 0 || !name)
		return text;
	return arena_printf(arena, "%s%s%s%llu %s" MARK_PLAIN, text ? text : "", text ? ", " : "",
			    state_mark(state), (unsigned long long)count, name);
}

const char *state_format_counts(struct arena *arena, const json_t *counts)
{
	const char *text = NULL, *key;
	unsigned unknown = 0;
	json_t *value;

	for (size_t i = 0; i < sizeof count_order / sizeof count_order[0]; i++)
		text = append_count(arena, text, counts, count_order[i]);
	/* A daemon of another version may know more. */
	json_object_foreach((json_t *)counts, key,
			    value) if (state_rank(key) == N_STATES && unknown++ < UNKNOWN_MAX) text =
		append_count(arena, text, counts, key);
	return text;
}
