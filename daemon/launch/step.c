/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "step.h"

const char *launch_step_name(enum launch_step step)
{
	static const char *const names[LAUNCH_STEPS] = {
		[STEP_CGROUP] = "cgroup",
		[STEP_RESOURCES] = "resources",
		[STEP_DEVICES] = "devices",
		[STEP_IDS] = "ids",
		[STEP_ENVIRONMENT_FILE] = "environment-file",
		[STEP_OUTPUT] = "output",
		[STEP_LISTENERS] = "listeners",
		[STEP_SHARED_ROOT] = "shared-root",
		[STEP_SANDBOX] = "sandbox",
		[STEP_NETWORK] = "network",
		[STEP_SOURCES] = "mount-sources",
		[STEP_ROOT] = "root",
		[STEP_CLONE] = "clone",
		[STEP_TABLE] = "table",
		[STEP_SESSION] = "session",
		[STEP_KEYRING] = "keyring",
		[STEP_HOSTNAME] = "hostname",
		[STEP_OOM_SCORE] = "oom-score",
		[STEP_LABEL] = "label",
		[STEP_PRIORITY] = "priority",
		[STEP_LIMITS] = "limits",
		[STEP_MOUNTS] = "mounts",
		[STEP_UNIT_MOUNTS] = "unit-mounts",
		[STEP_USER_NAMESPACE] = "user-namespace",
		[STEP_DESCRIPTORS] = "descriptors",
		[STEP_GROUPS] = "groups",
		[STEP_BOUNDING_SET] = "bounding-set",
		[STEP_USER] = "user",
		[STEP_CAPABILITIES] = "capabilities",
		[STEP_WORKING_DIRECTORY] = "working-directory",
		[STEP_NO_NEW_PRIVILEGES] = "no-new-privileges",
		[STEP_SYSCALLS] = "syscalls",
		[STEP_HANDOVER] = "handover",
		[STEP_SIGNALS] = "signals",
		[STEP_EXEC] = "exec",
	};

	return step < LAUNCH_STEPS ? names[step] : "unknown";
}
