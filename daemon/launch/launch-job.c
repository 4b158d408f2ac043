/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "label.h"

int launch_job_fail(struct launch_job *job, enum launch_step step, int error, const char *detail)
{
	job->step = step;
	job->error = -error;
	strncpy(job->detail, detail ? detail : "", sizeof job->detail - 1);
	return error;
}

/* What to do about a mount point in a root that the site brought along. */
static const char *root_hint(int error)
{
	switch (error) {
	case ENOENT:
		return " (not in the site's root: make it there, or let Overlay= do it)";
	case ELOOP:
	case ENOTDIR:
		return " (a link or a file in the site's root: make it a folder there)";
	default:
		return "";
	}
}

static void explain_exec(const struct launch_job *job, char *buf, size_t size)
{
	const struct site_spec *spec = job->plan->spec;
	const struct origin *origin = &spec->exec_origin;
	int n = 0;

	if (origin->file)
		n = snprintf(buf, size, " (%s= in %s:%u)", spec->exec_start ? "ExecStart" : "RootOCI",
			     origin->file, origin->line);
	if (n >= 0 && (size_t)n < size)
		label_explain_exec(job, buf + n, size - (size_t)n);
}

/* trusted-path.h */
static bool is_path_of_the_host(enum launch_step step)
{
	return step == STEP_OUTPUT || step == STEP_ENVIRONMENT_FILE || step == STEP_SOURCES ||
	       step == STEP_ROOT;
}

const char *launch_job_error(const struct launch_job *job, char *buf, size_t size)
{
	const char *start = buf;
	int n = snprintf(buf, size, "failed at step %s: %s%s%s", launch_step_name(job->step), job->detail,
			 *job->detail ? ": " : "", strerror(job->error));

	if (n < 0 || (size_t)n >= size)
		return buf;
	buf += n;
	size -= (size_t)n;
	if (job->error == EPERM && is_path_of_the_host(job->step))
		snprintf(buf, size,
			 " (or a link on the way that is not root's leads to what is not its owner's)");
	else if (job->step == STEP_EXEC)
		explain_exec(job, buf, size);
	else if (job->step == STEP_LABEL)
		label_explain(job, buf, size);
	else if (job->step == STEP_IDS && job->error == ENOSPC)
		snprintf(buf, size, " (all of UserIds= are sites', or of files that sites have left)");
	else if (job->step == STEP_ROOT && job->error == EMEDIUMTYPE)
		snprintf(buf, size, " (neither squashfs nor erofs)");
	else if (job->step == STEP_UNIT_MOUNTS && spec_has_root(job->plan->spec))
		snprintf(buf, size, "%s", root_hint(job->error));
	return start;
}
