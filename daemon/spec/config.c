/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "arena.h"
#include "cleanup.h"
#include "key.h"
#include "type.h"
#include "unit.h"

#define FIELD(member) offsetof(struct config, member)

static const struct choice level_choices[] = {
	{"error", LOG_ERR}, {"warning", LOG_WARNING}, {"notice", LOG_NOTICE},
	{"info", LOG_INFO}, {"debug", LOG_DEBUG},     {0},
};

static const struct key keys[] = {
	{"Daemon", "ControlGroup", &type_user, FIELD(control_group), .argument = "GROUP",
	 .unset_means = "root alone",
	 .help = "The group, by name or number, whose members may look at sites with torporctl(1). "
		 "Changing anything takes root."},
	{"Daemon", "MaxStarting", &type_unsigned, FIELD(max_starting), .min = 0, .max = 65536,
	 .argument = "NUMBER", .fallback = "0",
	 .help = "How many containers are started at a time; connections to others wait in their "
		 "listeners. As many programs may be at it to open, which run, but have let nobody in yet: not "
		 "those that sleep, and none for longer than a second. One of Type=notify counts as being "
		 "started until it is ready, but no longer than 10 seconds. 0 is two for each CPU."},
	{"Daemon", "MaxAwake", &type_unsigned, FIELD(max_awake), .min = 0, .max = INT32_MAX,
	 .argument = "NUMBER", .fallback = "0",
	 .help = "With more sites awake than this, those that are idle are frozen before their time, the "
		 "ones with the lowest Priority= and the longest unused first. A site that is in use is never "
		 "frozen, and none has to wait for another. 0 is no limit."},
	{"Daemon", "MemoryKeepFree", &type_size, FIELD(memory_keep_free), .argument = "BYTES|PERCENT",
	 .fallback = "5%",
	 .help = "With less memory available than this (MemAvailable of /proc/meminfo), sites go down a rung "
		 "one after another until there is enough: those that sleep first, then awake ones that have "
		 "been idle for 5s, the lowest Priority= and the longest unused first. What is frozen is paged "
		 "out; where the swap is full, it is stopped (SwapFullAction= of torpor.site(5)). Sites with "
		 "Keep= are spared. Containers are started one at a time meanwhile. 0 is never."},
	{"Daemon", "MemoryPressureWatch", &type_bool, FIELD(memory_pressure_watch), .argument = "BOOLEAN",
	 .fallback = "yes",
	 .help = "Do the same while the kernel says that tasks stall for want of memory (pressure stall "
		 "information): those of the whole host, where less than a quarter of its memory is available, "
		 "or those in torpor's own control group."},
	{"Daemon", "MemoryPressureThresholdSec", &type_span, FIELD(memory_pressure_us), .min = 2000,
	 .max = 2000000, .argument = "SECONDS", .fallback = "200ms",
	 .help = "How long tasks must have stalled within 2s for that, from 2ms to 2s."},
	{"Daemon", "ScanIntervalSec", &type_span, FIELD(scan_interval_us), .min = 50000, .max = 3600000000,
	 .argument = "SECONDS", .fallback = "1s",
	 .help = "How often awake sites are looked at to find the idle ones, from 50ms to an hour."},
	{"Daemon", "NetworkConfigPath", &type_path, FIELD(network_config_path), .argument = "PATH",
	 .fallback = "/etc/cni/net.d",
	 .help = "The folder with the CNI networks that Network= of a site can name: files *.conflist, *.conf "
		 "and *.json. They are read at each start of such a site."},
	{"Daemon", "NetworkPluginPath", &type_search_path, FIELD(network_plugin_path),
	 .argument = "PATH[:PATH]...", .fallback = "/usr/lib/cni:/opt/cni/bin",
	 .help = "The folders in which the plugins of CNI networks are."},
	{"Daemon", "UserIds", &type_ids, FIELD(user_ids), .argument = "FIRST-LAST",
	 .fallback = "1073741824-2147352575",
	 .help = "The ids of users and groups that sites get on the host: a range of 65536 for each that has "
		 "PrivateUsers=, and one from the first 65536 for each that has DynamicUser= without. Nobody "
		 "else may use them, as users of the host, in /etc/subuid or for other containers. Read when "
		 "torpord starts; sites keep what they have been given."},
	{"Daemon", "LogLevel", &type_choice, FIELD(log_level), .choices = level_choices,
	 .argument = "error|warning|notice|info|debug", .fallback = "info",
	 .help = "Messages less important than this are dropped."},
};

