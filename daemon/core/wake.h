/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

struct site;

/* The way from cold or frozen to awake. Each step may find that the site has to go on to another state at once;
 * by: see site_dispatch(). */

/* Cold, or failed: makes its run, has it attached to its network, and queues it for its start. */
void wake_begin(struct site *site, const char *by);

/* The attaching of its run to a network is over: see networks_error(). */
void wake_attached(struct site *site);

/* The start that was queued may go ahead: called by admission. */
void wake_launch(struct site *site);

/* A launch job has come back. */
void wake_launched(struct site *site);

/* Its program runs, or what is asleep or on the way there is to go on: thaws it. */
void wake_complete(struct site *site, const char *by);

/* Awake: thaws it, where that has not worked yet, and has it watched for idleness. What fails, as there is no
 * descriptor or no memory for it, makes the run stuck: to be called again. */
void wake_go_on(struct site *site);
