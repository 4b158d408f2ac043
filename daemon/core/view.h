/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "reaper.h"
#include "spec.h"

struct looker_answer;
struct site;

#define VIEW_TEXT_BYTES 1024

/* What is known of a site while it is being explained. */
struct view {
	const struct site *site;
	const struct site_spec *spec;       /* in force */
	const struct looker_answer *answer; /* NULL: its connections are not known */
	struct reaper_activity activity;
	enum keep keep; /* at this hour */
	bool watched;   /* the reaper has looked at it, so that activity holds */
	uint64_t now_ns;
	char text[VIEW_TEXT_BYTES]; /* what a row of a table says */
};

void view_init(struct view *view, const struct site *site, const struct looker_answer *answer);

/* For how long it has been idle, where it is watched. */
uint64_t view_idle_us(const struct view *view);

/* [Hold]: what holds the site in its state; [Next]: what comes next. Tables of rows, so that whatever can hold
 * or move a site has one place to say so. New references; NULL when out of memory. */
json_t *view_holds(struct view *view);
json_t *view_nexts(struct view *view);
