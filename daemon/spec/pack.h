/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Copies a struct and all it points to into one block of memory of exactly the size needed: thousands of cold
 * sites are kept. Done twice with the same calls: first to count (block is NULL, and so is what the calls
 * return), then to copy. Arrays come first, strings behind them. */
struct pack {
	char *block;
	size_t array_bytes, string_bytes; /* used so far */
	size_t strings_at;                /* where the strings start: array_bytes of the counting */
	const char *shared, *shared_copy; /* a string that several fields point to: kept once */
};

/* NULL for NULL. */
void *pack_array(struct pack *pack, const void *array, size_t bytes);
const char *pack_string(struct pack *pack, const char *text);

/* A NULL-terminated list of strings. */
const char *const *pack_strings(struct pack *pack, const char *const *list);
