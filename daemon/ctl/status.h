/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

struct ctl;

/* What torporctl status prints about one site, from a Status object. */
void status_print(struct ctl *ctl, const json_t *status);

/* What it prints about the whole box, from a Host object. */
void host_print(struct ctl *ctl, const json_t *host);

/* Parts that status and why have in common; texts in the arena of ctl, NULL where nothing is known. */
const char *status_failure(struct ctl *ctl, const json_t *status);
const char *status_addresses(struct ctl *ctl, const json_t *status);
