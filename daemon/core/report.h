/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

struct daemon;
struct diag;
struct site;
struct refused;

/* Strings of files and tenants may hold bytes that are no UTF-8, which JSON cannot carry: escaped where they
 * do. */
json_t *report_string(const char *text);

/* What is known of sites and of the daemon, as the types of io.torpor.varlink. A new reference; NULL when out
 * of memory. */
json_t *report_summary(const struct site *site);
json_t *report_status(const struct site *site);
json_t *report_host(struct daemon *daemon);

/* One FileError. */
json_t *report_file_error(const struct diag *diag);

/* The limits of a site or a slice that are not in force on this host, or in the container it has: texts. */
json_t *report_missing(const struct site *site);
json_t *report_slice_missing(const struct daemon *daemon, const char *name);

/* [FileError] of one refused unit, or of all of them. */
json_t *report_file_errors(const struct refused *refused);
json_t *report_all_file_errors(struct daemon *daemon);

/* The failure's step, errno and message, for the error StartFailed. */
json_t *report_start_failed(const struct site *site);

/* A site whose every unit was refused, so that there is nothing but its error to show. */
json_t *report_refused_status(const struct refused *refused);
