/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "cni-config.h"

/* One container's attachment to a CNI network, from before its program runs until after its end. It has a
 * folder of its own below torpor's run folder, named like its id:
 *
 *   netns        the container's network namespace, bound there
 *   state        what it takes to take it back: written before each plugin is called
 *   resolv.conf  where the network has name servers
 *
 * so that whatever becomes of torpord, the next one can call the plugins that were called, with what they were
 * called with. All of this waits for programs, and belongs into a thread of its own. */

/* Where things are, the same for all of a torpord. */
struct attachment_places {
	const char *run;     /* the folder of the attachments' folders; absolute */
	const char *configs; /* NetworkConfigPath= */
	const char *plugins; /* NetworkPluginPath= */
	int cgroup_fd;       /* torpor's */
};

struct attachment {
	char *site, *id, *folder; /* owned; folder is absolute */
	char *network_name;       /* owned: as the unit names it */
	struct cni_network network;
	unsigned begun; /* plugins of it, from the first, that have been called with ADD and not taken back */
	json_t *result; /* what the last one of them has answered; a reference or NULL */
	char message[1024]; /* what went wrong; empty: nothing */
	int error;          /* errno of it */
};

/* A new one that is not there yet, for a run of a site. 0 or -ENOMEM; to be finished all the same. */
int attachment_init(struct attachment *attachment, const struct attachment_places *places, const char *site,
		    const char *network);

/* One that an earlier torpord has left in the folder of this name. -ENODATA: nothing of it was begun; -EBADMSG
 * or -errno with attachment->message. To be finished all the same. */
int attachment_load(struct attachment *attachment, const struct attachment_places *places, const char *id);

void attachment_finish(struct attachment *attachment);

/* Makes the namespace and calls the network's plugins one after the other, until cancel_fd is readable. 0, with
 * attachment->result; or -errno, with message and error set: it is to be removed then, as one that stood. */
int attachment_add(struct attachment *attachment, const struct attachment_places *places, int cancel_fd);

/* Calls the plugins in the other order to take back what they have done, and removes the folder. Those that
 * have done so are not called again where it is tried again. -errno, with message and error set. */
int attachment_remove(struct attachment *attachment, const struct attachment_places *places, int cancel_fd,
		      uint64_t deadline_ns);

/* attachment-state.c: the file "state". -errno. attachment_read_state() fills in all but folder and id;
 * -ENOENT: there is none; -EBADMSG: it is none. */
int attachment_write_state(const struct attachment *attachment);
int attachment_read_state(struct attachment *attachment);
