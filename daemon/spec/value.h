/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VALUE_SIGNAL_BYTES 16   /* "SIGRTMIN+30" */
#define VALUE_SPAN_BYTES   64   /* "213503982d 8h 1min 49s 551ms 615us" */
#define VALUE_CPUS_MAX     8192 /* CPU numbers are below this */
#define VALUE_CPUS_BYTES   4096 /* the longest list of CPUs that is kept */

/* Readers of single values in systemd's syntax. All return 0, or -EINVAL for what is not such a value and
 * -ERANGE for one that is out of range; *ret is untouched then. */

/* "1", "yes", "y", "true", "t", "on" and their contraries, in any case. */
int value_parse_bool(const char *text, bool *ret);

/* A decimal number with an optional sign, from min to max. */
int value_parse_integer(const char *text, int64_t min, int64_t max, int64_t *ret);

/* systemd.time(7): "5min 20s", "1.5h", "20" (of unit_us: 1000000 for seconds); "infinity" is SPEC_INFINITY. */
int value_parse_span(const char *text, uint64_t unit_us, uint64_t *ret_us);

/* Bytes with K, M, G, T, P or E to the base 1024, also "1.5G"; "infinity" is SPEC_INFINITY. */
int value_parse_size(const char *text, uint64_t *ret_bytes);

/* The same with suffixes to another base: 1000 for what is counted a second. */
int value_parse_scaled(const char *text, unsigned base, uint64_t *ret);

/* "80%", "12.5%", "0.25%", in hundredths of a percent. */
int value_parse_percent(const char *text, uint64_t *ret_hundredths);

/* An octal mode of at most max. */
int value_parse_mode(const char *text, mode_t max, mode_t *ret);

/* "SIGTERM", "TERM", "15", "RTMIN+1", "SIGRTMAX-2". */
int value_parse_signal(const char *text, int *ret);

/* "EPERM", or a number from 0 to 4095, the most that a system call can return. */
int value_parse_errno(const char *text, int *ret);

/* Numbers and ranges separated by commas or white space, "0-3 8", added to those in *cpus: a list in the
 * kernel's form, "0-3,8". -ERANGE for CPUs from VALUE_CPUS_MAX on. */
int value_parse_cpus(const char *text, char cpus[static VALUE_CPUS_BYTES]);

/* A user's or group's name in systemd's relaxed sense, or a number from 0 to 4294967294. */
bool value_valid_user(const char *text);

/* A network's name as CNI has it: at most 128 letters, digits and "_.-", not beginning with one of the latter.
 */
bool value_valid_network(const char *text);

/* Makes path normal where it stands: absolute, no "//", no "." parts, no '/' at its end. -EINVAL for relative
 * paths, ".." parts and control bytes; -ERANGE for more than 4095 bytes. */
int value_normalize_path(char *path);

/* What the reader of the same name reads to the same value. */
const char *value_format_span(uint64_t us, char buf[static VALUE_SPAN_BYTES]);
const char *value_format_size(uint64_t bytes, char buf[static VALUE_SPAN_BYTES]);
const char *value_format_percent(uint64_t hundredths, char buf[static VALUE_SPAN_BYTES]);
const char *value_format_signal(int signal, char buf[static VALUE_SIGNAL_BYTES]);
