/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Types whose value is a string, or holds one. */

#include "type.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "pack.h"
#include "slice.h"
#include "str.h"
#include "value.h"

static int parse_string(struct setting *setting, const char *text)
{
	return setting_expand(setting, text, field_of(setting));
}

static int parse_slice(struct setting *setting, const char *text)
{
	char *name;
	int error = setting_expand(setting, text, &text);

	if (error < 0)
		return error;
	name = arena_strdup(setting->arena, text);
	if (!name)
		return -ENOMEM;
	if (str_has_suffix(name, unit_kind_suffix(UNIT_SLICE)))
		name[strlen(name) - strlen(unit_kind_suffix(UNIT_SLICE))] = '\0';
	if (!slice_valid_name(name))
		return setting_refuse(
			setting,
			"expected the name of a slice: 1 to %d letters, digits and \":-_.@\", with a "
			"single '-' where it lies in another",
			NAME_BYTES_MAX);
	*(const char **)field_of(setting) = name;
	return 0;
}

static int parse_template(struct setting *setting, const char *text)
{
	if (!str_valid_name(text))
		return setting_refuse(setting, "expected the name of a template, without \".template\"");
	return 0;
}

static void reset_nothing(struct setting *setting)
{
	(void)setting;
}

static int parse_user(struct setting *setting, const char *text)
{
	int error = setting_expand(setting, text, &text);

	if (error < 0)
		return error;
	if (!value_valid_user(text))
		return setting_refuse(setting, "expected a name, or a number from 0 to 4294967294");
	*(const char **)field_of(setting) = text;
	return 0;
}

static int parse_cpus(struct setting *setting, const char *text)
{
	char cpus[VALUE_CPUS_BYTES] = "";
	const char **field = field_of(setting);

	if (*field)
		memcpy(cpus, *field, strlen(*field) + 1);
	if (value_parse_cpus(text, cpus) < 0)
		return setting_refuse(setting, "expected numbers below %d like \"0-3 8\"", VALUE_CPUS_MAX);
	*field = arena_strdup(setting->arena, cpus);
	return *field ? 0 : -ENOMEM;
}

static void format_string(const struct key *key, const void *field, FILE *out)
{
	const char *text = *(const char *const *)field;

	(void)key;
	type_write_plain(text ? text : "", out);
}

void type_copy_string(const struct key *key, void *target, struct pack *pack)
{
	const char **field = key_field(key, target);

	*field = pack_string(pack, *field);
}

static int parse_path(struct setting *setting, const char *text)
{
	return setting_path(setting, text, field_of(setting));
}

/* "FOLDER[:NAME]": of a layout with several images the one with this name. */
static int parse_oci(struct setting *setting, const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./+@";
	const char *name;
	char *folder;
	int error = setting_expand(setting, text, &text);

	if (error < 0)
		return error;
	name = strchr(text, ':');
	folder = arena_strndup(setting->arena, text, name ? (size_t)(name - text) : strlen(text));
	if (!folder)
		return -ENOMEM;
	if (name && (!name[1] || name[1 + strspn(name + 1, allowed)]))
		return setting_refuse(
			setting, "expected FOLDER or FOLDER:NAME, the name of letters, digits and \"-_./+@\"");
	if (value_normalize_path(folder) < 0)
		return setting_refuse(setting, "expected an absolute path of less than %d bytes without \"..\"",
				      PATH_MAX);
	*(const char **)field_of(setting) = arena_printf(setting->arena, "%s%s", folder, name ? name : "");
	return *(const char **)field_of(setting) ? 0 : -ENOMEM;
}

static int parse_overlay(struct setting *setting, const char *text)
{
	const char **field = field_of(setting);

	if (!str_equal(text, "none") && !str_equal(text, "tmpfs"))
		return *text == '/' || *text == '%'
			       ? setting_path(setting, text, field)
			       : setting_refuse(setting, "expected none, tmpfs or an absolute path");
	*field = str_equal(text, "tmpfs") ? "tmpfs" : NULL;
	return 0;
}

static void format_overlay(const struct key *key, const void *field, FILE *out)
{
	const char *text = *(const char *const *)field;

	(void)key;
	type_write_plain(text ? text : "none", out);
}

static int parse_directory(struct setting *setting, const char *text)
{
	bool *optional = (bool *)((char *)setting->target + setting->key->second);
	bool dash = *text == '-';
	int error = setting_path(setting, text + dash, field_of(setting));

	if (error == 0)
		*optional = dash;
	return error;
}

static void reset_directory(struct setting *setting)
{
	*(const char **)field_of(setting) = NULL;
	*((char *)setting->target + setting->key->second) = false;
}

static void print_directory(const struct key *key, const void *target, bool all, FILE *out)
{
	const char *path = *(const char *const *)key_field_const(key, target);
	bool optional = *(const bool *)((const char *)target + key->second);

	if (!path && !all)
		return;
	fprintf(out, "%s=%s", key->name, path && optional ? "-" : "");
	type_write_plain(path ? path : "", out);
	putc('\n', out);
}

