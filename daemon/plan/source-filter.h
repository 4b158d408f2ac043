/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <linux/filter.h>
#include <stddef.h>

struct source_rule;

/* Compiles rules to a socket filter (SO_ATTACH_FILTER) for listeners of IPv4 and IPv6, of connections and of
 * datagrams: packets of sources that are not allowed are dropped before the kernel answers them. Where an IPv6
 * socket takes IPv4 packets, they are judged by the rules of IPv4. An array that the caller frees; -ENOMEM. */
int source_filter_compile(const struct source_rule *rules, size_t n, struct sock_filter **ret, size_t *ret_n);
