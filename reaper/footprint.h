/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which pages of their own the processes of a frozen container have in memory, so that they can be fetched from
 * the swap before they are asked for: when it had been paged out as a whole before, they are what it has used
 * since. */
struct footprint;

#define FOOTPRINT_RANGES_MAX 4096 /* of pages in a row, 16 bytes each; further ones are left out */

/* 0 and *ret, the caller's to free; or -errno. A process that ends meanwhile is left out, and so is a mapping
 * of more than 4 GiB. */
int footprint_read(int cgroup_fd, struct footprint **ret);

/* Has the kernel read them from the swap (process_madvise(2) with MADV_WILLNEED), for the processes that are
 * still of this cgroup; takes milliseconds. What cannot be fetched is not: it comes when it is used. */
void footprint_fetch(const struct footprint *footprint, int cgroup_fd);

/* How much it is. */
unsigned long long footprint_bytes(const struct footprint *footprint);

/* NULL is fine. */
void footprint_free(struct footprint *footprint);
