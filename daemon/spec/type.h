/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

#include "key.h"

/* The types of keys: numbers in type.c and type-resource.c, text in type-text.c. Fields: */
extern const struct type type_bool;            /* bool */
extern const struct type type_mode;            /* mode_t, at most key->max */
extern const struct type type_unsigned;        /* unsigned, min to max */
extern const struct type type_int;             /* int, min to max */
extern const struct type type_span;            /* uint64_t, microseconds, min to max (0: any) */
extern const struct type type_timeout;         /* the same; 0 is read as infinity */
extern const struct type type_size;            /* uint64_t, bytes from min, infinity, a share, or SPEC_UNSET */
extern const struct type type_weight;          /* uint64_t, min to max, or SPEC_UNSET */
extern const struct type type_cpu_weight;      /* the same, or idle, which is 0 */
extern const struct type type_count;           /* uint64_t, min to max, infinity, a share, or SPEC_UNSET */
extern const struct type type_quota;           /* uint64_t, microseconds a second, or SPEC_UNSET */
extern const struct type type_share;           /* double, 1.0 is 100% */
extern const struct type type_signal;          /* int */
extern const struct type type_choice;          /* an enum, one of key->choices */
extern const struct type type_choice_small;    /* int8_t, the same */
extern const struct type type_string;          /* const char *, specifiers expanded */
extern const struct type type_slice;           /* const char *, as slice_valid_name() */
extern const struct type type_template;        /* not kept: spec_load() follows it */
extern const struct type type_user;            /* const char *, a name or number */
extern const struct type type_cpus;            /* const char *, a list in the kernel's form */
extern const struct type type_path;            /* const char *, absolute and normal */
extern const struct type type_oci;             /* const char *, "FOLDER" or "FOLDER:NAME" */
extern const struct type type_overlay;         /* const char *, the same, or "tmpfs"; NULL is "none" */
extern const struct type type_directory;       /* const char *, with its bool "optional" second */
extern const struct type type_output;          /* struct output_spec */
extern const struct type type_network;         /* const char *, NULL: none */
extern const struct type type_private_network; /* the same field, by a boolean */
extern const struct type type_search_path;     /* const char *, absolute paths with ':' between them */
extern const struct type type_capabilities;    /* uint64_t */

/* What a site is, in type-identity.c. */
extern const struct type type_private_users; /* int8_t, enum private_users */
extern const struct type type_label;         /* const struct label_spec *, NULL: none */
extern const struct type type_ids;           /* struct id_span, of a configuration */

/* What a site's processes may ask of the kernel, in type-restrict.c. */
extern const struct type type_syscalls;      /* const char *, as syscall-filter.h describes it */
extern const struct type type_syscall_error; /* int16_t, an errno or SYSCALL_KILL */
extern const struct type type_architectures; /* not kept: there is one */
extern const struct type type_families;      /* families and families_mode */
extern const struct type type_namespaces;    /* namespaces and namespaces_set */

#define SPEC_TIMEOUT_START_US 90000000 /* the defaults in the table, for TimeoutSec= */
#define SPEC_TIMEOUT_STOP_US  30000000

/* Lists whose length is in the field key->second, in type-resource.c. */
extern const struct type type_io_limit; /* struct io_limit_spec; key->parameter is the kind */
extern const struct type type_device;   /* struct device_spec */

/* Lists and values of several fields of struct site_spec, in type-list.c and type-command.c. */
extern const struct type type_listener;    /* key->parameter is the socket type */
extern const struct type type_fd_name;     /* into every listener */
extern const struct type type_sources;     /* key->parameter is whether they deny; in type-source.c */
extern const struct type type_bind;        /* into one; key->parameter is AF_UNSPEC where a port is all */
extern const struct type type_mount;       /* key->parameter is the enum mount_kind */
extern const struct type type_paths;       /* key->parameter is the enum path_kind; in type-path.c */
extern const struct type type_command;     /* exec_start and exec_origin */
extern const struct type type_environment; /* NULL-terminated strings "NAME=value" */
extern const struct type type_words;       /* NULL-terminated strings; assignments add up */
extern const struct type type_files;       /* NULL-terminated paths, with a "-" where optional */
extern const struct type type_calendars;   /* NULL-terminated texts of calendars, as they were written */
extern const struct type type_limit;       /* key->parameter is RLIMIT_* */
extern const struct type type_timeouts;    /* timeout_start_us and timeout_stop_us */

static inline void *field_of(const struct setting *setting)
{
	return key_field(setting->key, setting->target);
}

/* Sets the message and returns -EINVAL. */
int setting_refuse(struct setting *setting, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reads a number from key->min to key->max. -EINVAL with the message set. */
int setting_number(struct setting *setting, const char *text, int64_t *ret);

/* Expands specifiers. 0, -EINVAL with the message set, or -ENOMEM. */
int setting_expand(struct setting *setting, const char *text, const char **ret);

/* Expands and normalises an absolute path. The same. */
int setting_path(struct setting *setting, const char *text, const char **ret);

/* Makes room for one more item in a list of the arena that holds n: rooms are powers of two, so that nothing
 * but n has to be remembered (a list that was cut has more room than that). *items is replaced; returns the new
 * item, zeroed, or NULL with *error set. */
void *setting_grow(struct setting *setting, void **items, size_t n, size_t max, size_t size, int *error);

/* Writes text with '%' doubled, as a plain value. */
void type_write_plain(const char *text, FILE *out);

/* The copy of types whose field is one string. */
void type_copy_string(const struct key *key, void *target, struct pack *pack);
