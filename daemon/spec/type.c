/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "type.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "capability.h"
#include "pack.h"
#include "str.h"
#include "value.h"

int setting_refuse(struct setting *setting, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(setting->message, sizeof setting->message, format, args);
	va_end(args);
	return -EINVAL;
}

int setting_expand(struct setting *setting, const char *text, const char **ret)
{
	char message[SPECIFIER_MESSAGE_BYTES];
	int error;

	if (!setting->specifiers) {
		*ret = text;
		return 0;
	}
	error = specifier_expand(setting->specifiers, text, setting->arena, ret, message);
	return error == -EINVAL ? setting_refuse(setting, "%s", message) : error;
}

int setting_path(struct setting *setting, const char *text, const char **ret)
{
	char *path;
	int error = setting_expand(setting, text, &text);

	if (error < 0)
		return error;
	path = arena_strdup(setting->arena, text);
	if (!path)
		return -ENOMEM;
	if (value_normalize_path(path) < 0)
		return setting_refuse(setting, "expected an absolute path of less than %d bytes without \"..\"",
				      PATH_MAX);
	*ret = path;
	return 0;
}

void *setting_grow(struct setting *setting, void **items, size_t n, size_t max, size_t size, int *error)
{
	if (n >= max) {
		*error = setting_refuse(setting, "more than %zu entries", max);
		return NULL;
	}
	if ((n & (n - 1)) == 0) {
		char *grown = arena_alloc(setting->arena, (n ? 2 * n : 1) * size);

		if (!grown) {
			*error = -ENOMEM;
			return NULL;
		}
		if (n)
			memcpy(grown, *items, n * size);
		*items = grown;
	}
	return memset((char *)*items + n * size, 0, size);
}

void type_write_plain(const char *text, FILE *out)
{
	for (; *text; text++) {
		if (*text == '%')
			putc('%', out);
		putc(*text, out);
	}
}

/* Types whose value is one number. */

static int parse_bool(struct setting *setting, const char *text)
{
	if (value_parse_bool(text, field_of(setting)) < 0)
		return setting_refuse(setting, "expected yes or no");
	return 0;
}

static void format_bool(const struct key *key, const void *field, FILE *out)
{
	(void)key;
	fputs(*(const bool *)field ? "yes" : "no", out);
}

static int parse_mode(struct setting *setting, const char *text)
{
	mode_t max = (mode_t)setting->key->max;

	if (value_parse_mode(text, max, field_of(setting)) < 0)
		return setting_refuse(setting, "expected an octal mode of at most %#o", max);
	return 0;
}

static void format_mode(const struct key *key, const void *field, FILE *out)
{
	(void)key;
	fprintf(out, "%04o", *(const mode_t *)field);
}

int setting_number(struct setting *setting, const char *text, int64_t *ret)
{
	const struct key *key = setting->key;

	if (value_parse_integer(text, key->min, key->max, ret) < 0)
		return setting_refuse(setting, "expected a number from %" PRId64 " to %" PRId64, key->min,
				      key->max);
	return 0;
}

static int parse_int(struct setting *setting, const char *text)
{
	int64_t value;
	int error = setting_number(setting, text, &value);

	if (error == 0)
		*(int *)field_of(setting) = (int)value;
	return error;
}

static void format_int(const struct key *key, const void *field, FILE *out)
{
	(void)key;
	fprintf(out, "%d", *(const int *)field);
}

static int parse_span(struct setting *setting, const char *text)
{
	const struct key *key = setting->key;
	char min[VALUE_SPAN_BYTES], max[VALUE_SPAN_BYTES];
	uint64_t us;

	if (value_parse_span(text, 1000000, &us) < 0)
		return setting_refuse(setting, "expected a time like 30, 500ms, \"1min 30s\"%s",
				      key->max ? "" : ", or infinity");
	if (key->max && (us < (uint64_t)key->min || us > (uint64_t)key->max))
		return setting_refuse(setting, "expected a time from %s to %s",
				      value_format_span((uint64_t)key->min, min),
				      value_format_span((uint64_t)key->max, max));
	*(uint64_t *)field_of(setting) = us;
	return 0;
}

static int parse_timeout(struct setting *setting, const char *text)
{
	int error = parse_span(setting, text);
	uint64_t *field = field_of(setting);

	if (error == 0 && *field == 0)
		*field = SPEC_INFINITY;
	return error;
}

static void format_span(const struct key *key, const void *field, FILE *out)
{
	char buf[VALUE_SPAN_BYTES];

	(void)key;
	fputs(value_format_span(*(const uint64_t *)field, buf), out);
}

static int parse_signal(struct setting *setting, const char *text)
{
	if (value_parse_signal(text, field_of(setting)) < 0)
		return setting_refuse(setting, "expected a signal like SIGTERM, INT, 15 or RTMIN+3");
	return 0;
}

static void format_signal(const struct key *key, const void *field, FILE *out)
{
	char buf[VALUE_SIGNAL_BYTES];

	(void)key;
	fputs(value_format_signal(*(const int *)field, buf), out);
}

static int parse_choice(struct setting *setting, const char *text)
{
	const struct choice *choice = setting->key->choices;
	char names[128] = "";
	size_t used = 0;

	for (; choice->name; choice++) {
		if (str_equal(choice->name, text)) {
			if (setting->key->type->size == 1)
				*(int8_t *)field_of(setting) = (int8_t)choice->value;
			else
				*(int *)field_of(setting) = choice->value;
			return 0;
		}
		used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
					 !used            ? ""
					 : choice[1].name ? ", "
							  : " or ",
					 choice->name);
	}
	return setting_refuse(setting, "expected %s", names);
}

static void format_choice(const struct key *key, const void *field, FILE *out)
{
	int value = key->type->size == 1 ? *(const int8_t *)field : *(const int *)field;

	for (const struct choice *choice = key->choices; choice->name; choice++)
		if (choice->value == value) {
			fputs(choice->name, out);
			return;
		}
}

static int parse_capabilities(struct setting *setting, const char *text)
{
	const char *wrong;
	size_t length;

	if (capability_parse(text, field_of(setting), &wrong, &length) < 0)
		return setting_refuse(setting,
				      "'%.*s' is no capability; expected names like CAP_NET_BIND_SERVICE",
				      length > 64 ? 64 : (int)length, wrong);
	return 0;
}

static void format_capabilities(const struct key *key, const void *field, FILE *out)
{
	(void)key;
	capability_write(*(const uint64_t *)field, out);
}

const struct type type_bool = {sizeof(bool), .parse = parse_bool, .format = format_bool};
const struct type type_mode = {sizeof(mode_t), .parse = parse_mode, .format = format_mode};
const struct type type_unsigned = {sizeof(unsigned), .parse = parse_int, .format = format_int};
const struct type type_int = {sizeof(int), .parse = parse_int, .format = format_int};
const struct type type_span = {sizeof(uint64_t), .parse = parse_span, .format = format_span};
const struct type type_timeout = {sizeof(uint64_t), .parse = parse_timeout, .format = format_span};
const struct type type_signal = {sizeof(int), .parse = parse_signal, .format = format_signal};
const struct type type_choice = {sizeof(int), .parse = parse_choice, .format = format_choice};
const struct type type_choice_small = {sizeof(int8_t), .parse = parse_choice, .format = format_choice};
const struct type type_capabilities = {
	sizeof(uint64_t),
	.parse = parse_capabilities,
	.format = format_capabilities,
};
