/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capability.h"

#include <ctype.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <string.h>
#include <sys/capability.h>

#define WHITE_SPACE " \t"

/* Those this program knows by name; what a newer kernel adds is never granted. */
#define ALL ((1ULL << (CAP_LAST_CAP + 1)) - 1)

int capability_parse(const char *text, uint64_t *mask, const char **ret_wrong, size_t *ret_length)
{
	bool invert = *text == '~';
	uint64_t named = 0;

	text += invert;
	while (*(text += strspn(text, WHITE_SPACE))) {
		size_t length = strcspn(text, WHITE_SPACE);
		char name[64];
		cap_value_t value;

		*ret_wrong = text;
		*ret_length = length;
		if (length >= sizeof name)
			return -EINVAL;
		memcpy(name, text, length);
		name[length] = '\0';
		if (strncasecmp(name, "cap_", 4) != 0 || cap_from_name(name, &value) < 0 ||
		    value > CAP_LAST_CAP)
			return -EINVAL;
		named |= 1ULL << value;
		text += length;
	}
	if (named == 0 || *mask == 0)
		*mask = invert ? ALL & ~named : named;
	else if (invert)
		*mask &= ~named;
	else
		*mask |= named;
	return 0;
}

void capability_write(uint64_t mask, FILE *out)
{
	const char *separator = "";

	for (cap_value_t value = 0; value <= CAP_LAST_CAP; value++) {
		char *name;

		if (!(mask & 1ULL << value))
			continue;
		name = cap_to_name(value);
		fputs(separator, out);
		separator = " ";
		for (const char *at = name; at && *at; at++)
			putc(toupper((unsigned char)*at), out);
		cap_free(name);
	}
}
