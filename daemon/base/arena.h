/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Memory that is freed as a whole: a spec or a plan is built in one arena. Not zero-copy across arenas, not
 * for growing buffers. Everything it hands out is zeroed and aligned for any type. */
struct arena {
	struct arena_chunk *chunk; /* newest first; owned */
	size_t used_bytes;         /* of all chunks, for accounting */
};

void arena_init(struct arena *arena);
void arena_finish(struct arena *arena);

/* NULL when out of memory. */
void *arena_alloc(struct arena *arena, size_t size);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t length);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
