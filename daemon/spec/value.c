/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "value.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "spec.h"
#include "str.h"

#define DIGITS      "0123456789"
#define WHITE_SPACE " \t\n"

int value_parse_bool(const char *text, bool *ret)
{
	static const char *const words[] = {"0", "1", "no",    "yes",  "n",   "y",
					    "f", "t", "false", "true", "off", "on"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcasecmp(text, words[i]) == 0) {
			*ret = i % 2;
			return 0;
		}
	return -EINVAL;
}

int value_parse_integer(const char *text, int64_t min, int64_t max, int64_t *ret)
{
	const char *digits = text + (*text == '-' || *text == '+');
	long long value;

	if (!*digits || digits[strspn(digits, DIGITS)])
		return -EINVAL;
	errno = 0;
	value = strtoll(text, NULL, 10);
	if (errno == ERANGE || value < min || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

/* Takes digits and a fraction off *text and multiplies them by unit, without floating point. */
static int scale(const char *digits, const char *fraction, uint64_t unit, uint64_t *ret)
{
	uint64_t value = 0, part = unit;

	for (; *digits >= '0' && *digits <= '9'; digits++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*digits - '0'), &value))
			return -ERANGE;
	if (__builtin_mul_overflow(value, unit, &value))
		return -ERANGE;
	for (; fraction && *fraction >= '0' && *fraction <= '9'; fraction++) {
		/* Digit by digit, so that nothing overflows: what is lost is below one of the result. */
		uint64_t digit = (uint64_t)(*fraction - '0');

		if (__builtin_add_overflow(value, part / 10 * digit + part % 10 * digit / 10, &value))
			return -ERANGE;
		part /= 10;
	}
	*ret = value;
	return 0;
}

/* Takes "12" or "12.5" off *text. */
static int take_number(const char **text, const char **digits, const char **fraction)
{
	size_t whole = strspn(*text, DIGITS);

	*digits = *text;
	*fraction = NULL;
	*text += whole;
	if (**text == '.') {
		size_t parts = strspn(*text + 1, DIGITS);

		*fraction = *text + 1;
		*text += 1 + parts;
		whole = parts;
	}
	return whole > 0 ? 0 : -EINVAL;
}

static uint64_t span_unit(const char *name, size_t length)
{
	static const struct {
		const char *name;
		uint64_t us;
	} units[] = {
		{"us", 1},
		{"usec", 1},
		{"\xc2\xb5s", 1}, /* the micro sign and the Greek letter */
		{"\xce\xbcs", 1},
		{"ms", 1000},
		{"msec", 1000},
		{"s", 1000000},
		{"sec", 1000000},
		{"second", 1000000},
		{"seconds", 1000000},
		{"m", 60000000},
		{"min", 60000000},
		{"minute", 60000000},
		{"minutes", 60000000},
		{"h", 3600000000},
		{"hr", 3600000000},
		{"hour", 3600000000},
		{"hours", 3600000000},
		{"d", 86400000000},
		{"day", 86400000000},
		{"days", 86400000000},
		{"w", 604800000000},
		{"week", 604800000000},
		{"weeks", 604800000000},
		{"M", 2629800000000}, /* 30.44 days */
		{"month", 2629800000000},
		{"months", 2629800000000},
		{"y", 31557600000000}, /* 365.25 days */
		{"year", 31557600000000},
		{"years", 31557600000000},
	};

	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strlen(units[i].name) == length && memcmp(units[i].name, name, length) == 0)
			return units[i].us;
	return 0;
}

int value_parse_span(const char *text, uint64_t unit_us, uint64_t *ret_us)
{
	uint64_t total = 0;

	if (str_equal(text, "infinity")) {
		*ret_us = SPEC_INFINITY;
		return 0;
	}
	text += strspn(text, WHITE_SPACE);
	do {
		const char *digits, *fraction;
		uint64_t unit = unit_us, part;
		size_t length;
		int error = take_number(&text, &digits, &fraction);

		if (error < 0)
			return error;
		text += strspn(text, WHITE_SPACE);
		length = strcspn(text, WHITE_SPACE DIGITS ".");
		if (length > 0)
			unit = span_unit(text, length);
		/* "1..5": a number ends in a unit, white space, or the end. */
		if (unit == 0 || (length == 0 && *text == '.'))
			return -EINVAL;
		text += length;
		text += strspn(text, WHITE_SPACE);
		error = scale(digits, fraction, unit, &part);
		if (error < 0)
			return error;
		if (__builtin_add_overflow(total, part, &total) || total >= SPEC_UNSET)
			return -ERANGE;
	} while (*text);
	*ret_us = total;
	return 0;
}

