/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

/* The disk whose use the kernel counts when path is read or written: path is a block device, or any file of the
 * file system on one. What a mapped device (LUKS, LVM) lies on, when that is one device, and the whole disk of
 * a partition: as systemd's lookup_block_device(). -ENODEV where no block device is behind the path (tmpfs,
 * overlay, btrfs, network), else what stat(2) says. */
int disk_find(const char *path, dev_t *ret);
