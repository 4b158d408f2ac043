/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "spec.h"

#define ADDRESS_FAMILIES_MAX 64 /* the kernel's own end, AF_MAX, is below it */

/* The number of a family, "AF_INET6"; -EINVAL for what is none. */
int address_family_parse(const char *name);

/* The name of a family below ADDRESS_FAMILIES_MAX; NULL where it has none. */
const char *address_family_name(int family);

/* The families, bit n for family n, that sockets of a site may have (FAMILIES_ALLOW) or may not have
 * (FAMILIES_REFUSE), as *ret_mode says. */
uint64_t address_family_mask(const struct site_spec *spec, enum families_mode *ret_mode);
