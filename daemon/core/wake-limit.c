/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wake-limit.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct wake_count {
	UT_hash_handle hh;
	struct wake_source source;
	unsigned wakes;
	uint64_t since_ns; /* the first of them */
};

struct wake_source wake_source_of(int family, const void *address)
{
	struct wake_source source = {.family = AF_INET};
	const struct in6_addr *in6 = address;

	if (family == AF_INET) {
		memcpy(source.address, address, sizeof(struct in_addr));
	} else if (IN6_IS_ADDR_V4MAPPED(in6)) {
		memcpy(source.address, &in6->s6_addr[12], sizeof(struct in_addr));
	} else {
		source.family = AF_INET6;
		memcpy(source.address, in6, sizeof source.address);
	}
	return source;
}

static struct wake_count *find(const struct wake_limit *limit, const struct wake_source *source)
{
	struct wake_count *count;

	HASH_FIND(hh, limit->counts, source, sizeof *source, count);
	return count;
}

uint64_t wake_limit_until(const struct wake_limit *limit, const struct wake_source *source, uint64_t now_ns,
			  uint64_t interval_ns, unsigned burst)
{
	const struct wake_count *count = find(limit, source);

	if (!count || count->wakes < burst || now_ns - count->since_ns >= interval_ns)
		return 0;
	return count->since_ns + interval_ns;
}

static void forget(struct wake_limit *limit, struct wake_count *count)
{
	HASH_DEL(limit->counts, count);
	free(count);
}

void wake_limit_count(struct wake_limit *limit, const struct wake_source *source, uint64_t now_ns,
		      uint64_t interval_ns)
{
	struct wake_count *count = find(limit, source);

	if (count && now_ns - count->since_ns < interval_ns) {
		count->wakes++;
		return;
	}
	if (count)
		forget(limit, count); /* to come behind the others */
	if (HASH_COUNT(limit->counts) >= WAKE_SOURCES_MAX)
		forget(limit, limit->counts);
	count = calloc(1, sizeof *count);
	if (!count)
		return;
	count->source = *source;
	count->wakes = 1;
	count->since_ns = now_ns;
	HASH_ADD(hh, limit->counts, source, sizeof count->source, count);
	if (!count->hh.tbl)
		free(count);
}

void wake_limit_finish(struct wake_limit *limit)
{
	while (limit->counts)
		forget(limit, limit->counts);
}
