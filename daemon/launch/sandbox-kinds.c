/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sandbox-kinds.h"

#include <stdlib.h>
#include <string.h>

static void forget_last(struct sandbox_kinds *kinds)
{
	free((void *)kinds->known[--kinds->n].kind.list);
}

static void move_to_front(struct sandbox_kinds *kinds, size_t i)
{
	struct known_kind known = kinds->known[i];

	memmove(&kinds->known[1], &kinds->known[0], i * sizeof kinds->known[0]);
	kinds->known[0] = known;
}

int sandbox_kinds_use(struct sandbox_kinds *kinds, struct shared_root *shared, const struct sandbox_kind *kind)
{
	struct known_kind *known = sandbox_kinds_find(kinds, shared, kind);

	kinds->starts++;
	if (!known) {
		void *copy = malloc(kind->list_bytes);

		if (!copy)
			return -ENOMEM;
		memcpy(copy, kind->list, kind->list_bytes);
		if (kinds->n == SANDBOX_KINDS_MAX)
			forget_last(kinds);
		known = &kinds->known[kinds->n++];
		*known = (struct known_kind){.shared = shared, .kind = *kind};
		known->kind.list = copy;
	}
	known->used = kinds->starts;
	move_to_front(kinds, (size_t)(known - kinds->known));
	while (kinds->known[kinds->n - 1].used + SANDBOX_KINDS_STARTS < kinds->starts)
		forget_last(kinds);
	return 0;
}

struct known_kind *sandbox_kinds_find(struct sandbox_kinds *kinds, const struct shared_root *shared,
				      const struct sandbox_kind *kind)
{
	for (unsigned i = 0; i < kinds->n; i++)
		if (kinds->known[i].shared == shared && sandbox_same_kind(&kinds->known[i].kind, kind))
			return &kinds->known[i];
	return NULL;
}

void sandbox_kinds_finish(struct sandbox_kinds *kinds)
{
	while (kinds->n > 0)
		forget_last(kinds);
}
