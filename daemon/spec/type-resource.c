/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Types of what a site may use: weights, sizes, shares, and lists of devices. */

#include "type.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "pack.h"
#include "str.h"
#include "value.h"
#include "words.h"

/* "50%": 1 where it is one, 0 where it is not. */
static int parse_share_of_host(struct setting *setting, const char *text)
{
	uint64_t hundredths;

	if (!strchr(text, '%'))
		return 0;
	if (value_parse_percent(text, &hundredths) < 0 || hundredths > 10000 ||
	    hundredths < (uint64_t)setting->key->min)
		return setting_refuse(setting, "expected a share of what the host has like 50%% or 12.5%%");
	*(uint64_t *)field_of(setting) = SPEC_SHARE | hundredths;
	return 1;
}

static bool is_share(uint64_t value)
{
	return value & SPEC_SHARE && value < SPEC_UNSET;
}

static int parse_size(struct setting *setting, const char *text)
{
	uint64_t bytes;
	int r = parse_share_of_host(setting, text);

	if (r != 0)
		return r < 0 ? r : 0;
	if (value_parse_size(text, &bytes) < 0 || (bytes >= SPEC_SHARE && bytes != SPEC_INFINITY))
		return setting_refuse(setting, "expected a size like 4096, 64M, 1.5G, 50%%, or infinity");
	if (bytes < (uint64_t)setting->key->min)
		return setting_refuse(setting, "nothing can run in that; expected more");
	*(uint64_t *)field_of(setting) = bytes;
	return 0;
}

static void format_size(const struct key *key, const void *field, FILE *out)
{
	uint64_t value = *(const uint64_t *)field;
	char buf[VALUE_SPAN_BYTES];

	(void)key;
	fputs(is_share(value) ? value_format_percent(value & ~SPEC_SHARE, buf) : value_format_size(value, buf),
	      out);
}

static int parse_weight(struct setting *setting, const char *text)
{
	int64_t value;
	int error = setting_number(setting, text, &value);

	if (error == 0)
		*(uint64_t *)field_of(setting) = (uint64_t)value;
	return error;
}

static int parse_cpu_weight(struct setting *setting, const char *text)
{
	if (!str_equal(text, "idle"))
		return parse_weight(setting, text);
	*(uint64_t *)field_of(setting) = 0;
	return 0;
}

static void format_cpu_weight(const struct key *key, const void *field, FILE *out)
{
	uint64_t value = *(const uint64_t *)field;

	(void)key;
	if (value == 0)
		fputs("idle", out);
	else
		fprintf(out, "%" PRIu64, value);
}

static int parse_count(struct setting *setting, const char *text)
{
	int r = parse_share_of_host(setting, text);

	if (r != 0)
		return r < 0 ? r : 0;
	if (!str_equal(text, "infinity"))
		return parse_weight(setting, text);
	*(uint64_t *)field_of(setting) = SPEC_INFINITY;
	return 0;
}

static void format_count(const struct key *key, const void *field, FILE *out)
{
	uint64_t value = *(const uint64_t *)field;

	if (value == SPEC_INFINITY || is_share(value))
		format_size(key, field, out);
	else
		fprintf(out, "%" PRIu64, value);
}

static int parse_percent(struct setting *setting, const char *text, uint64_t *ret)
{
	const struct key *key = setting->key;

	if (value_parse_percent(text, ret) < 0 || *ret < (uint64_t)key->min || *ret > (uint64_t)key->max)
		return setting_refuse(setting, "expected a share of one CPU like 80%% or 12.5%%");
	return 0;
}

static int parse_quota(struct setting *setting, const char *text)
{
	uint64_t hundredths;
	int error = parse_percent(setting, text, &hundredths);

	if (error == 0)
		*(uint64_t *)field_of(setting) = hundredths * 100;
	return error;
}

static void format_quota(const struct key *key, const void *field, FILE *out)
{
	char buf[VALUE_SPAN_BYTES];

	(void)key;
	fputs(value_format_percent(*(const uint64_t *)field / 100, buf), out);
}

static int parse_share(struct setting *setting, const char *text)
{
	uint64_t hundredths;
	int error = parse_percent(setting, text, &hundredths);

	if (error == 0)
		*(double *)field_of(setting) = (double)hundredths / 10000;
	return error;
}

static void format_share(const struct key *key, const void *field, FILE *out)
{
	char buf[VALUE_SPAN_BYTES];

	(void)key;
	fputs(value_format_percent((uint64_t)(*(const double *)field * 10000 + 0.5), buf), out);
}

