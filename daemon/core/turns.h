/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

struct run;

/* A program that starts while others do has long turns until it lets visitors in (turn.h): a storm of programs
 * takes as long as before, and whoever is awake meanwhile is not kept waiting by it. */

/* Gives all threads of the run's container the usual turns, where it was started with long ones. What they have
 * asked for themselves meanwhile is left. */
void turns_shorten(struct run *run);
