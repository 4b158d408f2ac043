/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "grace.h"

#include <inttypes.h>
#include <systemd/sd-daemon.h>

#include "clock.h"
#include "daemon.h"
#include "stop.h"

#define LONGEST_US UINT64_C(3155760000000000) /* a century: systemd passes over infinity */

/* For what comes after the last signal: the kernel ends processes, books are written. */
#define MARGIN_US UINT64_C(30000000)
/* What is later by less than this is not told: a program that asks again and again is not the manager's
 * trouble. */
#define SLACK_US  UINT64_C(15000000)

static void tell(struct grace *grace, uint64_t left_us)
{
	uint64_t now_ns = clock_now_ns();

	if (left_us > LONGEST_US)
		left_us = LONGEST_US;
	if (now_ns + (left_us + SLACK_US) * 1000 <= grace->told_ns)
		return;
	left_us += MARGIN_US;
	grace->told_ns = now_ns + left_us * 1000;
	sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIu64, left_us);
}

void grace_begin(struct daemon *daemon)
{
	uint64_t longest_us = 0;

	daemon->grace.from_ns = clock_now_ns();
	for (const struct run *run = daemon->runs; run; run = run->next)
		if (run->site->state == STATE_STOPPING) {
			uint64_t left_us = stop_left_us(run->site);

			if (left_us > longest_us)
				longest_us = left_us;
		}
	if (longest_us > 0)
		tell(&daemon->grace, longest_us);
}

void grace_extend(const struct site *site)
{
	struct grace *grace = &site->daemon->grace;

	if (grace->from_ns && site->state == STATE_STOPPING)
		tell(grace, stop_left_us(site));
}

uint64_t grace_allowed_us(const struct grace *grace, uint64_t now_ns, uint64_t us)
{
	uint64_t end_ns = grace->from_ns + GRACE_ASKED_MAX_US * 1000, left_us;

	if (!grace->from_ns)
		return us;
	left_us = end_ns > now_ns ? (end_ns - now_ns) / 1000 : 0;
	return us < left_us ? us : left_us;
}
