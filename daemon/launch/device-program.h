/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Programs that the kernel asks for every use of a device from within a control group, by bpf(2)
 * (BPF_PROG_TYPE_CGROUP_DEVICE, Linux 4.15). */

struct bpf_insn;

/* Loads a program of so many bytes. A descriptor, the caller's, or -errno. */
int device_program_load(const struct bpf_insn *program, size_t bytes);

/* Puts a loaded program in the place of the one that the group has, if it has one; a negative descriptor takes
 * the one away that it has. Programs of groups above are asked as well. -errno. */
int device_program_attach(int cgroup_fd, int program_fd);

/* Programs that were loaded: most sites have the same. Descriptors of the calling thread's table. */
struct device_program_cache {
	struct device_program {
		struct bpf_insn *program; /* owned; NULL: free */
		size_t bytes;
		int fd;
	} programs[8]; /* newest first */
};

/* As device_program_load(), but the descriptor is the cache's: good until the next call. */
int device_program_get(struct device_program_cache *cache, const struct bpf_insn *program, size_t bytes);

void device_program_cache_finish(struct device_program_cache *cache);
