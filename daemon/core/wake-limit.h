/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* How often each source of connections has woken a site lately. As systemd's TriggerLimit...: the first wake
 * begins an interval, in which there can be so many. */

#define WAKE_SOURCES_MAX 1024 /* remembered of one site; the one that came first is forgotten for another */

/* Where a connection comes from: an IPv4 address, or the first 64 bits of an IPv6 address, which is what one
 * customer of a provider has. */
struct wake_source {
	uint8_t family; /* AF_INET, AF_INET6 */
	uint8_t address[8];
};

/* Zero-initialised is empty. */
struct wake_limit {
	struct wake_count *counts; /* a hash by source, oldest first; owned */
};

/* address: in6_addr, also with an IPv4 address mapped into it, or in_addr. */
struct wake_source wake_source_of(int family, const void *address);

/* When the source may wake the site again: 0: now; else CLOCK_MONOTONIC in ns. burst is not 0. */
uint64_t wake_limit_until(const struct wake_limit *limit, const struct wake_source *source, uint64_t now_ns,
			  uint64_t interval_ns, unsigned burst);

/* It does. Without memory it is not remembered. */
void wake_limit_count(struct wake_limit *limit, const struct wake_source *source, uint64_t now_ns,
		      uint64_t interval_ns);

void wake_limit_finish(struct wake_limit *limit);
