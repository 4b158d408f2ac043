/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* Reads a resource limit as systemd.exec(5) writes it: "1024", "1024:4096" (soft:hard), "infinity", sizes and
 * times with units where the resource is one, "+5" or "-5" for a nice level. In the kernel's units, and
 * SPEC_INFINITY. -EINVAL, or -ERANGE when the soft limit is above the hard one. */
int limit_parse(int resource, const char *text, uint64_t *ret_soft, uint64_t *ret_hard);

/* What values of the resource look like, for messages: "a size like 64M". */
const char *limit_expected(int resource);
