/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moment.h"

#include <time.h>

#include "arena.h"
#include "clock.h"
#include "str.h"

#define JUST_NOW_US 1000000 /* closer than the two clocks can be told apart by eye */

uint64_t moment_now(void)
{
	return clock_realtime_us();
}

uint64_t moment_monotonic(void)
{
	return clock_now_ns() / 1000;
}

const char *moment_span(struct arena *arena, uint64_t us)
{
	char buf[64];

	return arena_strdup(arena, str_format_span(us, buf, sizeof buf));
}

const char *moment_relative(struct arena *arena, uint64_t at_us, uint64_t now_us)
{
	uint64_t distance = at_us > now_us ? at_us - now_us : now_us - at_us;
	char buf[64];

	if (distance < JUST_NOW_US)
		return "just now";
	str_format_span(distance, buf, sizeof buf);
	return at_us > now_us ? arena_printf(arena, "in %s", buf) : arena_printf(arena, "%s ago", buf);
}

const char *moment_absolute(struct arena *arena, uint64_t at_us)
{
	time_t seconds = (time_t)(at_us / 1000000);
	struct tm parts;
	char buf[64];

	if (!localtime_r(&seconds, &parts) || strftime(buf, sizeof buf, "%a %Y-%m-%d %H:%M:%S %Z", &parts) == 0)
		return "at an unknown time";
	return arena_strdup(arena, buf);
}

const char *moment_stamp(struct arena *arena, uint64_t at_us)
{
	time_t seconds = (time_t)(at_us / 1000000);
	struct tm parts;
	char buf[64];

	if (!localtime_r(&seconds, &parts) || strftime(buf, sizeof buf, "%b %d %H:%M:%S", &parts) == 0)
		return "at an unknown time";
	return arena_printf(arena, "%s.%03u", buf, (unsigned)(at_us / 1000 % 1000));
}
