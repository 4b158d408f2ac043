/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "source.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "str.h"

/* systemd.resource-control(5), IPAddressAllow=. */
static const struct {
	const char *name;
	const char *rules[SOURCE_NAMED_MAX];
} names[] = {
	{"any", {"0.0.0.0/0", "::/0"}},
	{"localhost", {"127.0.0.0/8", "::1/128"}},
	{"link-local", {"169.254.0.0/16", "fe80::/64"}},
	{"multicast", {"224.0.0.0/4", "ff00::/8"}},
};

static unsigned family_bits(int family)
{
	return family == AF_INET ? 32 : 128;
}

static void clear_behind(struct source_rule *rule)
{
	for (unsigned bit = rule->prefix; bit < 8 * sizeof rule->address; bit++)
		rule->address[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

static int parse_one(const char *word, bool deny, struct source_rule *ret)
{
	const char *slash = strchr(word, '/');
	size_t length = slash ? (size_t)(slash - word) : strlen(word);
	char address[INET6_ADDRSTRLEN];
	struct source_rule rule = {.deny = deny};
	uint64_t prefix;

	if (length >= sizeof address)
		return -EINVAL;
	memcpy(address, word, length);
	address[length] = '\0';
	rule.family = strchr(address, ':') ? AF_INET6 : AF_INET;
	prefix = family_bits(rule.family);
	if (inet_pton(rule.family, address, rule.address) != 1)
		return -EINVAL;
	if (slash && (str_to_u64(slash + 1, &prefix) < 0 || prefix > family_bits(rule.family)))
		return -EINVAL;
	rule.prefix = (uint8_t)prefix;
	clear_behind(&rule);
	*ret = rule;
	return 0;
}

int source_parse(const char *word, bool deny, struct source_rule ret[static SOURCE_NAMED_MAX])
{
	int r;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (!str_equal(word, names[i].name))
			continue;
		for (unsigned k = 0; k < SOURCE_NAMED_MAX; k++)
			(void)parse_one(names[i].rules[k], deny, &ret[k]);
		return SOURCE_NAMED_MAX;
	}
	r = parse_one(word, deny, &ret[0]);
	return r < 0 ? r : 1;
}

const char *source_format(const struct source_rule *rule, char buf[static SOURCE_TEXT_BYTES])
{
	char address[INET6_ADDRSTRLEN];

	inet_ntop(rule->family, rule->address, address, sizeof address);
	snprintf(buf, SOURCE_TEXT_BYTES, "%s/%u", address, rule->prefix);
	return buf;
}

static bool matches(const struct source_rule *rule, int family, const void *address)
{
	struct source_rule other = {.prefix = rule->prefix};

	if (rule->family != family)
		return false;
	memcpy(other.address, address, family_bits(family) / 8);
	clear_behind(&other);
	return memcmp(rule->address, other.address, sizeof other.address) == 0;
}

static bool any_matches(const struct source_rule *rules, size_t n, bool deny, int family, const void *address)
{
	for (size_t i = 0; i < n; i++)
		if (rules[i].deny == deny && matches(&rules[i], family, address))
			return true;
	return false;
}

bool source_allowed(const struct source_rule *rules, size_t n, int family, const void *address)
{
	const struct in6_addr *in6 = address;

	if (family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(in6)) {
		family = AF_INET;
		address = &in6->s6_addr[12];
	}
	return any_matches(rules, n, false, family, address) || !any_matches(rules, n, true, family, address);
}
