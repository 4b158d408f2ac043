/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC in nanoseconds, CLOCK_REALTIME in microseconds since 1970: what is measured, and what is
 * shown to people. */
uint64_t clock_now_ns(void);
uint64_t clock_realtime_us(void);

/* An instant of clock_now_ns(), as what waits for one takes it. */
struct timespec clock_timespec(uint64_t ns);

/* A date of the kernel's, CLOCK_REALTIME, in microseconds since 1970. */
uint64_t clock_date_us(struct timespec date);
