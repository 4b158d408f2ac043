/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What check-symbols.py has to find: calls that no child of clone3(2) may make. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void guilty(const char *text);

void guilty(const char *text)
{
	char *copy = strdup(text);

	close((int)syscall(1, copy, strlen(text)));
	(void)!setuid(0);
}
