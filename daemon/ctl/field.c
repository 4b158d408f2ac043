/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "field.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "arena.h"
#include "cleanup.h"
#include "str.h"

#define FAILED_AT_STEP "failed at step "

const char *field_escape(struct arena *arena, const char *text)
{
	size_t size = strlen(text) * 4 + 1;
	char *escaped = arena_alloc(arena, size);

	if (escaped)
		str_escape(text, escaped, size);
	return escaped;
}

const char *field_raw(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

const char *field_text(struct arena *arena, const json_t *object, const char *key)
{
	const char *raw = field_raw(object, key);

	return raw ? field_escape(arena, raw) : NULL;
}

bool field_u64(const json_t *object, const char *key, uint64_t *ret)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*ret = (uint64_t)json_integer_value(value);
	return true;
}

bool field_double(const json_t *object, const char *key, double *ret)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_number(value) || !isfinite(json_number_value(value)))
		return false;
	*ret = json_number_value(value);
	return true;
}

bool field_is(const json_t *object, const char *key, bool value)
{
	const json_t *field = json_object_get(object, key);

	return value ? json_is_true(field) : json_is_false(field);
}

const char *field_count(struct arena *arena, const json_t *object, const char *key)
{
	uint64_t value;

	return field_u64(object, key, &value) ? arena_printf(arena, "%llu", (unsigned long long)value) : NULL;
}

const char *field_bytes(struct arena *arena, const json_t *object, const char *key)
{
	uint64_t value;
	char buf[32];

	if (!field_u64(object, key, &value))
		return NULL;
	return arena_strdup(arena, str_format_bytes(value, buf, sizeof buf));
}

const char *field_print(struct arena *arena, const json_t *value)
{
	autofree char *text = NULL;

	if (json_is_string(value))
		return field_escape(arena, json_string_value(value));
	text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	return text ? field_escape(arena, text) : NULL;
}

const char *field_joined(struct arena *arena, const json_t *object, const char *key)
{
	const json_t *array = json_object_get(object, key);
	size_t count = json_array_size(array), size = 1, used = 0;
	char *joined;

	for (size_t i = 0; i < count; i++)
		size += json_string_length(json_array_get(array, i)) * 4 + 2;
	joined = count > 0 ? arena_alloc(arena, size) : NULL;
	for (size_t i = 0; joined && i < count; i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (!text)
			continue;
		if (used > 0)
			used += (size_t)snprintf(joined + used, size - used, ", ");
		used += str_escape(text, joined + used, size - used);
	}
	return used > 0 ? joined : NULL;
}

const char *field_failed_step(struct arena *arena, const json_t *object)
{
	const char *step = field_text(arena, object, "step"), *why = field_text(arena, object, "message");
	uint64_t number = 0;

	if ((!why || !*why) && field_u64(object, "errno", &number) && number > 0 && number < INT_MAX)
		why = strerror((int)number);
	if (!why || !*why)
		why = "for a reason that is not known";
	/* The message may be the whole sentence, or be of a program that runs. */
	if (!step || !*step || str_equal(step, "handover") ||
	    strncmp(why, FAILED_AT_STEP, strlen(FAILED_AT_STEP)) == 0)
		return why;
	return arena_printf(arena, FAILED_AT_STEP "%s: %s", step, why);
}

const char *field_file_error(struct arena *arena, const json_t *error)
{
	const char *file = field_text(arena, error, "file"), *message = field_text(arena, error, "message");
	uint64_t line = 0;

	if (!message)
		message = "refused";
	if (!file)
		return message;
	field_u64(error, "line", &line);
	if (line == 0)
		return arena_printf(arena, "%s: %s", file, message);
	return arena_printf(arena, "%s:%llu: %s", file, (unsigned long long)line, message);
}
