/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec.h"

/* A spec in which no key was assigned, from the key table: no name, no listener, no command. Made once, kept
 * for ever. */
const struct site_spec *defaults_site(void);
