/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "oci-image.h"

/* Users of an image, as its own /etc/passwd and /etc/group have them. */

struct oci_user {
	uid_t uid;
	gid_t gid;
	char name[64], home[256], shell[256]; /* of /etc/passwd; empty where it has no such entry */
};

/* Looks up user ("USER" or "USER:GROUP", names or numbers) and group (NULL: what user says) in the image whose
 * layers lie in the store's folder. What is made of digits is that number, whatever the image has for it: it
 * needs no entry, and its group is the same number then. A name can be any number, root's too: that is the
 * caller's to judge. No link is followed. -ENOENT (*missing: which of the names, in the arguments), -EUCLEAN
 * for what is no number of a user; else -errno. */
int oci_user_find(const struct oci_image *image, const char *store, const char *user, const char *group,
		  struct oci_user *ret, const char **missing);
