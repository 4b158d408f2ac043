/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdint.h>

/* One call of a CNI plugin: a program that reads its configuration from stdin and answers on stdout (the CNI
 * specification 1.0.0, section 2). The calling thread waits for it. */
struct plugin_call {
	const char *command;      /* "ADD", "DEL" */
	const char *type;         /* the program's name */
	const char *folders;      /* where plugins are: "/a:/b" */
	const char *container_id; /* of the attachment */
	const char *netns;        /* the path of the namespace; "": it is gone */
	json_t *request;          /* what it reads; the caller's */
	int cgroup_fd;            /* torpor's, below which it gets a control group of its own */
	int cancel_fd;            /* readable: give up */
	uint64_t deadline_ns;     /* CLOCK_MONOTONIC; UINT64_MAX: none */
};

/* Runs it until it ends, the time is over or somebody gives up; nothing that it started is left then. 0, with
 * its answer in *ret (a reference; NULL where it said nothing); or an error with message saying what, beginning
 * with the plugin's name: -EREMOTEIO: it failed; -EBADMSG: it answered no JSON; -ETIMEDOUT; -ECANCELED; -ENOENT
 * ... */
int plugin_run(const struct plugin_call *call, json_t **ret, char *message, size_t size);