/* A list of the target: its items, and its length in key->second. */
static unsigned *length_of(const struct setting *setting)
{
	return (unsigned *)((char *)key_part(setting->key, setting->target) + setting->key->second);
}

static unsigned length_in(const struct key *key, const void *target)
{
	return *(const unsigned *)((const char *)key_part_const(key, target) + key->second);
}

/* Makes room for one more item at the end of the list. */
static void *list_add(struct setting *setting, size_t size, int *error)
{
	void **items = field_of(setting), *item;
	unsigned *n = length_of(setting);

	item = setting_grow(setting, items, *n, SPEC_LIST_MAX, size, error);
	if (item)
		(*n)++;
	return item;
}

/* The two words of a value, the second of which may be missing: NULL. */
static int split(struct setting *setting, const char *text, const char **ret_first, const char **ret_second)
{
	const char *message = NULL;
	char *words[3] = {0};

	for (int i = 0; i < 3; i++) {
		int r = words_next(&text, 0, setting->arena, &words[i], &message);

		if (r == -EINVAL)
			return setting_refuse(setting, "%s", message);
		if (r < 0)
			return r;
		if (r == 0)
			break;
	}
	if (!words[0] || words[2])
		return setting_refuse(setting, "expected %s", setting->key->argument);
	*ret_first = words[0];
	*ret_second = words[1];
	return 0;
}

/* Bytes and operations a second have suffixes to the base 1000, as systemd's. */
static int parse_io_value(struct setting *setting, const char *text, uint64_t *ret)
{
	int64_t weight;
	int error;

	if (setting->key->parameter == IO_DEVICE_WEIGHT) {
		error = setting_number(setting, text, &weight);
		if (error == 0)
			*ret = (uint64_t)weight;
		return error;
	}
	if (value_parse_scaled(text, 1000, ret) < 0 || *ret < 1)
		return setting_refuse(setting, "'%.32s': expected a number a second like 500, 10M, or infinity",
				      text);
	return 0;
}

static int parse_io_limit(struct setting *setting, const char *text)
{
	struct io_limit_spec *items, *item = NULL;
	const char *path, *amount;
	uint64_t value;
	int error = split(setting, text, &path, &amount);

	if (error == 0 && !amount)
		error = setting_refuse(setting, "expected %s", setting->key->argument);
	if (error == 0)
		error = setting_path(setting, path, &path);
	if (error == 0)
		error = parse_io_value(setting, amount, &value);
	if (error < 0)
		return error;
	items = *(struct io_limit_spec **)field_of(setting);
	for (unsigned i = 0; !item && i < *length_of(setting); i++)
		if ((int)items[i].kind == setting->key->parameter && str_equal(items[i].path, path))
			item = &items[i];
	if (!item)
		item = list_add(setting, sizeof *item, &error);
	if (!item)
		return error;
	*item = (struct io_limit_spec){
		.kind = (enum io_limit_kind)setting->key->parameter, .path = path, .value = value};
	return 0;
}

/* Each of the keys forgets its own alone. */
static void reset_io_limits(struct setting *setting)
{
	struct io_limit_spec **items = field_of(setting);
	unsigned *n = length_of(setting), kept = 0;

	for (unsigned i = 0; i < *n; i++)
		if ((int)(*items)[i].kind != setting->key->parameter)
			(*items)[kept++] = (*items)[i];
	if (kept == 0)
		*items = NULL;
	*n = kept;
}

static void print_io_limits(const struct key *key, const void *target, bool all, FILE *out)
{
	const struct io_limit_spec *items = *(struct io_limit_spec *const *)key_field_const(key, target);
	bool any = false;

	for (unsigned i = 0; i < length_in(key, target); i++) {
		if ((int)items[i].kind != key->parameter)
			continue;
		any = true;
		fprintf(out, "%s=", key->name);
		words_quote(items[i].path, WORDS_SPECIFIER, out);
		if (items[i].value == SPEC_INFINITY)
			fputs(" infinity\n", out);
		else
			fprintf(out, " %" PRIu64 "\n", items[i].value);
	}
	if (!any && all)
		fprintf(out, "%s=\n", key->name);
}

static void copy_io_limits(const struct key *key, void *target, struct pack *pack)
{
	const struct io_limit_spec **field = key_field(key, target), *items = *field;
	struct io_limit_spec *copy;

	if (key->parameter != IO_DEVICE_WEIGHT || !items)
		return;
	copy = pack_array(pack, items, length_in(key, target) * sizeof *items);
	for (unsigned i = 0; i < length_in(key, target); i++) {
		const char *path = pack_string(pack, items[i].path);

		if (copy)
			copy[i].path = path;
	}
	*field = copy;
}

