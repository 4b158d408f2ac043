/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "child.h"
#include "launcher.h"

/* What the child is to write to have its labels from its execve(2) on: AppArmorProfile= and SELinuxContext=,
 * each to the file of that module alone, so that none is taken for the other's. The text of one, which the
 * caller frees, is *ret_text, or NULL. -ENOMEM. */
int label_compose(const struct site_spec *spec, struct child_context *context, char **ret_text);

/* What to say of a start that failed at a label. */
void label_explain(const struct launch_job *job, char *buf, size_t size);

/* The same of a program that was not allowed to be executed: the kernel sees only then whether a label may be
 * entered. Nothing where the unit has none, or the error is another. */
void label_explain_exec(const struct launch_job *job, char *buf, size_t size);
