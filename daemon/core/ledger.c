/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ledger.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "str.h"

#define SKETCH_LEAST_US 64
#define NUMBERS         12 /* of a line */

static const enum ledger_time time_of[SITE_STATES] = {
	[STATE_ILLEGAL] = LEDGER_COLD,  [STATE_COLD] = LEDGER_COLD,      [STATE_STARTING] = LEDGER_AWAKE,
	[STATE_AWAKE] = LEDGER_AWAKE,   [STATE_FREEZING] = LEDGER_AWAKE, [STATE_FROZEN] = LEDGER_FROZEN,
	[STATE_PAGING] = LEDGER_FROZEN, [STATE_PAGED] = LEDGER_PAGED,    [STATE_STOPPING] = LEDGER_AWAKE,
	[STATE_FAILED] = LEDGER_COLD,
};

/* What it does not use in such a time, of what it used while it was awake. */
static uint64_t spared_kib(const struct ledger *ledger, enum ledger_time time)
{
	if (time == LEDGER_COLD)
		return ledger->awake_kib;
	return time == LEDGER_PAGED && ledger->awake_kib > ledger->paged_kib
		       ? ledger->awake_kib - ledger->paged_kib
		       : 0;
}

void ledger_account(struct ledger *ledger, enum site_state state, uint64_t now_ns)
{
	enum ledger_time time = time_of[state];
	uint64_t us = now_ns > ledger->at_ns ? (now_ns - ledger->at_ns) / 1000 : 0;
	uint64_t kib = spared_kib(ledger, time);

	ledger->spent_us[time] += us;
	ledger->saved_kib_s += kib * (us / 1000000) + kib * (us % 1000000) / 1000000;
	ledger->window_us += us;
	ledger->at_ns = now_ns;
}

void ledger_add_gaps(struct ledger *ledger, const struct gaps *gaps)
{
	if (gaps_merge(&ledger->gaps, gaps))
		ledger->window_us /= 2;
}

void ledger_used(struct ledger *ledger, uint64_t now_ns)
{
	if (ledger->idle_since_ns > 0 && now_ns > ledger->idle_since_ns &&
	    gaps_add(&ledger->gaps, (now_ns - ledger->idle_since_ns) / 1000))
		ledger->window_us /= 2;
	ledger->idle_since_ns = 0;
}

/* The bound of a bucket: 64 us, 90 us, 128 us, ... */
static uint64_t bound_us(unsigned bucket)
{
	uint64_t octave = (uint64_t)SKETCH_LEAST_US << bucket / 2;

	return bucket % 2 ? octave * 181 / 128 : octave;
}

void sketch_add(struct sketch *sketch, uint64_t us)
{
	unsigned bucket = 0;

	while (bucket < SKETCH_BUCKETS - 1 && us > bound_us(bucket))
		bucket++;
	if (sketch->counts[bucket] == UINT8_MAX)
		for (unsigned i = 0; i < SKETCH_BUCKETS; i++)
			sketch->counts[i] /= 2;
	sketch->counts[bucket]++;
}

uint64_t sketch_quantile(const struct sketch *sketch, unsigned percent)
{
	unsigned all = 0, seen = 0, wanted;

	for (unsigned i = 0; i < SKETCH_BUCKETS; i++)
		all += sketch->counts[i];
	wanted = (all * percent + 99) / 100;
	for (unsigned i = 0; i < SKETCH_BUCKETS && wanted > 0; i++) {
		seen += sketch->counts[i];
		if (seen >= wanted) /* the middle of the bucket, by ratio */
			return i == 0 ? SKETCH_LEAST_US : bound_us(i - 1) * 119 / 100;
	}
	return 0;
}

static void write_sketch(const struct sketch *sketch, char *out)
{
	for (unsigned i = 0; i < SKETCH_BUCKETS; i++)
		sprintf(out + 2 * i, "%02x", sketch->counts[i]);
}

