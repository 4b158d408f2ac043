/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* System calls for code that shares its memory with a running program: syscall(2) alone, which takes no lock.
 * Results are the value, or -errno. */
static inline long rawcall_result(long result)
{
	return result < 0 ? -errno : result;
}

#define RAWCALL(...) rawcall_result(syscall(__VA_ARGS__))
