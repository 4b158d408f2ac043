/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Small: what a typical site's plan has for itself fits into one, and thousands of them are kept. */
#define CHUNK_BYTES 272

struct arena_chunk {
	struct arena_chunk *next;
	size_t size, used;
	_Alignas(16) char data[];
};

void arena_init(struct arena *arena)
{
	*arena = (struct arena){0};
}

void arena_finish(struct arena *arena)
{
	while (arena->chunk) {
		struct arena_chunk *next = arena->chunk->next;

		free(arena->chunk);
		arena->chunk = next;
	}
	arena_init(arena);
}

static void *chunk_take(struct arena *arena, size_t size, size_t align)
{
	struct arena_chunk *chunk = arena->chunk;
	size_t at = chunk ? (chunk->used + align - 1) & ~(align - 1) : 0;

	if (!chunk || at > chunk->size || size > chunk->size - at) {
		size_t want = size > CHUNK_BYTES ? size : CHUNK_BYTES;

		if (size > SIZE_MAX - sizeof *chunk)
			return NULL;
		chunk = malloc(sizeof *chunk + want);
		if (!chunk)
			return NULL;
		*chunk = (struct arena_chunk){.next = arena->chunk, .size = want};
		arena->chunk = chunk;
		at = 0;
	}
	chunk->used = at + size;
	arena->used_bytes += size;
	return memset(chunk->data + at, 0, size);
}

void *arena_alloc(struct arena *arena, size_t size)
{
	return chunk_take(arena, size, 16);
}

char *arena_strndup(struct arena *arena, const char *text, size_t length)
{
	char *copy = chunk_take(arena, length + 1, 1);

	if (copy)
		memcpy(copy, text, length);
	return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	return arena_strndup(arena, text, strlen(text));
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	char *text = NULL, *copy;
	va_list args;
	int length;

	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0)
		return NULL;
	copy = arena_strndup(arena, text, (size_t)length);
	free(text);
	return copy;
}
