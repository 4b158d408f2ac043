/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "calendar.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "str.h"

#define TEXT_BYTES 512 /* the longest that is read */
#define PARTS_MAX  4   /* weekdays, date, time, zone */
#define BITS_MAX   (CALENDAR_YEAR_MAX + 1)
#define EVERY_DAY  0x7f

/* A list of numbers while it is read. */
struct numbers {
	unsigned min, max;
	uint64_t bits[BITS_MAX / 64 + 1];
};

static const struct {
	const char *name, *means;
} shorthands[] = {
	{"minutely", "*-*-* *:*:00"},
	{"hourly", "*-*-* *:00:00"},
	{"daily", "*-*-* 00:00:00"},
	{"weekly", "Mon *-*-* 00:00:00"},
	{"monthly", "*-*-01 00:00:00"},
	{"quarterly", "*-01,04,07,10-01 00:00:00"},
	{"yearly", "*-01-01 00:00:00"},
	{"annually", "*-01-01 00:00:00"},
	{"anually", "*-01-01 00:00:00"},
	{"semiannually", "*-01,07-01 00:00:00"},
	{"semi-annually", "*-01,07-01 00:00:00"},
	{"biannually", "*-01,07-01 00:00:00"},
	{"bi-annually", "*-01,07-01 00:00:00"},
	{"semianually", "*-01,07-01 00:00:00"},
};

static const char *const weekday_names[][2] = {
	{"Monday", "Mon"}, {"Tuesday", "Tue"},  {"Wednesday", "Wed"}, {"Thursday", "Thu"},
	{"Friday", "Fri"}, {"Saturday", "Sat"}, {"Sunday", "Sun"},
};

static const char expected_whole[] =
	"expected a point in time like \"Mon..Fri 08:00\", \"*-*-01 06:30:00\", \"22:00 UTC\" or daily";

static int refuse(const char **message, const char *text)
{
	*message = text;
	return -EINVAL;
}

static void set_bit(struct numbers *numbers, unsigned n)
{
	numbers->bits[n / 64] |= UINT64_C(1) << n % 64;
}

/* Decimal digits, at most four. */
static int take_number(const char **at, unsigned *ret)
{
	unsigned value = 0, digits = 0;

	for (; **at >= '0' && **at <= '9' && digits < 4; (*at)++, digits++)
		value = 10 * value + (unsigned)(**at - '0');
	if (digits == 0 || (**at >= '0' && **at <= '9'))
		return -EINVAL;
	*ret = value;
	return 0;
}

/* Two digits of a year are one of 1970 to 2069. */
static int take_value(const char **at, const struct numbers *numbers, unsigned max, unsigned *ret)
{
	if (take_number(at, ret) < 0)
		return -EINVAL;
	if (numbers->max == CALENDAR_YEAR_MAX && *ret < 100)
		*ret += *ret < 70 ? 2000 : 1900;
	return *ret < numbers->min || *ret > max ? -EINVAL : 0;
}

/* "N", "N..M", "N/R" or "N..M/R". Days counted from the end of a month repeat towards it where they have no
 * other end; they are at most 28, as every month has that many. */
static int take_range(const char **at, bool from_end, struct numbers *numbers)
{
	unsigned first, last, repeat = 1, max = from_end ? numbers->max - 3 : numbers->max;
	bool range, repeats;

	if (take_value(at, numbers, max, &first) < 0)
		return -EINVAL;
	last = first;
	range = strncmp(*at, "..", 2) == 0;
	if (range && (*at += 2, take_value(at, numbers, max, &last) < 0 || last < first))
		return -EINVAL;
	repeats = **at == '/';
	if (repeats && (++*at, take_number(at, &repeat) < 0 || repeat == 0 || repeat > max - numbers->min))
		return -EINVAL;
	if (repeats && !range) {
		/* One repetition at least. */
		if (from_end ? first < numbers->min + repeat : first + repeat > max)
			return -EINVAL;
		if (from_end)
			first = numbers->min + (first - numbers->min) % repeat;
		else
			last = max;
	}
	for (unsigned n = first; n <= last; n += repeat)
		set_bit(numbers, n);
	return 0;
}

/* "*", or ranges with ',' between them, up to one of the bytes in `ends`, or to the end. */
static int take_numbers(const char **at, const char *ends, bool from_end, struct numbers *numbers)
{
	int r = 0;

	if (**at == '*') {
		(*at)++;
		for (unsigned n = numbers->min; n <= numbers->max; n++)
			set_bit(numbers, n);
	} else {
		do
			r = take_range(at, from_end, numbers);
		while (r == 0 && **at == ',' && (*at)++);
	}
	return r < 0 || (**at && !strchr(ends, **at)) ? -EINVAL : 0;
}

static int take_weekday(const char **at)
{
	for (int day = 0; day < 7; day++)
		for (int i = 0; i < 2; i++) {
			size_t length = strlen(weekday_names[day][i]);

			if (strncasecmp(*at, weekday_names[day][i], length) == 0) {
				*at += length;
				return day;
			}
		}
	return -EINVAL;
}

/* "Mon..Wed,Fri"; a '-' is an older "..". */
static int parse_weekdays(const char *at, struct calendar *calendar)
{
	calendar->weekdays = 0;
	for (;;) {
		int first = take_weekday(&at), last = first;

		if (first < 0)
			return first;
		if (*at == '-' || strncmp(at, "..", 2) == 0) {
			at += *at == '-' ? 1 : 2;
			last = take_weekday(&at);
		}
		if (last < first)
			return -EINVAL;
		for (int day = first; day <= last; day++)
			calendar->weekdays |= (uint8_t)(1 << day);
		if (*at != ',')
			return *at ? -EINVAL : 0;
		at++;
	}
}

