/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "envfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* Assignments found so far; strings point into texts or into base. */
struct list {
	char **items;
	size_t n, size;
};

static int list_set(struct list *list, char *assignment)
{
	size_t name = strcspn(assignment, "=") + 1;

	for (size_t i = 0; i < list->n; i++)
		if (strncmp(list->items[i], assignment, name) == 0) {
			list->items[i] = assignment;
			return 0;
		}
	if (list->n == list->size) {
		size_t want = list->size ? list->size * 2 : 32;
		char **grown = realloc(list->items, want * sizeof *grown);

		if (!grown)
			return -ENOMEM;
		list->items = grown;
		list->size = want;
	}
	list->items[list->n++] = assignment;
	return 0;
}

static bool valid_name(const char *name, size_t length)
{
	if (length == 0 || (name[0] >= '0' && name[0] <= '9'))
		return false;
	for (size_t i = 0; i < length; i++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_", name[i]))
			return false;
	return true;
}

/* Takes quotes off in place: '...' as it stands, "..." with \ before ", \, ` and $. -EINVAL when unclosed. */
static int unquote(char *value)
{
	char *out = value, quote = *value;

	if (quote != '"' && quote != '\'')
		return 0;
	for (char *in = value + 1; *in; in++) {
		if (*in == quote) {
			*out = '\0';
			return in[1] ? -EINVAL : 0;
		}
		if (quote == '"' && *in == '\\' && in[1] && strchr("\"\\`$", in[1]))
			in++;
		*out++ = *in;
	}
	return -EINVAL;
}

static int parse(char *text, struct list *list)
{
	char *line;

	while ((line = strsep(&text, "\n"))) {
		size_t end;
		char *equals;
		int r;

		line += strspn(line, " \t");
		end = strlen(line);
		while (end > 0 && strchr(" \t\r", line[end - 1]))
			line[--end] = '\0';
		if (*line == '\0' || *line == '#' || *line == ';')
			continue;
		equals = strchr(line, '=');
		if (!equals || !valid_name(line, (size_t)(equals - line)))
			return -EINVAL;
		r = unquote(equals + 1);
		if (r == 0)
			r = list_set(list, line);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Copies the list and its strings into one block. */
static char **pack(const struct list *list)
{
	size_t bytes = (list->n + 1) * sizeof(char *);
	char **block, *at;

	for (size_t i = 0; i < list->n; i++)
		bytes += strlen(list->items[i]) + 1;
	block = malloc(bytes);
	if (!block)
		return NULL;
	at = (char *)(block + list->n + 1);
	for (size_t i = 0; i < list->n; i++) {
		block[i] = at;
		at = stpcpy(at, list->items[i]) + 1;
	}
	block[list->n] = NULL;
	return block;
}

static int read_into(const char *path, struct list *list, char **text)
{
	bool optional = *path == '-';
	size_t size;
	int r = fd_read_file(AT_FDCWD, path + optional, ENVFILE_BYTES, text, &size);

	if (r == -ENOENT && optional)
		return 0;
	if (r < 0)
		return r;
	return strlen(*text) == size ? parse(*text, list) : -EINVAL;
}

int envfile_read_all(const char *const *base, const char *const *files, char ***ret, const char **file)
{
	struct list list = {0};
	char **texts = NULL, **packed;
	size_t n_files = 0;
	int r = 0;

	*file = files[0];
	while (files[n_files])
		n_files++;
	texts = calloc(n_files, sizeof *texts);
	if (!texts)
		r = -ENOMEM;
	for (; r == 0 && *base; base++)
		r = list_set(&list, (char *)*base);
	for (size_t i = 0; r == 0 && i < n_files; i++) {
		*file = files[i];
		r = read_into(files[i], &list, &texts[i]);
	}
	if (r == 0) {
		packed = pack(&list);
		if (packed)
			*ret = packed;
		else
			r = -ENOMEM;
	}
	for (size_t i = 0; texts && i < n_files; i++)
		free(texts[i]);
	free(texts);
	free(list.items);
	return r;
}
