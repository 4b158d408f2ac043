/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "str.h"

int diag_set(struct diag *diag, int error, const char *file, unsigned line, const char *format, ...)
{
	va_list args;

	if (!diag)
		return error;
	diag->line = line;
	snprintf(diag->file, sizeof diag->file, "%s", file ? file : "");
	va_start(args, format);
	vsnprintf(diag->message, sizeof diag->message, format, args);
	va_end(args);
	return error;
}

const char *diag_format(const struct diag *diag, char *buf, unsigned long size)
{
	char text[sizeof diag->file + sizeof diag->message + 32];

	if (size == 0)
		return "";
	if (diag->file[0] && diag->line > 0)
		snprintf(text, sizeof text, "%s:%u: %s", diag->file, diag->line, diag->message);
	else if (diag->file[0])
		snprintf(text, sizeof text, "%s: %s", diag->file, diag->message);
	else
		snprintf(text, sizeof text, "%s", diag->message);
	str_escape(text, buf, size);
	return buf;
}
