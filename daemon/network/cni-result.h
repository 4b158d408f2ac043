/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stddef.h>

/* What plugins answer (the CNI specification 1.0.0, section 5). They are the administrator's programs, but what
 * they say may come from anywhere (a DHCP server): it is looked at before it reaches a file or a terminal. */

/* Whether an answer to ADD is one: every field of a known name has the form that the specification gives it.
 * -EBADMSG with what is wrong in message. */
int cni_result_check(const json_t *result, char *message, size_t size);

/* The text of /etc/resolv.conf where a checked result has name servers: the caller's; NULL: it has none, or out
 * of memory (errno is ENOMEM then, 0 otherwise). */
char *cni_result_resolv_conf(const json_t *result);

/* The parts of a checked result that people ask for: {"interfaces": [{"name", "mac"}], "addresses":
 * [{"address", "gateway", "interface"}], "routes": [{"to", "via"}], "nameservers": [], "search": []};
 * interfaces are those in the container. A new reference, or NULL when out of memory. */
json_t *cni_result_report(const json_t *result);

/* The message of an answer that is an error ("msg: details"), or NULL where it has none. */
const char *cni_error_message(const json_t *answer, char *buf, size_t size);
