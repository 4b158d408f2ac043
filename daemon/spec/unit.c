/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "fd.h"
#include "spec.h"
#include "utf8.h"

#define WHITE_SPACE " \t"

/* Where in the text the reader is. Lines are joined in place: a joined line is never longer. */
struct reader {
	const char *path;
	char *at, *end;
	unsigned line; /* of the line read last */
	struct diag *diag;
};

static int check_line(struct reader *r, const char *text, size_t length)
{
	bool comment = text[0] == '#' || text[0] == ';';

	for (size_t i = 0; i < length;) {
		unsigned char c = (unsigned char)text[i];
		size_t step = comment || c < 0x80 ? 1 : utf8_sequence(text + i, NULL);

		if (c == '\0')
			return diag_set(r->diag, -EINVAL, r->path, r->line, "a NUL byte; expected text");
		if (c == '\r' && i + 1 == length)
			return diag_set(r->diag, -EINVAL, r->path, r->line,
					"a carriage return; expected a line that ends in a newline alone");
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return diag_set(r->diag, -EINVAL, r->path, r->line,
					"the control byte 0x%02x; expected text", c);
		if (step == 0)
			return diag_set(r->diag, -EINVAL, r->path, r->line,
					"the byte 0x%02x is not UTF-8; expected text in UTF-8", c);
		i += step;
	}
	return 0;
}

/* Takes the next line off the text, without white space before it and with a NUL for its newline. 1, 0 at the
 * end of the text, or an error. */
static int next_line(struct reader *r, char **ret, size_t *ret_length)
{
	char *start = r->at, *newline;
	size_t length;
	int error;

	if (r->at >= r->end)
		return 0;
	newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
	if (!newline)
		newline = r->end;
	r->line++;
	r->at = newline + 1;
	*newline = '\0';
	while (*start == ' ' || *start == '\t')
		start++;
	length = (size_t)(newline - start);
	if (length > SPEC_LINE_BYTES)
		return diag_set(r->diag, -EINVAL, r->path, r->line, "a line of %zu bytes; expected at most %d",
				length, SPEC_LINE_BYTES);
	error = check_line(r, start, length);
	if (error < 0)
		return error;
	*ret = start;
	*ret_length = length;
	return 1;
}

/* A backslash at the end that is not itself escaped. */
static bool continues(const char *line, size_t length)
{
	size_t backslashes = 0;

	while (backslashes < length && line[length - backslashes - 1] == '\\')
		backslashes++;
	return backslashes % 2 == 1;
}

/* The next line with its continuations, its first line in *ret_line; comments and empty lines are passed
 * over. 1, 0 at the end, or an error. */
static int next_logical(struct reader *r, char **ret, unsigned *ret_line)
{
	char *start, *more;
	size_t length, added;
	int error;

	do {
		error = next_line(r, &start, &length);
		if (error <= 0)
			return error;
	} while (length == 0 || *start == '#' || *start == ';');
	*ret_line = r->line;
	while (continues(start, length)) {
		start[length - 1] = ' ';
		do {
			error = next_line(r, &more, &added);
			if (error < 0)
				return error;
		} while (error > 0 && (*more == '#' || *more == ';'));
		if (error == 0)
			break;
		if (length + added > SPEC_LINE_BYTES)
			return diag_set(r->diag, -EINVAL, r->path, *ret_line,
					"a line of more than %d bytes, its continuations included",
					SPEC_LINE_BYTES);
		memmove(start + length, more, added);
		length += added;
		start[length] = '\0';
	}
	while (length > 0 && strchr(WHITE_SPACE, start[length - 1]))
		start[--length] = '\0';
	*ret = start;
	return 1;
}

static int parse_section(struct reader *r, char *text, unsigned line, const char **ret)
{
	size_t length = strlen(text);

	if (length < 3 || text[length - 1] != ']' || strcspn(text + 1, "[]") != length - 2)
		return diag_set(r->diag, -EINVAL, r->path, line, "'%.64s': expected [Section]", text);
	text[length - 1] = '\0';
	*ret = text + 1;
	return 0;
}

static int parse_assignment(struct reader *r, char *text, unsigned line, struct assignment *ret)
{
	char *equals = strchr(text, '='), *end = equals;

	if (!equals)
		return diag_set(r->diag, -EINVAL, r->path, line,
				"'%.64s': expected Key=Value, [Section] or a comment", text);
	while (end > text && strchr(WHITE_SPACE, end[-1]))
		end--;
	if (end == text)
		return diag_set(r->diag, -EINVAL, r->path, line, "expected a key before '='");
	*end = '\0';
	*ret = (struct assignment){
		.key = text,
		.value = equals + 1 + strspn(equals + 1, WHITE_SPACE),
		.line = line,
	};
	return 0;
}

