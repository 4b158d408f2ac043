/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Changes *mask as CapabilityBoundingSet= of systemd.exec(5) does: names separated by white space are added,
 * and after "~" taken away; where *mask is empty, "~" means all but these. Bit n is capability n. -EINVAL for
 * what is no name, in *ret_wrong and *ret_length; *mask is untouched then. */
int capability_parse(const char *text, uint64_t *mask, const char **ret_wrong, size_t *ret_length);

/* Writes the names of mask's capabilities, separated by spaces. */
void capability_write(uint64_t mask, FILE *out);
