/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "plan.h"

struct environment_account;

/* What RootOCI= brings to a plan. */

/* Opens the image into plan->oci. -EINPROGRESS with *diag: layers are still to be unpacked; else -errno with
 * *diag. */
int oci_plan_open(struct planner *planner, struct launch_plan *plan, struct diag *diag);

/* Who the program runs as, by the unit or by the image, in the image's own terms; *account's strings are in the
 * plan's arena. 1: it is nobody in particular, and nothing is set; -errno with *diag. */
int oci_plan_identity(struct planner *planner, struct launch_plan *plan, struct environment_account *account,
		      struct diag *diag);

/* The program with its arguments, where it starts, and where it is looked for; once the environment is there.
 * -errno with *diag. */
int oci_plan_command(struct launch_plan *plan, struct diag *diag);
