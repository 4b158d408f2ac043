/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "argument.h"

#include <getopt.h>
#include <limits.h>
#include <string.h>

const char *argument_refused(char *const *argv, const char *letters, char text[static ARGUMENT_REFUSED_BYTES])
{
	/* For a long option optopt is 0, or what it stands for: no letter, or one that is an option. */
	if (optopt == 0 || optopt > UCHAR_MAX || strchr(letters, optopt))
		return argv[optind - 1];
	text[0] = '-';
	text[1] = (char)optopt;
	text[2] = '\0';
	return text;
}
