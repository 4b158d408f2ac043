/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

struct site;

/* The way from awake to frozen; by: see site_dispatch(). */

/* Asks the kernel to freeze the container. EVENT_FROZEN comes of it, or the state's timer. */
void freeze_begin(struct site *site, const char *by);

/* It is frozen: looks again. What has come in until now, or is in the midst of something, wakes it; else it
 * stays so, or goes on to the rung that it was frozen for. */
void freeze_complete(struct site *site, const char *by);
