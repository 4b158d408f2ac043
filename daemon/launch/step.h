/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where a start can fail: first what the launcher does outside, then what the child does between clone3(2)
 * and execve(2), in this order. The names are what `torporctl status` shows. */
enum launch_step {
	STEP_CGROUP,
	STEP_RESOURCES,
	STEP_DEVICES,
	STEP_IDS,
	STEP_ENVIRONMENT_FILE,
	STEP_OUTPUT,
	STEP_LISTENERS,
	STEP_SHARED_ROOT,
	STEP_SANDBOX,
	STEP_NETWORK,
	STEP_SOURCES,
	STEP_HOSTNAME,
	STEP_ROOT,
	STEP_UNIT_MOUNTS, /* and, in /proc, the child's */
	STEP_CLONE,
	/* the child's */
	STEP_TABLE,
	STEP_SESSION,
	STEP_KEYRING,
	STEP_PRIORITY,
	STEP_LIMITS,
	STEP_MOUNTS,
	STEP_OOM_SCORE,
	STEP_LABEL,
	STEP_USER_NAMESPACE,
	STEP_DESCRIPTORS,
	STEP_GROUPS,
	STEP_BOUNDING_SET,
	STEP_USER,
	STEP_CAPABILITIES,
	STEP_WORKING_DIRECTORY,
	STEP_NO_NEW_PRIVILEGES,
	STEP_SYSCALLS,
	STEP_HANDOVER,
	STEP_SIGNALS,
	STEP_EXEC,
	LAUNCH_STEPS
};

/* "cgroup", "unit-mounts", "exec" ... */
const char *launch_step_name(enum launch_step step);
