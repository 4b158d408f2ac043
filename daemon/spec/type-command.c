/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Types whose value is words: the command, variables, files of variables. */

#include "type.h"

#include <errno.h>
#include <string.h>

#include "calendar.h"
#include "pack.h"
#include "str.h"
#include "words.h"

static size_t count_strings(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

/* Adds to a NULL-terminated list. */
static int add_string(struct setting *setting, const char *const **list, const char *text)
{
	size_t n = count_strings(*list);
	void *items = (void *)*list;
	int error = 0;

	if (n >= SPEC_LIST_MAX)
		return setting_refuse(setting, "more than %d entries", SPEC_LIST_MAX);
	/* The NULL counts as an item. */
	if (n == 0 && !setting_grow(setting, &items, 0, 1, sizeof text, &error))
		return error;
	if (!setting_grow(setting, &items, n + 1, SPEC_LIST_MAX + 1, sizeof text, &error))
		return error;
	((const char **)items)[n] = text;
	*list = items;
	return 0;
}

static void reset_strings(struct setting *setting)
{
	*(const char *const **)key_field(setting->key, setting->target) = NULL;
}

static void copy_strings(const struct key *key, void *target, struct pack *pack)
{
	const char *const **field = key_field(key, target);

	*field = pack_strings(pack, *field);
}

/* Takes the next word, specifiers expanded. 1, 0 at the end, or an error with the message set. */
static int next_word(struct setting *setting, const char **text, const char **ret)
{
	const char *message = NULL;
	char *word;
	int error = words_next(text, 0, setting->arena, &word, &message);

	if (error == -EINVAL)
		return setting_refuse(setting, "%s", message);
	if (error <= 0)
		return error;
	error = setting_expand(setting, word, ret);
	return error < 0 ? error : 1;
}

static int refuse_second_command(struct setting *setting, const struct origin *origin)
{
	return setting_refuse(
		setting,
		"there is one already, in %s:%u; expected an empty ExecStart= before this line to "
		"replace it",
		origin->file, origin->line);
}

/* What systemd's prefixes ask for is said by keys of torpor, or not to be had. */
static int check_program(struct setting *setting, const char *text)
{
	if (strchr("@-:+!|", *text))
		return setting_refuse(setting, "the prefix '%c' is not supported; expected a program", *text);
	return 0;
}

/* The words as they are written, but for specifiers; command_expand() replaces variables in the end. */
static int parse_command(struct setting *setting, const char *text)
{
	struct site_spec *spec = setting->target;
	const char *const *words = NULL;
	int error;

	if (spec->exec_start)
		return refuse_second_command(setting, &spec->exec_origin);
	error = check_program(setting, text);
	if (error < 0)
		return error;
	for (;;) {
		const char *word;

		text += strspn(text, " \t");
		if (*text == ';' && strchr(" \t", text[1]))
			return setting_refuse(setting,
					      "a lone ';'; expected one command, \"\\;\" for the word");
		error = next_word(setting, &text, &word);
		if (error <= 0)
			break;
		error = add_string(setting, &words, word);
		if (error < 0)
			break;
	}
	if (error < 0)
		return error;
	/* Quoted, a prefix is the program's own byte, but no dump could say so. */
	error = *words[0] ? check_program(setting, words[0]) : 0;
	if (error < 0)
		return error;
	if (!*words[0] || (*words[0] != '/' && strchr(words[0], '/')))
		return setting_refuse(setting,
				      "expected an absolute path or a name without '/' as the program");
	spec->exec_start = words;
	spec->exec_origin = setting->origin;
	return 0;
}

static void reset_command(struct setting *setting)
{
	struct site_spec *spec = setting->target;

	spec->exec_start = NULL;
	spec->exec_origin = (struct origin){0};
}

static void print_strings(const struct key *key, const char *const *list, enum words_flags flags, FILE *out)
{
	fprintf(out, "%s=", key->name);
	for (size_t i = 0; list && list[i]; i++) {
		if (i > 0)
			putc(' ', out);
		words_quote(list[i], flags, out);
	}
	putc('\n', out);
}

static void print_command(const struct key *key, const void *target, bool all, FILE *out)
{
	const struct site_spec *spec = target;

	if (spec->exec_start || all)
		print_strings(key, spec->exec_start, WORDS_SPECIFIER | WORDS_VARIABLE, out);
}

static void copy_command(const struct key *key, void *target, struct pack *pack)
{
	struct site_spec *spec = target;

	copy_strings(key, target, pack);
	spec->exec_origin.file = pack_string(pack, spec->exec_origin.file);
}

static bool valid_variable(const char *text, size_t length)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

	return length > 0 && strspn(text, allowed) >= length && !(text[0] >= '0' && text[0] <= '9');
}

