/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "fd.h"

/* Scope-bound ownership. A variable marked autofree or autoclose gives its value up at the end of its
 * scope unless it was moved out with steal_ptr() or steal_fd(). */

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fd(int *fd)
{
	fd_close(*fd);
}

static inline void cleanup_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

#define autofree   __attribute__((cleanup(cleanup_free)))
#define autoclose  __attribute__((cleanup(cleanup_fd)))
#define autofclose __attribute__((cleanup(cleanup_file)))

/* Moves a pointer out of its variable, which becomes NULL. */
#define steal_ptr(ptr)                                                                                         \
	({                                                                                                     \
		__typeof__(ptr) *_at = &(ptr);                                                                 \
		__typeof__(ptr) _value = *_at;                                                                 \
		*_at = NULL;                                                                                   \
		_value;                                                                                        \
	})

/* Moves a file descriptor out of its variable, which becomes -EBADF. */
static inline int steal_fd(int *fd)
{
	int value = *fd;

	*fd = -EBADF;
	return value;
}
