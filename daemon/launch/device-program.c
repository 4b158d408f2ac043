/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device-program.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fd.h"

#define N_PROGRAMS (sizeof((struct device_program_cache *)0)->programs / sizeof(struct device_program))

/* All of attr counts: what is not set has to be zero. */
static int bpf_call(int command, union bpf_attr *attr)
{
	int r = (int)syscall(SYS_bpf, command, attr, sizeof *attr);

	return r < 0 ? -errno : r;
}

int device_program_load(const struct bpf_insn *program, size_t bytes)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof attr);
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)program;
	attr.insn_cnt = (uint32_t)(bytes / sizeof *program);
	attr.license = (uint64_t)(uintptr_t) "LGPL"; /* no helper is called */
	return bpf_call(BPF_PROG_LOAD, &attr);
}

/* Without flags a group has one program, which the next one replaces, and no group below can have another. */
int device_program_attach(int cgroup_fd, int program_fd)
{
	union bpf_attr attr;
	int r;

	memset(&attr, 0, sizeof attr);
	attr.target_fd = (uint32_t)cgroup_fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	if (program_fd < 0) {
		r = bpf_call(BPF_PROG_DETACH, &attr);
		return r == -ENOENT ? 0 : r;
	}
	attr.attach_bpf_fd = (uint32_t)program_fd;
	return bpf_call(BPF_PROG_ATTACH, &attr);
}

static void drop(struct device_program *program)
{
	free(program->program);
	if (program->program)
		fd_close(program->fd);
	*program = (struct device_program){0};
}

/* Makes room for a program in the first place; the last one goes. */
static int add(struct device_program_cache *cache, const struct bpf_insn *program, size_t bytes)
{
	struct device_program new = {.program = malloc(bytes), .bytes = bytes};

	if (!new.program)
		return -ENOMEM;
	memcpy(new.program, program, bytes);
	new.fd = device_program_load(program, bytes);
	if (new.fd < 0) {
		free(new.program);
		return new.fd;
	}
	drop(&cache->programs[N_PROGRAMS - 1]);
	memmove(cache->programs + 1, cache->programs, (N_PROGRAMS - 1) * sizeof *cache->programs);
	cache->programs[0] = new;
	return new.fd;
}

int device_program_get(struct device_program_cache *cache, const struct bpf_insn *program, size_t bytes)
{
	for (size_t i = 0; i < N_PROGRAMS && cache->programs[i].program; i++)
		if (cache->programs[i].bytes == bytes &&
		    memcmp(cache->programs[i].program, program, bytes) == 0)
			return cache->programs[i].fd;
	return add(cache, program, bytes);
}

void device_program_cache_finish(struct device_program_cache *cache)
{
	for (size_t i = 0; i < N_PROGRAMS; i++)
		drop(&cache->programs[i]);
}