/* Later ones win: they take the place of what they replace. */
static int parse_environment(struct setting *setting, const char *text)
{
	const char *const **list = key_field(setting->key, setting->target);
	const char *word;
	int error;

	while ((error = next_word(setting, &text, &word)) > 0) {
		const char *equals = strchr(word, '=');
		size_t name, i;

		if (!equals || !valid_variable(word, (size_t)(equals - word)))
			return setting_refuse(
				setting, "'%.64s': expected NAME=VALUE, in quotes where it has spaces", word);
		name = (size_t)(equals - word) + 1;
		for (i = 0; *list && (*list)[i]; i++)
			if (strncmp((*list)[i], word, name) == 0)
				break;
		if (*list && (*list)[i])
			((const char **)*list)[i] = word;
		else
			error = add_string(setting, list, word);
		if (error < 0)
			return error;
	}
	return error;
}

static void print_environment(const struct key *key, const void *target, bool all, FILE *out)
{
	const char *const *list = *(const char *const *const *)key_field_const(key, target);

	if (!list && all)
		print_strings(key, NULL, 0, out);
	for (; list && *list; list++)
		print_strings(key, (const char *const[]){*list, NULL}, WORDS_SPECIFIER, out);
}

static int parse_words(struct setting *setting, const char *text)
{
	const char *word;
	int error;

	while ((error = next_word(setting, &text, &word)) > 0) {
		error = add_string(setting, key_field(setting->key, setting->target), word);
		if (error < 0)
			break;
	}
	return error;
}

static void print_words(const struct key *key, const void *target, bool all, FILE *out)
{
	const char *const *list = *(const char *const *const *)key_field_const(key, target);

	if (list || all)
		print_strings(key, list, WORDS_SPECIFIER, out);
}

static int parse_file(struct setting *setting, const char *text)
{
	bool dash = *text == '-';
	const char *path;
	int error = setting_path(setting, text + dash, &path);

	if (error == 0 && dash) {
		path = arena_printf(setting->arena, "-%s", path);
		error = path ? 0 : -ENOMEM;
	}
	return error < 0 ? error : add_string(setting, key_field(setting->key, setting->target), path);
}

static int parse_calendar(struct setting *setting, const char *text)
{
	struct calendar calendar;
	const char *message;

	if (calendar_parse(text, &calendar, &message) < 0)
		return setting_refuse(setting, "%s", message);
	return add_string(setting, key_field(setting->key, setting->target), text);
}

static void print_files(const struct key *key, const void *target, bool all, FILE *out)
{
	const char *const *list = *(const char *const *const *)key_field_const(key, target);

	if (!list && all)
		fprintf(out, "%s=\n", key->name);
	for (; list && *list; list++) {
		fprintf(out, "%s=", key->name);
		type_write_plain(*list, out);
		putc('\n', out);
	}
}

const struct type type_command = {
	.parse = parse_command,
	.reset = reset_command,
	.print = print_command,
	.copy = copy_command,
};
const struct type type_environment = {
	.parse = parse_environment,
	.reset = reset_strings,
	.print = print_environment,
	.copy = copy_strings,
};
const struct type type_words = {
	.parse = parse_words,
	.reset = reset_strings,
	.print = print_words,
	.copy = copy_strings,
};
const struct type type_files = {
	.parse = parse_file,
	.reset = reset_strings,
	.print = print_files,
	.copy = copy_strings,
};
const struct type type_calendars = {
	.adds = true,
	.parse = parse_calendar,
	.reset = reset_strings,
	.print = print_files,
	.copy = copy_strings,
};
