/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* CLOCK_MONOTONIC in nanoseconds, CLOCK_REALTIME in microseconds since 1970: what is measured, and what is
 * shown to people. */
uint64_t clock_now_ns(void);
uint64_t clock_realtime_us(void);
