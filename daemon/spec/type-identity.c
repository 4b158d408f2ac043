/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Types of what a site is: its users and its labels. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "config.h"
#include "pack.h"
#include "str.h"
#include "type.h"
#include "value.h"

#define LABEL_BYTES_MAX 1024 /* less than a page, in which the kernel takes it */

static int parse_private_users(struct setting *setting, const char *text)
{
	bool private_users;

	if (value_parse_bool(text, &private_users) < 0)
		return setting_refuse(setting, "expected yes or no");
	*(int8_t *)field_of(setting) = private_users ? USERS_PRIVATE : USERS_HOST;
	return 0;
}

static void format_private_users(const struct key *key, const void *field, FILE *out)
{
	int8_t users = *(const int8_t *)field;

	(void)key;
	if (users != USERS_DEFAULT)
		fputs(users == USERS_PRIVATE ? "yes" : "no", out);
}

static bool is_label(const char *text)
{
	size_t length = strlen(text);

	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	return length > 0 && length <= LABEL_BYTES_MAX;
}

static int parse_label(struct setting *setting, const char *text)
{
	struct label_spec *label;
	bool dash = *text == '-';
	int error = setting_expand(setting, text + dash, &text);

	if (error < 0)
		return error;
	if (!is_label(text))
		return setting_refuse(setting,
				      "expected a name of 1 to %d bytes without control characters, with "
				      "\"-\" before it where the site may start without",
				      LABEL_BYTES_MAX);
	label = arena_alloc(setting->arena, sizeof *label);
	if (!label)
		return -ENOMEM;
	*label = (struct label_spec){.name = text, .optional = dash, .origin = setting->origin};
	*(const struct label_spec **)field_of(setting) = label;
	return 0;
}

static void reset_label(struct setting *setting)
{
	*(const struct label_spec **)field_of(setting) = NULL;
}

static void print_label(const struct key *key, const void *target, bool all, FILE *out)
{
	const struct label_spec *label = *(const struct label_spec *const *)key_field_const(key, target);

	if (!label && !all)
		return;
	fprintf(out, "%s=%s", key->name, label && label->optional ? "-" : "");
	type_write_plain(label ? label->name : "", out);
	putc('\n', out);
}

static void copy_label(const struct key *key, void *target, struct pack *pack)
{
	struct label_spec **field = key_field(key, target), *copy;
	struct label_spec label;

	if (!*field)
		return;
	copy = pack_array(pack, *field, sizeof **field);
	label = **field;
	label.name = pack_string(pack, label.name);
	label.origin.file = pack_string(pack, label.origin.file);
	if (copy)
		*copy = label;
	*field = copy;
}

/* "FIRST-LAST", in whole ranges: one for single ids, and one or more for sites. */
static int parse_ids(struct setting *setting, const char *text)
{
	struct id_span *span = field_of(setting);
	const char *dash = strchr(text, '-');
	char number[24] = "";
	uint64_t first = 0, last = 0;

	if (dash && (size_t)(dash - text) < sizeof number)
		memcpy(number, text, (size_t)(dash - text));
	if (!dash || str_to_u64(number, &first) < 0 || str_to_u64(dash + 1, &last) < 0 || last > UINT32_MAX ||
	    first < ID_SPAN_UNIT || first % ID_SPAN_UNIT != 0 || (last + 1) % ID_SPAN_UNIT != 0 ||
	    last + 1 == UINT64_C(1) << 32 || last < first || last + 1 - first < 2 * ID_SPAN_UNIT)
		return setting_refuse(setting,
				      "expected FIRST-LAST, two or more blocks of %u ids that begin with a "
				      "multiple of it, from %u to 4294901759",
				      ID_SPAN_UNIT, ID_SPAN_UNIT);
	*span = (struct id_span){.first = (uint32_t)first, .last = (uint32_t)last};
	return 0;
}

static void format_ids(const struct key *key, const void *field, FILE *out)
{
	const struct id_span *span = field;

	(void)key;
	fprintf(out, "%" PRIu32 "-%" PRIu32, span->first, span->last);
}

const struct type type_private_users = {
	sizeof(int8_t),
	.parse = parse_private_users,
	.format = format_private_users,
};
const struct type type_label = {
	sizeof(struct label_spec *), .parse = parse_label, .reset = reset_label,
	.print = print_label,        .copy = copy_label,
};
const struct type type_ids = {sizeof(struct id_span), .parse = parse_ids, .format = format_ids};
