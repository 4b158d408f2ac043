/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What the processes of a container have mapped. */

/* The pids of a cgroup, a number a line: the caller's to fclose(3). NULL with errno. */
FILE *mapping_open_processes(int cgroup_fd);

/* One line of /proc/PID/maps. False: it has no pages of its own that could be in memory, or it is none. */
bool mapping_parse(const char *line, uint64_t *start, uint64_t *end);
