/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "diag.h"
#include "lookup.h"

#define ID_SPAN_UNIT 65536u /* ids come in blocks of this many */

/* Ids of users and groups. */
struct id_span {
	uint32_t first, last; /* whole blocks, two or more */
};

/* The daemon's own file, torpor.conf: the first of the three lookup folders that has it, drop-ins
 * torpor.conf.d/[*].conf of all. Same syntax and key table machinery as units. */
struct config {
	/* [Daemon] */
	char *control_group;   /* ControlGroup=: members may look with torporctl; NULL: root alone. Owned. */
	unsigned max_starting; /* MaxStarting=: containers started at a time; 0 (default): two a CPU */
	unsigned max_awake;    /* MaxAwake=: above it idle sites are frozen early; 0 (default): no limit */
	uint64_t memory_keep_free;   /* MemoryKeepFree=: bytes, or a SPEC_SHARE of the host's; default 5% */
	bool memory_pressure_watch;  /* MemoryPressureWatch=: default yes */
	uint64_t memory_pressure_us; /* MemoryPressureThresholdSec=: of 2 s; default 200 ms */
	uint64_t scan_interval_us; /* ScanIntervalSec=: the reaper's look at awake sites; default 1 s; 50 ms or
				      more */
	char *network_config_path; /* NetworkConfigPath=: the folder of CNI networks; owned */
	char *network_plugin_path; /* NetworkPluginPath=: folders of CNI plugins, ':' between them; owned */
	struct id_span user_ids;   /* UserIds=: what sites' users are on the host */
	int log_level;             /* LogLevel=: LOG_ERR ... LOG_DEBUG; default LOG_INFO */
};

/* A missing file is the defaults. 0, or -errno with *diag. */
int config_load(const struct lookup *lookup, struct config *ret, struct diag *diag);
void config_finish(struct config *config);

/* Checks one file by itself, torpor.conf or a drop-in of it: `torporctl verify FILE`. 0, or -errno with *diag.
 */
int config_check_file(const char *path, struct diag *diag);
