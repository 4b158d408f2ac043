/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Prints value as JSON in which every byte is printable ASCII: control characters, DEL and all that is not
 * ASCII stand as \uXXXX, so that --json is safe on a terminal too. pretty: indented over lines; else one line.
 */
void dump_print(const json_t *value, bool pretty, FILE *out);