int value_parse_scaled(const char *text, unsigned base, uint64_t *ret)
{
	static const char suffixes[] = "BKMGTPE";
	const char *digits, *fraction, *suffix = suffixes;
	uint64_t value, unit = 1;
	int error;

	if (str_equal(text, "infinity")) {
		*ret = SPEC_INFINITY;
		return 0;
	}
	error = take_number(&text, &digits, &fraction);
	if (error < 0)
		return error;
	text += strspn(text, WHITE_SPACE);
	if (*text) {
		suffix = strchr(suffixes, *text);
		if (!suffix || text[1])
			return -EINVAL;
	}
	for (; suffix > suffixes; suffix--)
		unit *= base;
	error = scale(digits, fraction, unit, &value);
	if (error < 0)
		return error;
	if (value >= SPEC_UNSET)
		return -ERANGE;
	*ret = value;
	return 0;
}

int value_parse_size(const char *text, uint64_t *ret_bytes)
{
	return value_parse_scaled(text, 1024, ret_bytes);
}

int value_parse_percent(const char *text, uint64_t *ret_hundredths)
{
	const char *digits, *fraction;
	uint64_t value;
	int error = take_number(&text, &digits, &fraction);

	if (error < 0 || !str_equal(text, "%") || (fraction && text - fraction > 2))
		return -EINVAL;
	error = scale(digits, fraction, 100, &value);
	if (error == 0)
		*ret_hundredths = value;
	return error;
}

int value_parse_mode(const char *text, mode_t max, mode_t *ret)
{
	unsigned long value;

	if (!*text || text[strspn(text, "01234567")])
		return -EINVAL;
	errno = 0;
	value = strtoul(text, NULL, 8);
	if (errno || value > max)
		return -ERANGE;
	*ret = (mode_t)value;
	return 0;
}

#define ERRNO_MAX       4095
#define ERRNO_NAMED_MAX 255 /* higher ones have no name on x86-64 and arm64 */

int value_parse_errno(const char *text, int *ret)
{
	/* Second names, which strerrorname_np(3) does not say. */
	static const struct {
		const char *name;
		int number;
	} more[] = {{"EWOULDBLOCK", EWOULDBLOCK}, {"EDEADLOCK", EDEADLOCK}, {"ENOTSUP", ENOTSUP}};
	int64_t number;

	for (int i = 1; i <= ERRNO_NAMED_MAX; i++) {
		const char *name = strerrorname_np(i);

		if (name && str_equal(name, text)) {
			*ret = i;
			return 0;
		}
	}
	for (size_t i = 0; i < sizeof more / sizeof *more; i++)
		if (str_equal(more[i].name, text)) {
			*ret = more[i].number;
			return 0;
		}
	if (value_parse_integer(text, 0, ERRNO_MAX, &number) < 0)
		return -EINVAL;
	*ret = (int)number;
	return 0;
}

/* glibc keeps signals 32 and 33 for its threads. */
static int check_signal(int64_t number, int *ret)
{
	if (number < 1 || number > SIGRTMAX || (number > SIGSYS && number < SIGRTMIN))
		return -ERANGE;
	*ret = (int)number;
	return 0;
}

