/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "label.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* aa_change_onexec(3), setexeccon(3) */
#define APP_ARMOR_PATH    "/proc/self/attr/apparmor/exec"
#define APP_ARMOR_COMMAND "exec "
#define SELINUX_PATH      "/proc/self/attr/exec"

static struct child_write compose(const struct label_spec *label, const char *path, const char *text)
{
	return (struct child_write){.path = path,
				    .text = text,
				    .bytes = strlen(text),
				    .name = label->name,
				    .optional = label->optional};
}

int label_compose(const struct site_spec *spec, struct child_context *context, char **ret_text)
{
	const struct label_spec *app_armor = spec->app_armor, *selinux = spec->selinux;

	if (selinux)
		context->selinux = compose(selinux, SELINUX_PATH, selinux->name);
	if (!app_armor)
		return 0;
	if (asprintf(ret_text, APP_ARMOR_COMMAND "%s", app_armor->name) < 0) {
		*ret_text = NULL;
		return -ENOMEM;
	}
	context->app_armor = compose(app_armor, APP_ARMOR_PATH, *ret_text);
	return 0;
}

void label_explain(const struct launch_job *job, char *buf, size_t size)
{
	const struct site_spec *spec = job->plan->spec;
	bool app_armor =
		spec->app_armor && strncmp(spec->app_armor->name, job->detail, strlen(job->detail)) == 0;
	const struct label_spec *label = app_armor ? spec->app_armor : spec->selinux;

	if (!label)
		return;
	snprintf(buf, size, " (%s= in %s:%u: %s)", app_armor ? "AppArmorProfile" : "SELinuxContext",
		 label->origin.file, label->origin.line,
		 app_armor ? "this host has no AppArmor, or has not loaded the profile: apparmor_parser(8)"
			   : "this host has no SELinux, or its policy knows no such context");
}

void label_explain_exec(const struct launch_job *job, char *buf, size_t size)
{
	const struct label_spec *label = job->plan->spec->selinux;

	*buf = '\0';
	if (!label || (job->error != EPERM && job->error != EACCES))
		return;
	snprintf(buf, size,
		 " (or SELinuxContext=%s in %s:%u: the policy has to let torpord's domain enter it, with "
		 "nnp_transition and nosuid_transition, and the program's file be its entrypoint)",
		 label->name, label->origin.file, label->origin.line);
}
