/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

struct run;

/* Begins to fetch from the swap what a site that has just been thawed used when it was awake last, where that
 * is known (Prefetch=): in another thread, while the program goes on. */
void prefetch_begin(struct run *run);
