/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

struct arena;

/* Instants for people. All are microseconds since the epoch. Texts are NULL when out of memory. */

uint64_t moment_now(void);

/* Microseconds of CLOCK_MONOTONIC, for deadlines. */
uint64_t moment_monotonic(void);

/* "3min 20s ago", "just now", or "in 4.0s" for what is to come. */
const char *moment_relative(struct arena *arena, uint64_t at_us, uint64_t now_us);

/* "Fri 2025-11-21 20:14:11 UTC". */
const char *moment_absolute(struct arena *arena, uint64_t at_us);

/* "Nov 21 20:14:11.042", for a line of events. */
const char *moment_stamp(struct arena *arena, uint64_t at_us);

/* "3min 20s". */
const char *moment_span(struct arena *arena, uint64_t us);