const struct key_table config_keys = {keys, sizeof keys / sizeof *keys, "torpor.conf(5)"};

/* The strings of a configuration. */
static const size_t strings[] = {FIELD(control_group), FIELD(network_config_path), FIELD(network_plugin_path)};

#define N_STRINGS (sizeof strings / sizeof *strings)

static char **string_of(struct config *config, size_t i)
{
	return (char **)(void *)((char *)config + strings[i]);
}

static int apply_file(struct config *config, struct arena *arena, const char *path, struct diag *diag)
{
	struct setting setting = {.target = config, .arena = arena};
	struct unit *unit;
	int error = unit_read(path, &unit, diag);

	if (error < 0)
		return error;
	error = key_resolve(&config_keys, unit, diag);
	for (size_t i = 0; error == 0 && i < unit->n_assignments; i++)
		if (unit->assignments[i].known)
			error = key_apply(&setting, unit, &unit->assignments[i], diag);
	/* Strings may point into the unit, which ends here. */
	for (size_t i = 0; error == 0 && i < N_STRINGS; i++) {
		char **string = string_of(config, i);

		if (*string && !(*string = arena_strdup(arena, *string)))
			error = diag_set(diag, -ENOMEM, path, 0, "out of memory");
	}
	unit_unref(unit);
	return error;
}

static int apply_files(struct config *config, struct arena *arena, const struct lookup *lookup,
		       struct diag *diag)
{
	autofree char *path = NULL;
	char **drop_ins;
	int error = lookup_find_file(lookup, "torpor.conf", &path);

	if (error == 0)
		error = apply_file(config, arena, path, diag);
	else if (error == -ENOENT)
		error = 0;
	else
		diag_set(diag, error, "torpor.conf", 0, "%s", strerror(-error));
	if (error < 0)
		return error;
	error = lookup_find_drop_ins(lookup, "torpor.conf.d", &drop_ins);
	if (error < 0)
		return diag_set(diag, error, "torpor.conf.d", 0, "%s", strerror(-error));
	for (char **at = drop_ins; *at && error == 0; at++)
		error = apply_file(config, arena, *at, diag);
	lookup_free_list(drop_ins);
	return error;
}

/* Moves the strings out of the arena; all or none. */
static int own_strings(struct config *config)
{
	struct config own = *config;
	bool complete = true;

	for (size_t i = 0; i < N_STRINGS; i++) {
		char *from = *string_of(config, i), **to = string_of(&own, i);

		*to = from ? strdup(from) : NULL;
		complete &= !from || *to;
	}
	if (!complete) {
		config_finish(&own);
		return -ENOMEM;
	}
	*config = own;
	return 0;
}

int config_load(const struct lookup *lookup, struct config *ret, struct diag *diag)
{
	struct config config = {0};
	struct arena arena;
	int error;

	arena_init(&arena);
	error = key_set_defaults(&config_keys, &config, &arena);
	if (error < 0)
		diag_set(diag, error, NULL, 0, "out of memory");
	else
		error = apply_files(&config, &arena, lookup, diag);
	if (error == 0 && own_strings(&config) < 0)
		error = diag_set(diag, -ENOMEM, "torpor.conf", 0, "out of memory");
	arena_finish(&arena);
	if (error == 0)
		*ret = config;
	return error;
}

int config_check_file(const char *path, struct diag *diag)
{
	struct config config = {0};
	struct arena arena;
	int error;

	arena_init(&arena);
	error = apply_file(&config, &arena, path, diag);
	arena_finish(&arena);
	return error;
}

void config_finish(struct config *config)
{
	for (size_t i = 0; i < N_STRINGS; i++) {
		free(*string_of(config, i));
		*string_of(config, i) = NULL;
	}
}
