/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Gaps between two steps, held open for as long as a test wants: where the environment names a unix socket
 * (TORPOR_STRETCH), STRETCH() tells whoever listens there which gap of which site has been reached, and goes on
 * when that has an answer. Not in release builds: see the option stretch. */
#ifdef TORPOR_STRETCH
void stretch_gap(const char *gap, const char *site);
#define STRETCH(gap, site) stretch_gap(gap, site)
#else
#define STRETCH(gap, site)                                                                                     \
	do {                                                                                                   \
	} while (0)
#endif
