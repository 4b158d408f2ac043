/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "spec.h"

struct bpf_insn;
struct resource_builder;

/* Nodes that every container has in /dev, /dev/pts apart. */
struct device_node {
	const char *path;
	unsigned major, minor;
};
extern const struct device_node device_standard[]; /* ends with a path of NULL */

/* Looks up a node of DeviceAllow= on the host. -errno as stat(2), -ENODEV for what is no device. */
int device_find(const char *path, bool *ret_block, dev_t *ret);

/* The program that the kernel asks for every use of a device from within the site's control group
 * (BPF_PROG_TYPE_CGROUP_DEVICE): one malloc block to *ret, its size to *ret_bytes; NULL where every device is
 * allowed. What is not to be had of DeviceAllow= is added to the builder as missing. -ENOMEM. */
int devices_compile(const struct site_spec *spec, struct resource_builder *builder, struct bpf_insn **ret,
		    size_t *ret_bytes);

/* One line a rule of such a program: "device: allow c 1:3 rwm". */
void devices_dump(const struct bpf_insn *program, size_t bytes, FILE *out);
