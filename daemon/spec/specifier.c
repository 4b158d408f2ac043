/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "specifier.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "fd.h"
#include "spec.h"
#include "str.h"

#define VALUE_BYTES 256 /* the longest value that is computed, not borrowed */

const struct specifier_help specifier_table[] = {
	{'n', "the full name of the unit: example.com.site"},
	{'N', "the name of the site: example.com"},
	{'p', "the same"},
	{'i', "the same"},
	{'r', "the address of the site's first listener: 127.0.0.1:8080, /run/x.sock; not in the listeners"},
	{'R', "the same as nginx writes it: 127.0.0.1:8080, unix:/run/x.sock; not in the listeners"},
	{'u', "the user as written in User=, nobody without one"},
	{'g', "the group as written in Group="},
	{'H', "the host's name"},
	{'l', "the host's name up to the first dot"},
	{'v', "the release of the kernel"},
	{'m', "the machine's id"},
	{'b', "the id of this boot"},
	{'t', "the folder of units made at run time: /run/torpor"},
	{'E', "the folder of the operator's units: /etc/torpor"},
	{'S', "/var/lib"},
	{'C', "/var/cache"},
	{'L', "/var/log"},
	{'T', "/tmp"},
	{'V', "/var/tmp"},
	{'%', "a percent sign"},
	{0, NULL},
};

/* Reads an id of 32 hexadecimal digits, dashes left out. */
static const char *read_id(const char *path, char buf[static VALUE_BYTES])
{
	char *out = buf;

	if (fd_read_attribute(AT_FDCWD, path, buf, VALUE_BYTES) < 0)
		return NULL;
	for (const char *at = buf; *at; at++)
		if (*at != '-')
			*out++ = *at;
	*out = '\0';
	return out - buf == 32 && strspn(buf, "0123456789abcdef") == 32 ? buf : NULL;
}

static const char *host_value(char letter, char buf[static VALUE_BYTES])
{
	struct utsname name;

	switch (letter) {
	case 'm':
		return read_id("/etc/machine-id", buf);
	case 'b':
		return read_id("/proc/sys/kernel/random/boot_id", buf);
	}
	if (uname(&name) < 0)
		return NULL;
	snprintf(buf, VALUE_BYTES, "%s", letter == 'v' ? name.release : name.nodename);
	if (letter == 'l')
		buf[strcspn(buf, ".")] = '\0';
	return buf;
}

static const char *address_value(const struct address *address, char letter, char buf[static VALUE_BYTES])
{
	char text[ADDRESS_TEXT_BYTES];
	bool prefix = letter == 'R' && address_family(address) == AF_UNIX;

	snprintf(buf, VALUE_BYTES, "%s%s", prefix ? "unix:" : "", address_format(address, text));
	return buf;
}

/* What one letter stands for, in buf or somebody else's; NULL with a message when it has no value. */
static const char *lookup_value(const struct specifier_context *c, char letter, char buf[static VALUE_BYTES],
				char message[static SPECIFIER_MESSAGE_BYTES])
{
	const char *value = NULL;

	switch (letter) {
	case 'n':
		snprintf(buf, VALUE_BYTES, "%s%s", c->name, unit_kind_suffix(UNIT_SITE));
		return buf;
	case 'N':
	case 'p':
	case 'i':
		return c->name;
	case 'r':
	case 'R':
		if (c->first)
			return address_value(c->first, letter, buf);
		snprintf(message, SPECIFIER_MESSAGE_BYTES, "%%%c cannot be used here: the listeners come later",
			 letter);
		return NULL;
	case 'u':
	case 'g':
		value = letter == 'g' ? c->group : c->user ? c->user : "nobody";
		if (!c->owner_known)
			value = NULL;
		if (!value)
			snprintf(message, SPECIFIER_MESSAGE_BYTES,
				 c->owner_known ? "%%%c needs a Group=" : "%%%c cannot be used here", letter);
		return value;
	case 't':
		return c->lookup->dirs[1];
	case 'E':
		return c->lookup->dirs[0];
	case 'S':
		return "/var/lib";
	case 'C':
		return "/var/cache";
	case 'L':
		return "/var/log";
	case 'T':
		return "/tmp";
	case 'V':
		return "/var/tmp";
	case '%':
		return "%";
	case 'H':
	case 'l':
	case 'v':
	case 'm':
	case 'b':
		value = host_value(letter, buf);
		if (!value)
			snprintf(message, SPECIFIER_MESSAGE_BYTES, "%%%c is not known on this host", letter);
		return value;
	}
	if (letter > 0x20 && letter < 0x7f)
		snprintf(message, SPECIFIER_MESSAGE_BYTES,
			 "unknown specifier %%%c; expected one of torpor.site(5), or %%%% for a percent sign",
			 letter);
	else
		snprintf(message, SPECIFIER_MESSAGE_BYTES, "a lone %%; expected %%%% for a percent sign");
	return NULL;
}

int specifier_expand(const struct specifier_context *context, const char *text, struct arena *arena,
		     const char **ret, char message[static SPECIFIER_MESSAGE_BYTES])
{
	char out[SPEC_LINE_BYTES + 1], buf[VALUE_BYTES], *copy;
	size_t used = 0;

	if (!strchr(text, '%')) {
		*ret = text;
		return 0;
	}
	while (*text) {
		const char *piece = text;
		size_t length = strcspn(text, "%");

		if (length > 0) {
			text += length;
		} else {
			piece = lookup_value(context, text[1], buf, message);
			if (!piece)
				return -EINVAL;
			length = strlen(piece);
			text += 2;
		}
		if (length > SPEC_LINE_BYTES - used) {
			snprintf(message, SPECIFIER_MESSAGE_BYTES,
				 "more than %d bytes, its specifiers replaced", SPEC_LINE_BYTES);
			return -EINVAL;
		}
		memcpy(out + used, piece, length);
		used += length;
	}
	copy = arena_strndup(arena, out, used);
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}
