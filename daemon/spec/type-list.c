/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Types of listeners, mounts, limits and pairs of times: several fields of struct site_spec. */

#include "type.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "limit.h"
#include "mount.h"
#include "pack.h"
#include "str.h"
#include "words.h"

static const char *const socket_names[] = {
	[SOCK_STREAM] = "ListenStream",
	[SOCK_DGRAM] = "ListenDatagram",
	[SOCK_SEQPACKET] = "ListenSequentialPacket",
};

static int refuse_twice(struct setting *setting, const struct site_spec *spec, const struct address *address)
{
	const char *path = address_path(address);

	for (unsigned i = 0; i < spec->n_listeners; i++) {
		const struct address *other = &spec->listeners[i].address;

		if (address_equal(address, other) ||
		    (path && address_path(other) && str_equal(path, address_path(other))))
			return setting_refuse(setting,
					      "the site listens there already; expected each address once");
	}
	return 0;
}

static int parse_listener(struct setting *setting, const char *text)
{
	struct site_spec *spec = setting->target;
	void *items = (void *)spec->listeners;
	struct address address;
	struct listener_spec *item;
	const char *message;
	int error = setting_expand(setting, text, &text);

	if (error < 0)
		return error;
	if (address_parse(text, setting->key->parameter, &address, &message) < 0)
		return setting_refuse(setting, "%s", message);
	error = refuse_twice(setting, spec, &address);
	if (error < 0)
		return error;
	item = setting_grow(setting, &items, spec->n_listeners, SPEC_LISTENERS_MAX, sizeof *item, &error);
	if (!item)
		return error;
	item->address = address;
	spec->listeners = items;
	spec->n_listeners++;
	return 0;
}

/* As systemd: any of the three keys clears the list of all. */
static void reset_listeners(struct setting *setting)
{
	struct site_spec *spec = setting->target;

	spec->listeners = NULL;
	spec->n_listeners = 0;
}

/* All of them, in their order, by the first of the three keys. */
static void print_listeners(const struct key *key, const void *target, bool all, FILE *out)
{
	const struct site_spec *spec = target;
	char text[ADDRESS_TEXT_BYTES];

	if (key->parameter != SOCK_STREAM)
		return;
	if (spec->n_listeners == 0 && all)
		fprintf(out, "%s=\n", key->name);
	for (unsigned i = 0; i < spec->n_listeners; i++) {
		fprintf(out, "%s=", socket_names[spec->listeners[i].address.type]);
		type_write_plain(address_format(&spec->listeners[i].address, text), out);
		putc('\n', out);
	}
}

static void copy_listeners(const struct key *key, void *target, struct pack *pack)
{
	struct site_spec *spec = target;
	struct listener_spec *copy;
	const char *fd_name = NULL;

	if (key->parameter != SOCK_STREAM || !spec->listeners)
		return;
	copy = pack_array(pack, spec->listeners, spec->n_listeners * sizeof *copy);
	/* One name for all: see parse_fd_name(). */
	fd_name = pack_string(pack, spec->listeners[0].fd_name);
	for (unsigned i = 0; i < spec->n_listeners; i++) {
		const struct address *bind = pack_array(pack, spec->listeners[i].bind, sizeof *bind);

		if (copy) {
			copy[i].fd_name = fd_name;
			copy[i].bind = bind;
		}
	}
	spec->listeners = copy;
}

/* The listeners are complete: they come in an earlier phase. */
static int parse_fd_name(struct setting *setting, const char *text)
{
	struct site_spec *spec = setting->target;
	struct listener_spec *listeners = (void *)spec->listeners;
	int error = setting_expand(setting, text, &text);

	if (error < 0)
		return error;
	if (strlen(text) > 255 || strchr(text, ':'))
		return setting_refuse(setting, "expected at most 255 bytes without ':'");
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
			return setting_refuse(setting, "expected printable ASCII");
	for (unsigned i = 0; i < spec->n_listeners; i++)
		listeners[i].fd_name = text;
	return 0;
}

static void reset_fd_name(struct setting *setting)
{
	struct site_spec *spec = setting->target;
	struct listener_spec *listeners = (void *)spec->listeners;

	for (unsigned i = 0; i < spec->n_listeners; i++)
		listeners[i].fd_name = NULL;
}

static void print_fd_name(const struct key *key, const void *target, bool all, FILE *out)
{
	const struct site_spec *spec = target;

	if (spec->n_listeners == 0 || (!all && str_equal(spec->listeners[0].fd_name, spec->name)))
		return;
	fprintf(out, "%s=", key->name);
	type_write_plain(spec->listeners[0].fd_name, out);
	putc('\n', out);
}

static int parse_mounts(struct setting *setting, const char *text)
{
	struct site_spec *spec = setting->target;

	for (;;) {
		void *items = (void *)spec->mounts;
		const char *message = NULL;
		struct mount_spec mount, *item;
		char *word;
		int error = words_next(&text, WORDS_COLON, setting->arena, &word, &message);

		if (error == -EINVAL)
			return setting_refuse(setting, "%s", message);
		if (error <= 0)
			return error;
		error = mount_parse(setting, (enum mount_kind)setting->key->parameter, word, &mount);
		if (error < 0)
			return error;
		item = setting_grow(setting, &items, spec->n_mounts, SPEC_LIST_MAX, sizeof *item, &error);
		if (!item)
			return error;
		*item = mount;
		spec->mounts = items;
		spec->n_mounts++;
	}
}

