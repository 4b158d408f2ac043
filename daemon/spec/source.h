/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCE_TEXT_BYTES 64  /* the longest text form of a rule, its end included */
#define SOURCE_RULES_MAX  256 /* of one site: what a classic BPF program has room for, with some to spare */
#define SOURCE_NAMED_MAX  2   /* rules that one word stands for */

/* IPAddressAllow=, IPAddressDeny=: the source addresses of packets that listeners take. Bytes behind the prefix
 * are zero, and so is what an IPv4 address leaves of the array. */
struct source_rule {
	uint8_t deny;   /* IPAddressDeny= */
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t prefix; /* bits */
	uint8_t address[16];
};

/* Reads one word as systemd.resource-control(5): "10.0.0.0/8", "::1", or a name: any, localhost, link-local,
 * multicast, which stands for a rule of each family. Returns how many rules were written, or -EINVAL. */
int source_parse(const char *word, bool deny, struct source_rule ret[static SOURCE_NAMED_MAX]);

/* "10.0.0.0/8": what source_parse() reads again to the same. */
const char *source_format(const struct source_rule *rule, char buf[static SOURCE_TEXT_BYTES]);

/* Whether packets of this address, in network order, are taken: what is allowed is, what else is denied is not,
 * and the rest is. An IPv4 address that is mapped into IPv6 is one of IPv4. */
bool source_allowed(const struct source_rule *rules, size_t n, int family, const void *address);
