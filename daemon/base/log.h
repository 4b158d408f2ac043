/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <syslog.h>

/* The log of a torpor program: one line a message on stderr, to which journald listens. Control bytes are
 * escaped, so nothing that a file or a tenant contains reaches a terminal raw. Safe from any thread. */

/* Messages less important than level (LOG_ERR ... LOG_DEBUG) are dropped. Default LOG_INFO. */
void log_set_level(int level);

/* Puts "<N>" before each line, as sd-daemon(3) reads it. On when stderr is the journal. */
void log_set_prefix(int on);

void log_message(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_message(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_message(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_message(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_message(LOG_DEBUG, __VA_ARGS__)
