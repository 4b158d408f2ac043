/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "limit.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "spec.h"
#include "str.h"
#include "value.h"

#define VALUE_BYTES 64

/* A nice level from 19 to -20 is the limit 1 to 40: see setrlimit(2). */
static int parse_nice(const char *text, uint64_t *ret)
{
	int64_t value;
	int error;

	if (*text == '+' || *text == '-') {
		error = value_parse_integer(text, -20, 19, &value);
		value = 20 - value;
	} else {
		error = value_parse_integer(text, 0, 40, &value);
	}
	if (error == 0)
		*ret = (uint64_t)value;
	return error;
}

static int parse_one(int resource, const char *text, uint64_t *ret)
{
	uint64_t us;
	int error;

	if (str_equal(text, "infinity")) {
		*ret = SPEC_INFINITY;
		return 0;
	}
	switch (resource) {
	case RLIMIT_FSIZE:
	case RLIMIT_DATA:
	case RLIMIT_STACK:
	case RLIMIT_CORE:
	case RLIMIT_RSS:
	case RLIMIT_AS:
	case RLIMIT_MEMLOCK:
	case RLIMIT_MSGQUEUE:
		return value_parse_size(text, ret);
	case RLIMIT_CPU:
		error = value_parse_span(text, 1000000, &us);
		/* The kernel counts whole seconds: a part of one is one. */
		if (error == 0)
			*ret = us / 1000000 + (us % 1000000 > 0);
		return error;
	case RLIMIT_RTTIME:
		return value_parse_span(text, 1, ret);
	case RLIMIT_NICE:
		return parse_nice(text, ret);
	default:
		error = str_to_u64(text, ret);
		return error == 0 && *ret >= SPEC_UNSET ? -ERANGE : error;
	}
}

int limit_parse(int resource, const char *text, uint64_t *ret_soft, uint64_t *ret_hard)
{
	const char *colon = strchr(text, ':');
	char first[VALUE_BYTES];
	uint64_t soft, hard;
	int error;

	if (!colon) {
		error = parse_one(resource, text, &soft);
		hard = soft;
	} else if (colon - text < VALUE_BYTES) {
		memcpy(first, text, (size_t)(colon - text));
		first[colon - text] = '\0';
		error = parse_one(resource, first, &soft);
		if (error == 0)
			error = parse_one(resource, colon + 1, &hard);
	} else {
		error = -EINVAL;
	}
	if (error < 0)
		return error;
	if (soft > hard)
		return -ERANGE;
	*ret_soft = soft;
	*ret_hard = hard;
	return 0;
}

const char *limit_expected(int resource)
{
	switch (resource) {
	case RLIMIT_FSIZE:
	case RLIMIT_DATA:
	case RLIMIT_STACK:
	case RLIMIT_CORE:
	case RLIMIT_RSS:
	case RLIMIT_AS:
	case RLIMIT_MEMLOCK:
	case RLIMIT_MSGQUEUE:
		return "a size like 64M";
	case RLIMIT_CPU:
		return "a time like 30min";
	case RLIMIT_RTTIME:
		return "a time like 500ms";
	case RLIMIT_NICE:
		return "a number from 0 to 40, or a nice level like +5";
	default:
		return "a number";
	}
}
