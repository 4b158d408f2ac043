/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#define ARGUMENT_REFUSED_BYTES 3 /* "-x" */

/* What getopt_long(3) has refused last, for a message: "-x" of several letters in one word, else the whole
 * word. letters are those that are options. One of argv, or text. */
const char *argument_refused(char *const *argv, const char *letters, char text[static ARGUMENT_REFUSED_BYTES]);
