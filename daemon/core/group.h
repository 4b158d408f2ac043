/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <uthash.h>

#include "enforcement.h"
#include "slice.h"

struct daemon;
struct diag;

/* A slice that has a file, or a container in it. Its control group is there while a container is, in it or in a
 * slice of it. */
struct group {
	UT_hash_handle hh; /* by name, in the daemon's groups */
	struct daemon *daemon;
	struct group *parent;    /* the slice it lies in; NULL: torpor's own control group */
	char *name;              /* owned */
	struct slice_spec *spec; /* owned; NULL: there is no file */
	struct blob *resources;  /* what the file comes to; one reference */
	struct enforcement enforcement;
	unsigned n_users;     /* containers, and slices with a control group, that are in it */
	unsigned n_slices;    /* groups whose parent it is */
	unsigned controllers; /* that what is in it has */
	int fd;               /* its control group; -EBADF: nobody is in it */
};

/* Reads the file of one slice again, or all. What is in force follows; a file with an error changes nothing. */
void group_load(struct daemon *daemon, const char *name);
void group_load_all(struct daemon *daemon);

/* The slice of this name; NULL where it has neither a file nor a container. */
struct group *group_find(const struct daemon *daemon, const char *name);

/* Makes the control group of a slice, with those around it, for a container that needs these controllers. 0,
 * and *ret to be given to group_leave(); -errno with *diag: a step that failed, or a limit that
 * RequireLimits=yes asks for and this host has not. */
int group_enter(struct daemon *daemon, const char *name, unsigned controllers, struct group **ret,
		struct diag *diag);

/* The container and its control group are gone; the last one takes the slice's with it. */
void group_leave(struct group *group);

/* Hands more controllers on to what is in a slice; NULL: to what is in none. -errno. */
int group_enable(struct daemon *daemon, struct group *group, unsigned controllers);

/* At the end of the daemon, when no container is left. */
void group_destroy_all(struct daemon *daemon);