static const struct {
	const char *name;
	enum output_kind kind;
	bool path;
} outputs[] = {
	{"journal", OUTPUT_JOURNAL, false}, {"null", OUTPUT_NULL, false},
	{"inherit", OUTPUT_INHERIT, false}, {"file:", OUTPUT_FILE, true},
	{"append:", OUTPUT_APPEND, true},   {"truncate:", OUTPUT_TRUNCATE, true},
};

static int parse_output(struct setting *setting, const char *text)
{
	struct output_spec *output = field_of(setting);

	for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
		size_t length = strlen(outputs[i].name);
		const char *path = NULL;
		int error;

		if (outputs[i].path ? strncmp(text, outputs[i].name, length) != 0
				    : !str_equal(text, outputs[i].name))
			continue;
		error = outputs[i].path ? setting_path(setting, text + length, &path) : 0;
		if (error < 0)
			return error;
		/* One by one: the bytes between them stay zero and are compared with the default's. */
		output->kind = outputs[i].kind;
		output->path = path;
		return 0;
	}
	return setting_refuse(setting,
			      "expected journal, null, inherit, file:PATH, append:PATH or truncate:PATH");
}

static void format_output(const struct key *key, const void *field, FILE *out)
{
	const struct output_spec *output = field;

	(void)key;
	for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
		if (outputs[i].kind == output->kind)
			fputs(outputs[i].name, out);
	type_write_plain(output->path ? output->path : "", out);
}

static void copy_output(const struct key *key, void *target, struct pack *pack)
{
	struct output_spec *output = key_field(key, target);

	output->path = pack_string(pack, output->path);
}

static int parse_network(struct setting *setting, const char *text)
{
	const char **field = field_of(setting);
	int error = setting_expand(setting, text, &text);

	if (error < 0)
		return error;
	if (!value_valid_network(text))
		return setting_refuse(setting,
				      "expected none, host, or the name of a network: letters, digits and "
				      "\"_.-\", beginning with a letter or digit");
	*field = str_equal(text, "none") ? NULL : text;
	return 0;
}

static void format_network(const struct key *key, const void *field, FILE *out)
{
	const char *text = *(const char *const *)field;

	(void)key;
	type_write_plain(text ? text : "none", out);
}

/* No key that is dumped: it stands for another. */
static int parse_private_network(struct setting *setting, const char *text)
{
	bool private_network;

	if (value_parse_bool(text, &private_network) < 0)
		return setting_refuse(setting, "expected yes or no");
	*(const char **)field_of(setting) = private_network ? NULL : "host";
	return 0;
}

static void reset_network(struct setting *setting)
{
	*(const char **)field_of(setting) = NULL;
}

static int parse_search_path(struct setting *setting, const char *text)
{
	char *list, *rest, *one;
	const char *joined = NULL, *path;
	int error = setting_expand(setting, text, &text);

	if (error < 0)
		return error;
	list = rest = arena_strdup(setting->arena, text);
	while (list && (one = strsep(&rest, ":"))) {
		error = setting_path(setting, one, &path);
		if (error < 0)
			return error;
		joined = joined ? arena_printf(setting->arena, "%s:%s", joined, path) : path;
		if (!joined)
			return -ENOMEM;
	}
	*(const char **)field_of(setting) = joined;
	return list ? 0 : -ENOMEM;
}

const struct type type_string = {
	sizeof(char *),
	.parse = parse_string,
	.format = format_string,
	.copy = type_copy_string,
};
const struct type type_slice = {
	sizeof(char *),
	.parse = parse_slice,
	.format = format_string,
	.copy = type_copy_string,
};
const struct type type_template = {.parse = parse_template, .reset = reset_nothing};
const struct type type_user = {
	sizeof(char *),
	.parse = parse_user,
	.format = format_string,
	.copy = type_copy_string,
};
const struct type type_cpus = {
	sizeof(char *), .adds = true, .parse = parse_cpus, .format = format_string, .copy = type_copy_string,
};
const struct type type_path = {
	sizeof(char *),
	.parse = parse_path,
	.format = format_string,
	.copy = type_copy_string,
};
const struct type type_oci = {
	sizeof(char *),
	.parse = parse_oci,
	.format = format_string,
	.copy = type_copy_string,
};
const struct type type_overlay = {
	sizeof(char *),
	.parse = parse_overlay,
	.format = format_overlay,
	.copy = type_copy_string,
};
const struct type type_directory = {
	.parse = parse_directory,
	.reset = reset_directory,
	.print = print_directory,
	.copy = type_copy_string,
};
const struct type type_output = {
	sizeof(struct output_spec),
	.parse = parse_output,
	.format = format_output,
	.copy = copy_output,
};
const struct type type_network = {
	sizeof(char *),
	.parse = parse_network,
	.format = format_network,
	.copy = type_copy_string,
};
const struct type type_private_network = {.parse = parse_private_network, .reset = reset_network};
const struct type type_search_path = {
	sizeof(char *),
	.parse = parse_search_path,
	.format = format_string,
	.copy = type_copy_string,
};
