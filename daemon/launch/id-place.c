/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "id-place.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"

/* " PATH", without white space, control bytes or '%' in it, which are %XX. NULL when out of memory. */
static char *encode(const char *path)
{
	char *word = malloc(3 * strlen(path) + 2), *to = word;

	if (!word)
		return NULL;
	*to++ = ' ';
	for (const char *from = path; *from; from++)
		if (isgraph((unsigned char)*from) && *from != '%')
			*to++ = *from;
		else
			to += sprintf(to, "%%%02X", (unsigned char)*from);
	*to = '\0';
	return word;
}

static bool has_place(const char *places, const char *one)
{
	size_t length = strlen(one);

	for (const char *at = places; at && (at = strstr(at, one)); at += length)
		if (at[length] == ' ' || at[length] == '\0')
			return true;
	return false;
}

int id_places_join(const char *places, const char *path, char **ret)
{
	autofree char *one = encode(path);

	if (!one)
		return -ENOMEM;
	if (has_place(places, one))
		return 0;
	if (asprintf(ret, "%s%s", places ? places : "", one) < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	return 1;
}

static void decode(char *word)
{
	char *to = word;

	for (const char *from = word; *from; from++) {
		unsigned byte;

		if (*from == '%' && sscanf(from + 1, "%2X", &byte) == 1) {
			*to++ = (char)byte;
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
}

bool id_places_exist(const char *places)
{
	autofree char *copy = places ? strdup(places) : NULL;
	char *rest = copy, *word;
	struct stat st;

	if (places && !copy)
		return true;
	while ((word = strsep(&rest, " "))) {
		decode(word);
		if (*word && (lstat(word, &st) == 0 || (errno != ENOENT && errno != ENOTDIR)))
			return true;
	}
	return false;
}
