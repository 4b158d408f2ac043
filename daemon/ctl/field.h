/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct arena;

/* The fields of the daemon's objects. Nothing is taken for granted: object may be NULL or no object at all, and
 * a field that is missing or of another type is absent. */

/* A string in the form that a terminal may see (str_escape()), in arena; NULL when absent. */
const char *field_text(struct arena *arena, const json_t *object, const char *key);

/* The string itself, for comparing and for sending back, never for printing; NULL when absent. */
const char *field_raw(const json_t *object, const char *key);

/* A whole number that is not negative. */
bool field_u64(const json_t *object, const char *key, uint64_t *ret);
bool field_double(const json_t *object, const char *key, double *ret);
bool field_is(const json_t *object, const char *key, bool value);

/* Numbers as text, in arena; NULL when absent. */
const char *field_count(struct arena *arena, const json_t *object, const char *key);
const char *field_bytes(struct arena *arena, const json_t *object, const char *key);

/* The strings of an array joined by ", ", in arena; NULL when there are none. */
const char *field_joined(struct arena *arena, const json_t *object, const char *key);

/* value as text for a terminal: strings as they are, all else as JSON. */
const char *field_print(struct arena *arena, const json_t *value);

/* A copy of text, escaped for a terminal. */
const char *field_escape(struct arena *arena, const char *text);

/* Of a Failure or the parameters of StartFailed: "failed at step exec: No such file or directory". */
const char *field_failed_step(struct arena *arena, const json_t *object);

/* Of a FileError: "file:line: message", without what is absent. */
const char *field_file_error(struct arena *arena, const json_t *error);
