/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

struct launch_plan;

/* Fills plan->writes from [Resources], and plan->missing with what needs a controller that is not in the
 * mask. File names and formats: Documentation/admin-guide/cgroup-v2.rst. -ENOMEM. */
int resources_compile(struct launch_plan *plan, unsigned controllers);