static int add_assignment(struct unit *unit, const struct assignment *assignment)
{
	size_t n = unit->n_assignments;

	if (n == 0 || (n >= 8 && (n & (n - 1)) == 0)) {
		struct assignment *grown = reallocarray(unit->assignments, n ? 2 * n : 8, sizeof *grown);

		if (!grown)
			return -ENOMEM;
		unit->assignments = grown;
	}
	unit->assignments[unit->n_assignments++] = *assignment;
	return 0;
}

static int parse_lines(struct unit *unit, size_t size, struct diag *diag)
{
	struct reader r = {.path = unit->path, .at = unit->text, .end = unit->text + size, .diag = diag};
	const char *section = NULL;
	unsigned line = 0;
	char *text = NULL;
	int error;

	/* An editor's byte order mark. */
	if (size >= 3 && memcmp(r.at, "\xef\xbb\xbf", 3) == 0)
		r.at += 3;
	while ((error = next_logical(&r, &text, &line)) > 0) {
		struct assignment assignment;

		if (*text == '\0')
			continue;
		if (*text == '[') {
			error = parse_section(&r, text, line, &section);
			if (error < 0)
				return error;
			continue;
		}
		error = parse_assignment(&r, text, line, &assignment);
		if (error < 0)
			return error;
		if (!section)
			return diag_set(diag, -EINVAL, unit->path, line,
					"'%.64s=' stands before any section; expected [Section] first",
					assignment.key);
		assignment.section = section;
		error = add_assignment(unit, &assignment);
		if (error < 0)
			return diag_set(diag, error, unit->path, 0, "out of memory");
	}
	return error;
}

/* Takes text, a buffer of at least size + 1 bytes, whatever happens. */
static int parse_owned(const char *path, char *text, size_t size, struct unit **ret, struct diag *diag)
{
	struct unit *unit = calloc(1, sizeof *unit);
	int error;

	if (!unit) {
		free(text);
		return diag_set(diag, -ENOMEM, path, 0, "out of memory");
	}
	unit->references = 1;
	unit->text = text;
	unit->path = strdup(path);
	if (!unit->path)
		error = diag_set(diag, -ENOMEM, path, 0, "out of memory");
	else if (size > SPEC_FILE_BYTES)
		error = diag_set(diag, -EINVAL, path, 0, "a file of %zu bytes; expected at most %d", size,
				 SPEC_FILE_BYTES);
	else
		error = parse_lines(unit, size, diag);
	if (error < 0) {
		unit_unref(unit);
		return error;
	}
	*ret = unit;
	return 0;
}

int unit_parse(const char *path, const char *text, size_t size, struct unit **ret, struct diag *diag)
{
	char *copy = malloc(size + 1);

	if (!copy)
		return diag_set(diag, -ENOMEM, path, 0, "out of memory");
	memcpy(copy, text, size);
	copy[size] = '\0';
	return parse_owned(path, copy, size, ret, diag);
}

int unit_read(const char *path, struct unit **ret, struct diag *diag)
{
	size_t size;
	char *text;
	int error = fd_read_file(AT_FDCWD, path, SPEC_FILE_BYTES, &text, &size);

	switch (error) {
	case 0:
		return parse_owned(path, text, size, ret, diag);
	case -EISDIR:
		return diag_set(diag, error, path, 0, "a folder; expected a file");
	case -EINVAL:
	case -ENXIO:
		return diag_set(diag, -EINVAL, path, 0, "not a regular file; expected a text file");
	case -E2BIG:
		return diag_set(diag, -EINVAL, path, 0, "larger than %d bytes; expected a unit file",
				SPEC_FILE_BYTES);
	case -EAGAIN:
		return diag_set(diag, error, path, 0, "changed while it was read");
	default:
		return diag_set(diag, error, path, 0, "%s", strerror(-error));
	}
}

struct unit *unit_ref(struct unit *unit)
{
	unit->references++;
	return unit;
}

void unit_unref(struct unit *unit)
{
	if (!unit || --unit->references > 0)
		return;
	free(unit->assignments);
	free(unit->text);
	free(unit->path);
	free(unit);
}
