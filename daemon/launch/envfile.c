/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "envfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "trusted-path.h"

#define BLANKS " \t\r"

/* Assignments found so far; strings point into texts or into base. */
struct list {
	char **items;
	size_t n, size;
	size_t assigned; /* repeated ones too: each is looked for among all */
};

static int list_set(struct list *list, char *assignment)
{
	size_t name = strcspn(assignment, "=") + 1;

	if (list->assigned++ == ENVFILE_ASSIGNMENTS_MAX)
		return -E2BIG;
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

/* Reads a value in place, as systemd does: first quoted pieces, '...' as it stands and "..." with a backslash
 * before ", \, ` and $, either over several lines; then plain text to the end of the line, where a backslash
 * keeps the next byte or joins the next line. *at is moved behind the line. -EINVAL when a quote is not closed.
 */
static int parse_value(char **at, char *out)
{
	char *in = *at, *keep;

	for (;;) {
		char quote;

		in += strspn(in, BLANKS);
		quote = *in;
		if (quote != '"' && quote != '\'')
			break;
		for (in++; *in != quote; in++) {
			if (quote == '"' && *in == '\\' && in[1] == '\n') {
				in++;
				continue;
			}
			if (quote == '"' && *in == '\\' && in[1] && strchr("\"\\`$", in[1]))
				in++;
			if (!*in)
				return -EINVAL;
			*out++ = *in;
		}
		in++;
	}
	for (keep = out; *in && *in != '\n'; in++) {
		bool escaped = *in == '\\';

		in += escaped;
		if (!*in)
			break;
		if (escaped && *in == '\n')
			continue;
		*out++ = *in;
		if (escaped || !strchr(BLANKS, *in))
			keep = out; /* blanks at the end are not kept */
	}
	*at = in + (*in == '\n');
	*keep = '\0';
	return 0;
}

static int parse(char *text, struct list *list)
{
	while (*(text += strspn(text, BLANKS "\n"))) {
		char *name = text;
		size_t length = strcspn(name, "=\n");
		int r;

		if (*name == '#' || *name == ';') {
			text += strcspn(text, "\n");
			continue;
		}
		if (name[length] != '=' || !valid_name(name, length))
			return -EINVAL;
		text += length + 1;
		r = parse_value(&text, name + length + 1);
		if (r == 0)
			r = list_set(list, name);
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
	autoclose int fd = trusted_path_open(path + optional);
	char own[48];
	size_t size;
	int r = fd;

	snprintf(own, sizeof own, "/proc/thread-self/fd/%d", fd);
	if (r >= 0)
		r = fd_read_file(AT_FDCWD, own, ENVFILE_BYTES, text, &size);
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