static const struct {
	char letter;
	enum device_access access;
} accesses[] = {{'r', DEVICE_READ}, {'w', DEVICE_WRITE}, {'m', DEVICE_MAKE}};

#define N_ACCESSES (sizeof accesses / sizeof *accesses)

static int parse_access(struct setting *setting, const char *text, unsigned *ret)
{
	*ret = 0;
	for (; *text; text++) {
		unsigned access = 0;

		for (size_t i = 0; i < N_ACCESSES; i++)
			if (accesses[i].letter == *text)
				access = accesses[i].access;
		if (!access)
			return setting_refuse(setting, "expected letters of \"rwm\" behind the device");
		*ret |= access;
	}
	return 0;
}

static int parse_device_name(struct setting *setting, const char *text, const char **ret)
{
	size_t prefix = strncmp(text, "char-", 5) == 0 ? 5 : strncmp(text, "block-", 6) == 0 ? 6 : 0;
	int error = 0;

	if (prefix > 0 && text[prefix])
		return setting_expand(setting, text, ret);
	if (text[0] == '/')
		error = setting_path(setting, text, ret);
	if (error < 0 || (text[0] == '/' && strncmp(*ret, "/dev/", 5) == 0))
		return error;
	return setting_refuse(setting, "expected a path below /dev, or char-NAME or block-NAME with a name of "
				       "/proc/devices");
}

static int parse_device(struct setting *setting, const char *text)
{
	struct device_spec *items, *item = NULL;
	unsigned access = DEVICE_READ | DEVICE_WRITE | DEVICE_MAKE;
	const char *name, *letters;
	int error = split(setting, text, &name, &letters);

	if (error == 0)
		error = parse_device_name(setting, name, &name);
	if (error == 0 && letters)
		error = parse_access(setting, letters, &access);
	if (error < 0)
		return error;
	items = *(struct device_spec **)field_of(setting);
	for (unsigned i = 0; !item && i < *length_of(setting); i++)
		if (str_equal(items[i].name, name))
			item = &items[i];
	if (!item)
		item = list_add(setting, sizeof *item, &error);
	if (!item)
		return error;
	*item = (struct device_spec){.name = name, .access = access};
	return 0;
}

static void reset_devices(struct setting *setting)
{
	*(void **)field_of(setting) = NULL;
	*length_of(setting) = 0;
}

static void print_devices(const struct key *key, const void *target, bool all, FILE *out)
{
	const struct device_spec *items = *(struct device_spec *const *)key_field_const(key, target);

	for (unsigned i = 0; i < length_in(key, target); i++) {
		fprintf(out, "%s=", key->name);
		words_quote(items[i].name, WORDS_SPECIFIER, out);
		putc(' ', out);
		for (size_t letter = 0; letter < N_ACCESSES; letter++)
			if (items[i].access & accesses[letter].access)
				putc(accesses[letter].letter, out);
		putc('\n', out);
	}
	if (length_in(key, target) == 0 && all)
		fprintf(out, "%s=\n", key->name);
}

static void copy_devices(const struct key *key, void *target, struct pack *pack)
{
	const struct device_spec **field = key_field(key, target), *items = *field;
	struct device_spec *copy = pack_array(pack, items, length_in(key, target) * sizeof *items);

	for (unsigned i = 0; i < length_in(key, target); i++) {
		const char *name = pack_string(pack, items[i].name);

		if (copy)
			copy[i].name = name;
	}
	*field = copy;
}

const struct type type_size = {sizeof(uint64_t), .unset = true, .parse = parse_size, .format = format_size};
const struct type type_weight = {sizeof(uint64_t), .unset = true, .parse = parse_weight,
				 .format = format_count};
const struct type type_cpu_weight = {sizeof(uint64_t), .unset = true, .parse = parse_cpu_weight,
				     .format = format_cpu_weight};
const struct type type_count = {sizeof(uint64_t), .unset = true, .parse = parse_count, .format = format_count};
const struct type type_quota = {sizeof(uint64_t), .unset = true, .parse = parse_quota, .format = format_quota};
const struct type type_share = {sizeof(double), .parse = parse_share, .format = format_share};
const struct type type_io_limit = {
	.adds = true,
	.parse = parse_io_limit,
	.reset = reset_io_limits,
	.print = print_io_limits,
	.copy = copy_io_limits,
};
const struct type type_device = {
	.parse = parse_device,
	.reset = reset_devices,
	.print = print_devices,
	.copy = copy_devices,
};