int value_parse_signal(const char *text, int *ret)
{
	const char *name = strncmp(text, "SIG", 3) == 0 ? text + 3 : text;
	int64_t offset = 0;

	if (value_parse_integer(text, 0, INT_MAX, &offset) == 0)
		return check_signal(offset, ret);
	if (strncmp(name, "RTMIN", 5) == 0 || strncmp(name, "RTMAX", 5) == 0) {
		bool min = name[4] == 'N';

		if (name[5] && (name[5] != (min ? '+' : '-') ||
				value_parse_integer(name + 5, -SIGRTMAX, SIGRTMAX, &offset) < 0))
			return -EINVAL;
		offset += min ? SIGRTMIN : SIGRTMAX;
		return offset >= SIGRTMIN ? check_signal(offset, ret) : -ERANGE;
	}
	for (int i = 1; i < SIGRTMIN; i++) {
		const char *abbreviation = sigabbrev_np(i);

		if (abbreviation && str_equal(abbreviation, name)) {
			*ret = i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Sets the bits of "3" or "0-3". */
static int add_cpu_range(char *word, unsigned char *set)
{
	char *dash = strchr(word, '-');
	int64_t first, last;
	int error;

	if (dash)
		*dash++ = '\0';
	if (*word < '0' || *word > '9' || (dash && (*dash < '0' || *dash > '9')))
		return -EINVAL;
	error = value_parse_integer(word, 0, VALUE_CPUS_MAX - 1, &first);
	last = first;
	if (error == 0 && dash)
		error = value_parse_integer(dash, first, VALUE_CPUS_MAX - 1, &last);
	if (error < 0)
		return error;
	for (int64_t cpu = first; cpu <= last; cpu++)
		set[cpu / 8] |= (unsigned char)(1 << cpu % 8);
	return 0;
}

static int add_cpus(const char *text, unsigned char *set)
{
	while (*(text += strspn(text, WHITE_SPACE ","))) {
		size_t length = strcspn(text, WHITE_SPACE ",");
		char word[16];
		int error;

		if (length >= sizeof word)
			return -EINVAL;
		memcpy(word, text, length);
		word[length] = '\0';
		error = add_cpu_range(word, set);
		if (error < 0)
			return error;
		text += length;
	}
	return 0;
}

int value_parse_cpus(const char *text, char cpus[static VALUE_CPUS_BYTES])
{
	unsigned char set[VALUE_CPUS_MAX / 8] = {0};
	char out[VALUE_CPUS_BYTES] = "";
	size_t used = 0;
	int error = add_cpus(cpus, set);

	if (error == 0)
		error = add_cpus(text, set);
	if (error < 0)
		return error;
	for (unsigned cpu = 0; cpu < VALUE_CPUS_MAX; cpu++) {
		unsigned first = cpu;

		if (!(set[cpu / 8] & 1 << cpu % 8))
			continue;
		while (cpu + 1 < VALUE_CPUS_MAX && set[(cpu + 1) / 8] & 1 << (cpu + 1) % 8)
			cpu++;
		if (used + 16 > sizeof out)
			return -ERANGE;
		used += (size_t)snprintf(out + used, sizeof out - used, "%s%u", used ? "," : "", first);
		if (cpu > first)
			used += (size_t)snprintf(out + used, sizeof out - used, "-%u", cpu);
	}
	if (used == 0)
		return -EINVAL;
	memcpy(cpus, out, sizeof out);
	return 0;
}

bool value_valid_user(const char *text)
{
	uint64_t number;
	size_t length = strlen(text);

	if (*text && text[strspn(text, DIGITS)] == '\0')
		return str_to_u64(text, &number) == 0 && number < UINT32_MAX;
	if (length == 0 || length > 255 || strchr("-.", text[0]))
		return false;
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c <= ' ' || c >= 0x7f || strchr("/:,\"'\\%", c) || (c == '$' && i + 1 < length))
			return false;
	}
	return true;
}

bool value_valid_network(const char *text)
{
	size_t length = strlen(text);

	return length > 0 && length <= 128 && !strchr("_.-", *text) &&
	       strspn(text, DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.-") == length;
}

int value_normalize_path(char *path)
{
	char *out = path;

	if (path[0] != '/')
		return -EINVAL;
	if (strlen(path) >= PATH_MAX)
		return -ERANGE;
	for (const char *at = path; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			return -EINVAL;
	for (const char *at = path; *at;) {
		size_t length;

		at += strspn(at, "/");
		length = strcspn(at, "/");
		if (length == 2 && at[0] == '.' && at[1] == '.')
			return -EINVAL;
		if (length > 0 && !(length == 1 && at[0] == '.')) {
			*out++ = '/';
			memmove(out, at, length);
			out += length;
		}
		at += length;
	}
	if (out == path)
		*out++ = '/';
	*out = '\0';
	return 0;
}

const char *value_format_span(uint64_t us, char buf[static VALUE_SPAN_BYTES])
{
	static const struct {
		const char *name;
		uint64_t us;
	} units[] = {{"d", 86400000000}, {"h", 3600000000}, {"min", 60000000},
		     {"s", 1000000},     {"ms", 1000},      {"us", 1}};
	size_t used = 0;

	if (us == SPEC_INFINITY)
		return strcpy(buf, "infinity");
	if (us == 0)
		return strcpy(buf, "0");
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (us >= units[i].us)
			used += (size_t)snprintf(buf + used, VALUE_SPAN_BYTES - used, "%s%llu%s",
						 used ? " " : "", (unsigned long long)(us / units[i].us),
						 units[i].name);
		us %= units[i].us;
	}
	return buf;
}

const char *value_format_size(uint64_t bytes, char buf[static VALUE_SPAN_BYTES])
{
	static const char suffixes[] = "KMGTPE";
	size_t suffix = 0;

	if (bytes == SPEC_INFINITY)
		return strcpy(buf, "infinity");
	while (bytes > 0 && bytes % 1024 == 0 && suffix < sizeof suffixes - 1) {
		bytes /= 1024;
		suffix++;
	}
	snprintf(buf, VALUE_SPAN_BYTES, "%llu%.*s", (unsigned long long)bytes, suffix > 0,
		 suffix > 0 ? suffixes + suffix - 1 : "");
	return buf;
}

const char *value_format_percent(uint64_t hundredths, char buf[static VALUE_SPAN_BYTES])
{
	unsigned part = (unsigned)(hundredths % 100);
	unsigned long long whole = hundredths / 100;

	if (part == 0)
		snprintf(buf, VALUE_SPAN_BYTES, "%llu%%", whole);
	else
		snprintf(buf, VALUE_SPAN_BYTES, "%llu.%0*u%%", whole, part % 10 ? 2 : 1,
			 part % 10 ? part : part / 10);
	return buf;
}

const char *value_format_signal(int signal, char buf[static VALUE_SIGNAL_BYTES])
{
	const char *name = sigabbrev_np(signal);

	if (name)
		snprintf(buf, VALUE_SIGNAL_BYTES, "SIG%s", name);
	else if (signal >= SIGRTMIN && signal <= SIGRTMAX)
		snprintf(buf, VALUE_SIGNAL_BYTES, "SIGRTMIN+%d", signal - SIGRTMIN);
	else
		snprintf(buf, VALUE_SIGNAL_BYTES, "%d", signal);
	return buf;
}
