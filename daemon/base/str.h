/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_BYTES_MAX 200 /* a site's or template's name; leaves room for suffixes in a 255-byte file name */

static inline bool str_equal(const char *a, const char *b)
{
	return __builtin_strcmp(a, b) == 0;
}

/* Whether text ends in suffix and is longer than it. */
bool str_has_suffix(const char *text, const char *suffix);

/* Writes text to out so that a terminal can print it: control bytes, DEL, C1 controls (also as UTF-8),
 * bytes that are not UTF-8, and bidirectional overrides become \xNN. Always terminates; cuts at a whole
 * escape when out is full. Returns the length written. */
size_t str_escape(const char *text, char *out, size_t size);

/* A name of a site or a template: 1 to NAME_BYTES_MAX bytes of letters, digits and ":-_.@", not starting
 * with '.' or '-'. It is used as a file name, a cgroup name and on terminals. */
bool str_valid_name(const char *name);

/* Whether an absolute, normal path is folder, or lies below it. */
bool str_path_within(const char *path, const char *folder);

/* The whole of text as a decimal number. -EINVAL, -ERANGE. */
int str_to_u64(const char *text, uint64_t *ret);

/* A time span for people: "850us", "12.3ms", "4.2s", "3min 20s", "2h 5min", "4d 3h". */
const char *str_format_span(uint64_t us, char *buf, size_t size);

/* A size for people: "812B", "1.7K", "66.0M", "2.1G". */
const char *str_format_bytes(uint64_t bytes, char *buf, size_t size);