/* "[YEAR-]MONTH-DAY"; "~" before the day counts from the end of the month. */
static int parse_date(const char *text, struct calendar *calendar)
{
	struct numbers year = {.min = CALENDAR_YEAR_MIN, .max = CALENDAR_YEAR_MAX};
	struct numbers month = {.min = 1, .max = 12}, day = {.min = 1, .max = 31};
	const char *dash = strpbrk(text, "-~"), *at = text;
	int r = 0;

	if (!dash)
		return -EINVAL;
	if (*dash == '-' && strpbrk(dash + 1, "-~")) {
		r = take_numbers(&at, "-", false, &year);
		if (r < 0 || *at++ != '-')
			return -EINVAL;
	} else {
		for (unsigned n = year.min; n <= year.max; n++)
			set_bit(&year, n);
	}
	r = take_numbers(&at, "-~", false, &month);
	if (r < 0 || !*at)
		return -EINVAL;
	calendar->from_end = *at++ == '~';
	r = take_numbers(&at, "", calendar->from_end, &day);
	if (r < 0)
		return r;
	memset(calendar->years, 0, sizeof calendar->years);
	for (unsigned n = year.min; n <= year.max; n++)
		if (year.bits[n / 64] & UINT64_C(1) << n % 64)
			calendar->years[(n - year.min) / 64] |= UINT64_C(1) << (n - year.min) % 64;
	calendar->months = (uint16_t)month.bits[0];
	calendar->days = (uint32_t)day.bits[0];
	return 0;
}

/* "HOUR:MINUTE[:SECOND]". */
static int parse_time(const char *at, struct calendar *calendar)
{
	struct numbers hour = {.max = 23}, minute = {.max = 59}, second = {.max = 59};

	if (take_numbers(&at, ":", false, &hour) < 0 || *at++ != ':' ||
	    take_numbers(&at, ":", false, &minute) < 0)
		return -EINVAL;
	if (!*at)
		set_bit(&second, 0);
	else if (at++, take_numbers(&at, "", false, &second) < 0)
		return -EINVAL;
	calendar->hours = (uint32_t)hour.bits[0];
	calendar->minutes = minute.bits[0];
	calendar->seconds = second.bits[0];
	return 0;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What remains after a zone was taken off: weekdays, a date and a time, in this order, each once at most. */
static int parse_parts(char *const *parts, size_t n, struct calendar *calendar, const char **message)
{
	size_t i = 0;

	*calendar = (struct calendar){.minutes = 1,
				      .seconds = 1,
				      .hours = 1,
				      .weekdays = EVERY_DAY,
				      .months = 0x1ffe,
				      .days = UINT32_MAX - 1,
				      .utc = calendar->utc};
	memset(calendar->years, 0xff, sizeof calendar->years);
	if (i < n && is_letter(parts[i][0]) && parse_weekdays(parts[i++], calendar) < 0)
		return refuse(message, "expected days of the week like Mon, Mon..Fri or Sat,Sun");
	if (i < n && !strchr(parts[i], ':') && parse_date(parts[i++], calendar) < 0)
		return refuse(message, "expected a date like *-*-*, 2030-01-31, *-01,07-01 or *-*~01");
	if (i < n && parse_time(parts[i++], calendar) < 0)
		return refuse(message, "expected a time of day like 08:00, *:00/15 or 06:30:00");
	return i == n && n > 0 ? 0 : refuse(message, expected_whole);
}

static size_t split(char *text, char **parts)
{
	char *part;
	size_t n = 0;

	while ((part = strsep(&text, " \t")))
		if (*part) {
			if (n == PARTS_MAX)
				return 0;
			parts[n++] = part;
		}
	return n;
}

/* A zone's name: letters, and no day of the week. */
static bool is_zone(const char *part)
{
	struct calendar ignored;

	return is_letter(*part) && parse_weekdays(part, &ignored) < 0;
}

int calendar_parse(const char *text, struct calendar *ret, const char **message)
{
	char copy[TEXT_BYTES], *parts[PARTS_MAX];
	struct calendar calendar = {0};
	size_t n;
	int r;

	if (strlen(text) >= sizeof copy)
		return refuse(message, expected_whole);
	memcpy(copy, text, strlen(text) + 1);
	if (strpbrk(copy, "@."))
		for (const char *at = copy; (at = strpbrk(at, "@.")); at += 2)
			if (*at == '@' || at[1] != '.')
				return refuse(message, "expected whole seconds of a calendar");
	n = split(copy, parts);
	if (n > 1 && strcasecmp(parts[n - 1], "UTC") == 0) {
		calendar.utc = true;
		n--;
	}
	for (size_t i = 0; n == 1 && i < sizeof shorthands / sizeof *shorthands; i++)
		if (strcasecmp(parts[0], shorthands[i].name) == 0) {
			memcpy(copy, shorthands[i].means, strlen(shorthands[i].means) + 1);
			n = split(copy, parts);
			break;
		}
	if (n > 1 && is_zone(parts[n - 1]))
		return refuse(message, "expected UTC, or nothing for the local time zone, after the time");
	r = parse_parts(parts, n, &calendar, message);
	if (r == 0)
		*ret = calendar;
	return r;
}
