/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "address-family.h"
#include "filter.h"
#include "spec.h"

/* Calls that are let in by some of their arguments alone: what a site may never do by them, and what the
 * Restrict keys of its unit say. */

/* What the checks that depend on the unit are made of; the rules point into it. */
struct restrictions {
	struct filter_test families[ADDRESS_FAMILIES_MAX], unshare, clone, setns[2];
	struct filter_check checks[5];
};

/* Puts checks into the place of calls that the rules allow; to the others nothing is done. */
void restrictions_apply(struct restrictions *restrictions, const struct site_spec *spec,
			struct filter_rules *rules);
