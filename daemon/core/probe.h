/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct daemon;
struct listener;
struct probes;
struct site;

/* Connections that are not to wake a sleeping site: those that came and went without a byte, where
 * DeferAcceptSec= says that bytes are what wakes, and those of sources that have woken it too often
 * (WakeLimitBurst=). Their listeners are left alone until somebody else comes, or the time is over. */

/* 0 and *ret, or -errno. */
int probes_create(struct daemon *daemon, struct probes **ret);

/* NULL is fine. */
void probes_destroy(struct probes *probes);

/* Something waits at a watched listener of a sleeping site. True: it may be woken. False: who that is has to be
 * looked up first; the listener is not watched meanwhile, and site_visited() follows if the site may be woken.
 */
bool probes_admit(struct site *site, struct listener *listener);

/* The listener is watched from now on, or no longer, whatever was going on. */
void probes_release(struct site *site, const struct listener *listener);

/* Whether who waits there is known, and may not wake the site. */
bool probes_hold(const struct site *site, const struct listener *listener);

/* The site is gone. */
void probes_forget(const struct site *site);

/* A Probes of io.torpor; NULL: there were none. */
json_t *probes_report(const struct site *site);
