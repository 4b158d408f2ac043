/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "syscall-filter.h"

#include <errno.h>
#include <string.h>

#include "str.h"
#include "type.h"
#include "value.h"

#define WHITE_SPACE " \t"
#define WORD_BYTES  (SYSCALL_NAME_BYTES + 16) /* a name, and an errno behind it */

int syscall_error_parse(const char *text, int *ret)
{
	if (str_equal(text, "kill")) {
		*ret = SYSCALL_KILL;
		return 0;
	}
	return value_parse_errno(text, ret);
}

void syscall_error_write(int error, FILE *out)
{
	const char *name = error == SYSCALL_KILL ? "kill" : error > 0 ? strerrorname_np(error) : NULL;

	if (name)
		fputs(name, out);
	else
		fprintf(out, "%d", error);
}

/* Without them no program would be started, or ended where it cannot be. */
static const char *needed_by_start(const char *name)
{
	static const char *const calls[] = {"execve", "exit_group"};

	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		if (*name == '@' ? syscall_group_has(syscall_group_find(name), calls[i])
				 : str_equal(name, calls[i]))
			return calls[i];
	return NULL;
}

static int refuse_name(struct setting *setting, const char *name)
{
	char buf[SYSCALL_NAME_BYTES];
	const char *near = syscall_nearest(name, buf);

	if (*name == '~')
		return setting_refuse(setting, "'%s': expected \"~\" before the whole list alone", name);
	return setting_refuse(setting, "'%s' is no %s%s%s%s", name,
			      *name == '@' ? "group of system calls" : "system call",
			      near           ? "; did you mean "
			      : *name == '@' ? "; torpor.site(5) lists them"
					     : "",
			      near ? near : "", near ? "?" : "");
}

/* Splits "name:error"; the name is checked. */
static int split_word(struct setting *setting, char *text, struct syscall_word *ret)
{
	char *colon = strchr(text, ':');

	if (colon)
		*colon = '\0';
	ret->has_error = colon;
	if (strlen(text) >= SYSCALL_NAME_BYTES)
		return setting_refuse(setting, "'%s' is too long for the name of a system call", text);
	strcpy(ret->name, text);
	if (*text == '@' ? !syscall_group_find(text) : syscall_number(text) == -EINVAL)
		return refuse_name(setting, text);
	if (colon && !ret->deny)
		return setting_refuse(
			setting,
			"'%s:%s' has an error though it is allowed; expected that in a list after \"~\"", text,
			colon + 1);
	if (colon && syscall_error_parse(colon + 1, &ret->error) < 0)
		return setting_refuse(setting,
				      "'%s:%s': expected an error like EPERM, 0 to 4095, or kill after ':'",
				      text, colon + 1);
	return 0;
}

static int check_word(struct setting *setting, const char *text, size_t length, bool deny)
{
	struct syscall_word word = {.deny = deny};
	char buf[WORD_BYTES];
	const char *needed;
	int error;

	if (length >= sizeof buf)
		return setting_refuse(setting, "'%.*s...' is no system call", WORD_BYTES, text);
	memcpy(buf, text, length);
	buf[length] = '\0';
	error = split_word(setting, buf, &word);
	if (error < 0 || !deny)
		return error;
	needed = needed_by_start(word.name);
	return needed ? setting_refuse(setting, "~%s denies %s, without which no program starts", word.name,
				       needed)
		      : 0;
}

int syscall_filter_add(struct setting *setting, const char *text, const char **filter)
{
	const char *before = *filter && !str_equal(*filter, "~") ? *filter : "";
	bool deny = *text == '~';
	char *out, *start;

	/* A list that starts with denying nothing goes on from there. */
	if (!deny && *filter && !*before)
		before = *filter;
	text += deny;
	/* At worst each byte is a word, with a '~' and a space. */
	start = out = arena_alloc(setting->arena, strlen(before) + 3 * strlen(text) + 3);
	if (!out)
		return -ENOMEM;
	out = stpcpy(out, before);
	while (*(text += strspn(text, WHITE_SPACE))) {
		size_t length = strcspn(text, WHITE_SPACE);
		int error = check_word(setting, text, length, deny);

		if (error < 0)
			return error;
		if (out > start)
			*out++ = ' ';
		if (deny)
			*out++ = '~';
		out = mempcpy(out, text, length);
		text += length;
	}
	if (out == start)
		*out++ = '~';
	*out = '\0';
	*filter = start;
	return 0;
}

bool syscall_filter_next(const char **filter, struct syscall_word *ret)
{
	const char *at = *filter + strspn(*filter, " "), *colon;
	size_t length = strcspn(at, " ");
	char error[WORD_BYTES];

	*ret = (struct syscall_word){.deny = *at == '~'};
	*filter = at + length;
	if (length == 0)
		return false;
	at += ret->deny;
	length -= ret->deny;
	colon = memchr(at, ':', length);
	if (colon) {
		size_t size = (size_t)(at + length - colon) - 1;

		memcpy(error, colon + 1, size);
		error[size] = '\0';
		ret->has_error = syscall_error_parse(error, &ret->error) == 0;
		length = (size_t)(colon - at);
	}
	memcpy(ret->name, at, length);
	return true;
}

void syscall_filter_write(const char *key, const char *filter, FILE *out)
{
	for (bool first = true, deny = false; *filter; first = false) {
		size_t length = strcspn(filter, " ");
		bool word_denies = *filter == '~';

		if (first || word_denies != deny)
			fprintf(out, "%s%s=%s", first ? "" : "\n", key, word_denies ? "~" : "");
		else
			putc(' ', out);
		deny = word_denies;
		fwrite(filter + deny, 1, length - deny, out);
		filter += length;
		filter += strspn(filter, " ");
	}
	putc('\n', out);
}
