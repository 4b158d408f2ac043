/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec.h"

/* Lets spec share its resources with all specs that have the same: most of thousands of sites have those of
 * their template. from is copied, with all it points to. On one thread alone. -ENOMEM; spec is as it was then.
 */
int resource_share(const struct resource_spec *from, struct site_spec *spec);
