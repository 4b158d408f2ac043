/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "request.h"

#include <stdlib.h>

#include <uthash.h>

struct request {
	UT_hash_handle hh;
	uint64_t cookie;
	uint64_t since_ns;
	uint64_t seen_ns; /* waiting, the last time */
};

static void forget(struct requests *requests, struct request *request)
{
	HASH_DEL(requests->seen, request);
	free(request);
}

void requests_finish(struct requests *requests)
{
	while (requests->seen)
		forget(requests, requests->seen);
}

void requests_begin(struct requests *requests, uint64_t now_ns)
{
	struct request *request, *next;

	requests->now_ns = now_ns;
	HASH_ITER(hh, requests->seen, request, next)
	if (now_ns - request->seen_ns > REQUEST_UNSEEN_NS)
		forget(requests, request);
}

static struct request *find(const struct requests *requests, uint64_t cookie)
{
	struct request *request;

	HASH_FIND(hh, requests->seen, &cookie, sizeof cookie, request);
	return request;
}

static struct request *add(struct requests *requests, uint64_t cookie, uint64_t data_age_us)
{
	uint64_t age_ns = data_age_us * 1000;
	struct request *request;

	if (HASH_COUNT(requests->seen) >= REQUESTS_MAX || !(request = calloc(1, sizeof *request)))
		return NULL;
	request->cookie = cookie;
	request->since_ns = age_ns < requests->now_ns ? requests->now_ns - age_ns : 0;
	HASH_ADD(hh, requests->seen, cookie, sizeof request->cookie, request);
	if (request->hh.tbl)
		return request;
	free(request);
	return NULL;
}

uint64_t requests_age_us(struct requests *requests, uint64_t cookie, uint64_t data_age_us)
{
	struct request *request = find(requests, cookie);

	if (!request)
		request = add(requests, cookie, data_age_us);
	if (!request)
		return data_age_us;
	request->seen_ns = requests->now_ns;
	return (requests->now_ns - request->since_ns) / 1000;
}

void requests_answered(struct requests *requests, uint64_t cookie)
{
	struct request *request = find(requests, cookie);

	if (request)
		forget(requests, request);
}
