/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pack.h"

#include <stdint.h>
#include <string.h>

void *pack_array(struct pack *pack, const void *array, size_t bytes)
{
	char *copy = pack->block ? pack->block + pack->array_bytes : NULL;

	if (!array)
		return NULL;
	pack->array_bytes += (bytes + 7) & ~(size_t)7;
	return copy ? memcpy(copy, array, bytes) : NULL;
}

const char *pack_string(struct pack *pack, const char *text)
{
	char *copy = pack->block ? pack->block + pack->strings_at + pack->string_bytes : NULL;
	size_t size;

	if (!text)
		return NULL;
	if (text == pack->shared && pack->shared_copy)
		return pack->block ? pack->shared_copy : NULL;
	size = strlen(text) + 1;
	pack->string_bytes += size;
	if (text == pack->shared)
		pack->shared_copy = copy ? copy : text;
	return copy ? memcpy(copy, text, size) : NULL;
}

const char *const *pack_strings(struct pack *pack, const char *const *list)
{
	const char **copy;
	size_t n = 0;

	if (!list)
		return NULL;
	while (list[n])
		n++;
	copy = pack_array(pack, list, (n + 1) * sizeof *list);
	for (size_t i = 0; i < n; i++) {
		const char *text = pack_string(pack, list[i]);

		if (copy)
			copy[i] = text;
	}
	return copy;
}
