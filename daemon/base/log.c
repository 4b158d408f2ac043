/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "str.h"

#define LINE_BYTES 2048 /* a longer message is cut */

static atomic_int max_level = LOG_INFO;
static atomic_int with_prefix;

void log_set_level(int level)
{
	atomic_store(&max_level, level);
}

void log_set_prefix(int on)
{
	atomic_store(&with_prefix, on);
}

void log_message(int level, const char *format, ...)
{
	char text[LINE_BYTES], line[LINE_BYTES + 8];
	size_t used = 0;
	va_list args;

	if (level > atomic_load(&max_level))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (atomic_load(&with_prefix))
		used = (size_t)snprintf(line, sizeof line, "<%d>", level);
	used += str_escape(text, line + used, sizeof line - used - 1);
	line[used++] = '\n';
	/* One write: lines of several threads do not mix. A reader that does not read must not hold the loop:
	 * what does not fit is dropped. */
	if (poll(&(struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT}, 1, 0) != 0)
		(void)!write(STDERR_FILENO, line, used);
}