/* As systemd: BindPaths= and BindReadOnlyPaths= clear both their lists, TemporaryFileSystem= its own. */
static void reset_mounts(struct setting *setting)
{
	struct site_spec *spec = setting->target;
	struct mount_spec *mounts = (void *)spec->mounts;
	bool tmpfs = setting->key->parameter == MOUNT_TMPFS;
	unsigned kept = 0;

	for (unsigned i = 0; i < spec->n_mounts; i++)
		if ((mounts[i].kind == MOUNT_TMPFS) != tmpfs)
			mounts[kept++] = mounts[i];
	if (kept == 0)
		spec->mounts = NULL;
	spec->n_mounts = kept;
}

static void print_mounts(const struct key *key, const void *target, bool all, FILE *out)
{
	const struct site_spec *spec = target;

	if (key->parameter != MOUNT_BIND)
		return;
	if (spec->n_mounts == 0 && all)
		fprintf(out, "%s=\n", key->name);
	for (unsigned i = 0; i < spec->n_mounts; i++)
		mount_write(&spec->mounts[i], out);
}

static void copy_mounts(const struct key *key, void *target, struct pack *pack)
{
	struct site_spec *spec = target;
	const struct mount_spec *mounts = spec->mounts;
	struct mount_spec *copy;

	if (key->parameter != MOUNT_BIND || !mounts)
		return;
	copy = pack_array(pack, mounts, spec->n_mounts * sizeof *mounts);
	for (unsigned i = 0; i < spec->n_mounts; i++) {
		const char *source = pack_string(pack, mounts[i].source);
		const char *same = mounts[i].target == mounts[i].source ? source : NULL;
		const char *path =
			mounts[i].target == mounts[i].source ? same : pack_string(pack, mounts[i].target);
		const char *options = pack_string(pack, mounts[i].options);

		if (copy) {
			copy[i].source = source;
			copy[i].target = path;
			copy[i].options = options;
		}
	}
	spec->mounts = copy;
}

static struct limit_spec *find_limit(const struct site_spec *spec, int resource)
{
	for (unsigned i = 0; i < spec->n_limits; i++)
		if (spec->limits[i].resource == resource)
			return (struct limit_spec *)&spec->limits[i];
	return NULL;
}

static int parse_limit(struct setting *setting, const char *text)
{
	struct site_spec *spec = setting->target;
	int resource = setting->key->parameter;
	struct limit_spec *limit = find_limit(spec, resource);
	void *items = (void *)spec->limits;
	uint64_t soft, hard;
	int error = limit_parse(resource, text, &soft, &hard);

	if (error < 0)
		return setting_refuse(setting, "expected %s, infinity, or SOFT:HARD with SOFT not above HARD",
				      limit_expected(resource));
	if (!limit) {
		limit = setting_grow(setting, &items, spec->n_limits, SPEC_LIST_MAX, sizeof *limit, &error);
		if (!limit)
			return error;
		spec->limits = items;
		spec->n_limits++;
	}
	limit->resource = resource;
	limit->soft = soft;
	limit->hard = hard;
	return 0;
}

static void reset_limit(struct setting *setting)
{
	struct site_spec *spec = setting->target;
	struct limit_spec *limit = find_limit(spec, setting->key->parameter);

	if (!limit)
		return;
	*limit = spec->limits[--spec->n_limits];
	if (spec->n_limits == 0)
		spec->limits = NULL;
}

static void print_limit(const struct key *key, const void *target, bool all, FILE *out)
{
	const struct limit_spec *limit = find_limit(target, key->parameter);
	const uint64_t values[] = {limit ? limit->soft : 0, limit ? limit->hard : 0};

	if (!limit && !all)
		return;
	fprintf(out, "%s=", key->name);
	for (int i = 0; limit && i < (limit->soft == limit->hard ? 1 : 2); i++) {
		if (i > 0)
			putc(':', out);
		if (values[i] == SPEC_INFINITY)
			fputs("infinity", out);
		else
			fprintf(out, "%" PRIu64, values[i]);
	}
	putc('\n', out);
}

/* Once for all resources, with the first key. */
static void copy_limits(const struct key *key, void *target, struct pack *pack)
{
	struct site_spec *spec = target;

	if (key->parameter == RLIMIT_NOFILE)
		spec->limits = pack_array(pack, spec->limits, spec->n_limits * sizeof *spec->limits);
}

static int parse_timeouts(struct setting *setting, const char *text)
{
	struct site_spec *spec = setting->target;
	int error = type_timeout.parse(setting, text);

	if (error == 0)
		spec->timeout_stop_us = spec->timeout_start_us;
	return error;
}

/* No key that is dumped: it stands for two others, and takes their defaults. */
static void reset_timeouts(struct setting *setting)
{
	struct site_spec *spec = setting->target;

	spec->timeout_start_us = SPEC_TIMEOUT_START_US;
	spec->timeout_stop_us = SPEC_TIMEOUT_STOP_US;
}

const struct type type_listener = {
	.parse = parse_listener,
	.reset = reset_listeners,
	.print = print_listeners,
	.copy = copy_listeners,
};
const struct type type_fd_name = {.parse = parse_fd_name, .reset = reset_fd_name, .print = print_fd_name};
const struct type type_mount = {
	.parse = parse_mounts,
	.reset = reset_mounts,
	.print = print_mounts,
	.copy = copy_mounts,
};
const struct type type_limit = {
	.parse = parse_limit,
	.reset = reset_limit,
	.print = print_limit,
	.copy = copy_limits,
};
const struct type type_timeouts = {.parse = parse_timeouts, .reset = reset_timeouts};