static int read_sketch(const char *text, struct sketch *ret)
{
	if (!text || strlen(text) != 2 * SKETCH_BUCKETS ||
	    strspn(text, "0123456789abcdef") != 2 * SKETCH_BUCKETS)
		return -EBADMSG;
	for (unsigned i = 0; i < SKETCH_BUCKETS; i++) {
		unsigned value;

		if (sscanf(text + 2 * i, "%2x", &value) != 1)
			return -EBADMSG;
		ret->counts[i] = (uint8_t)value;
	}
	return 0;
}

static void write_gaps(const struct gaps *gaps, char *out)
{
	for (unsigned i = 0; i < GAPS_BUCKETS; i++)
		sprintf(out + 4 * i, "%04x", gaps->counts[i]);
}

static int read_gaps(const char *text, struct gaps *ret)
{
	if (!text || strlen(text) != 4 * GAPS_BUCKETS || strspn(text, "0123456789abcdef") != 4 * GAPS_BUCKETS)
		return -EBADMSG;
	for (unsigned i = 0; i < GAPS_BUCKETS; i++) {
		unsigned value;

		if (sscanf(text + 4 * i, "%4x", &value) != 1)
			return -EBADMSG;
		ret->counts[i] = (uint16_t)value;
	}
	return 0;
}

int ledger_format(const struct ledger *l, const char *name, char buf[static LEDGER_LINE_BYTES])
{
	char cold[2 * SKETCH_BUCKETS + 1], thaw[2 * SKETCH_BUCKETS + 1], gaps[4 * GAPS_BUCKETS + 1];
	int n;

	write_sketch(&l->cold, cold);
	write_sketch(&l->thaw, thaw);
	write_gaps(&l->gaps, gaps);
	n = snprintf(buf, LEDGER_LINE_BYTES, "%s %llu %llu %llu %llu %llu %llu %u %u %u %u %u %llu %s %s %s\n",
		     name, (unsigned long long)l->since_us, (unsigned long long)l->spent_us[LEDGER_AWAKE],
		     (unsigned long long)l->spent_us[LEDGER_FROZEN],
		     (unsigned long long)l->spent_us[LEDGER_PAGED],
		     (unsigned long long)l->spent_us[LEDGER_COLD], (unsigned long long)l->saved_kib_s, l->wakes,
		     l->thaws, l->failures, l->awake_kib, l->paged_kib, (unsigned long long)l->window_us, cold,
		     thaw, gaps);
	return n < 0 || n >= LEDGER_LINE_BYTES ? -ENOBUFS : 0;
}

int ledger_parse(char *line, const char **name, struct ledger *ret)
{
	struct ledger ledger = {0};
	uint64_t numbers[NUMBERS];

	line[strcspn(line, "\n")] = '\0';
	*name = strsep(&line, " ");
	if (!str_valid_name(*name))
		return -EBADMSG;
	for (unsigned i = 0; i < NUMBERS; i++) {
		const char *text = strsep(&line, " ");

		if (!text || str_to_u64(text, &numbers[i]) < 0 ||
		    (i >= 6 && i <= 10 && numbers[i] > UINT32_MAX))
			return -EBADMSG;
	}
	ledger.since_us = numbers[0];
	memcpy(ledger.spent_us, &numbers[1], sizeof ledger.spent_us);
	ledger.saved_kib_s = numbers[5];
	ledger.wakes = (uint32_t)numbers[6];
	ledger.thaws = (uint32_t)numbers[7];
	ledger.failures = (uint32_t)numbers[8];
	ledger.awake_kib = (uint32_t)numbers[9];
	ledger.paged_kib = (uint32_t)numbers[10];
	ledger.window_us = numbers[11];
	if (read_sketch(strsep(&line, " "), &ledger.cold) < 0 ||
	    read_sketch(strsep(&line, " "), &ledger.thaw) < 0 ||
	    read_gaps(strsep(&line, " "), &ledger.gaps) < 0 || line || ledger.since_us == 0)
		return -EBADMSG;
	*ret = ledger;
	return 0;
}
