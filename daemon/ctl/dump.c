/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dump.h"

#include <string.h>

#define DEL 0x7f

/* Jansson escapes everything else that is not printable ASCII; DEL can stand in strings only. */
static int write_escaped(const char *data, size_t size, void *out)
{
	while (size > 0) {
		const char *del = memchr(data, DEL, size);
		size_t length = del ? (size_t)(del - data) : size;

		fwrite(data, 1, length, out);
		if (del)
			fputs("\\u007f", out);
		length += del != NULL;
		data += length;
		size -= length;
	}
	return 0;
}

void dump_print(const json_t *value, bool pretty, FILE *out)
{
	size_t flags = JSON_ENSURE_ASCII | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15);

	json_dump_callback(value, write_escaped, out, flags | (pretty ? JSON_INDENT(2) : JSON_COMPACT));
	putc('\n', out);
}
