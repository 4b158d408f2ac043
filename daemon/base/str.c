/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

bool str_has_suffix(const char *text, const char *suffix)
{
	size_t length = strlen(text), tail = strlen(suffix);

	return length > tail && str_equal(text + length - tail, suffix);
}

static bool printable(uint32_t code)
{
	if (code < 0x20 || (code >= 0x7f && code < 0xa0))
		return false;
	/* Marks that reorder a terminal's line, or stand in it unseen: a name could pretend to be another. */
	return code != 0x061c && code != 0xfeff && !(code >= 0xe0000 && code <= 0xe007f) &&
	       !((code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
		 (code >= 0x2066 && code <= 0x2069));
}

size_t str_escape(const char *text, char *out, size_t size)
{
	size_t used = 0;

	if (size == 0)
		return 0;
	while (*text) {
		uint32_t code;
		size_t length = utf8_sequence(text, &code);

		if (length > 0 && printable(code)) {
			if (used + length >= size)
				break;
			memcpy(out + used, text, length);
			used += length;
			text += length;
			continue;
		}
		if (used + 4 >= size)
			break;
		used += (size_t)snprintf(out + used, size - used, "\\x%02x", (unsigned char)*text);
		text++;
	}
	out[used] = '\0';
	return used;
}

bool str_valid_name(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.@");

	return length > 0 && length <= NAME_BYTES_MAX && name[length] == '\0' && name[0] != '.' &&
	       name[0] != '-';
}

bool str_path_within(const char *path, const char *folder)
{
	size_t length = str_equal(folder, "/") ? 0 : strlen(folder);

	return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

int str_to_u64(const char *text, uint64_t *ret)
{
	char *end;
	unsigned long long value;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return -errno;
	if (*end)
		return -EINVAL;
	*ret = value;
	return 0;
}

const char *str_format_span(uint64_t us, char *buf, size_t size)
{
	uint64_t s = us / 1000000;

	if (us < 1000)
		snprintf(buf, size, "%uus", (unsigned)us);
	else if (us < 1000000)
		snprintf(buf, size, "%u.%ums", (unsigned)(us / 1000), (unsigned)(us % 1000 / 100));
	else if (s < 60)
		snprintf(buf, size, "%u.%us", (unsigned)s, (unsigned)(us % 1000000 / 100000));
	else if (s < 3600)
		snprintf(buf, size, "%umin %us", (unsigned)(s / 60), (unsigned)(s % 60));
	else if (s < 86400)
		snprintf(buf, size, "%uh %umin", (unsigned)(s / 3600), (unsigned)(s % 3600 / 60));
	else
		snprintf(buf, size, "%llud %uh", (unsigned long long)(s / 86400), (unsigned)(s % 86400 / 3600));
	return buf;
}

const char *str_format_bytes(uint64_t bytes, char *buf, size_t size)
{
	static const char units[] = "KMGTPE";
	double value = (double)bytes;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(buf, size, "%uB", (unsigned)bytes);
		return buf;
	}
	/* 1023.95 would be printed as 1024.0. */
	for (value /= 1024; value >= 1023.95 && unit < sizeof units - 2; value /= 1024)
		unit++;
	snprintf(buf, size, "%.1f%c", value, units[unit]);
	return buf;
}
