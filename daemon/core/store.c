/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "cleanup.h"
#include "daemon.h"
#include "fd.h"
#include "inherited.h"
#include "log.h"

#define NAME         "torpor-listeners" /* of FDNAME= */
#define FDS_MOST     253                /* SCM_MAX_FD of the kernel */
#define BUFFER_BYTES (64 << 20)         /* a limit; a message takes some 8 KiB of it */
#define STORED_US    UINT64_C(10000000) /* what a busy manager may take */

/* One message, with as many descriptors as it has listeners. */
struct message {
	char magic[8];
	struct {
		uint64_t site;
		uint64_t file; /* inode of a unix socket's file that is torpord's; else 0 */
	} listeners[FDS_MOST];
};

static const char magic[8] = "torpor1";

/* What is to be sent next. */
struct batch {
	struct message message;
	int fds[FDS_MOST];
	unsigned n;
};

uint64_t store_site(const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a (RFC 9923) */

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	return hash;
}

bool store_is_one(const char *name)
{
	return strcmp(name, NAME) == 0;
}

/* Of a batch that is not empty. */
static int send_batch(int fd, struct batch *batch)
{
	char control[CMSG_SPACE(sizeof batch->fds)] __attribute__((aligned(_Alignof(struct cmsghdr)))) = {0};
	struct iovec part = {&batch->message, offsetof(struct message, listeners) +
						      batch->n * sizeof batch->message.listeners[0]};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = CMSG_SPACE(batch->n * sizeof(int))};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);

	*cmsg = (struct cmsghdr){CMSG_LEN(batch->n * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(cmsg), batch->fds, batch->n * sizeof(int));
	batch->n = 0;
	return sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int add(int fd, struct batch *batch, int listener_fd, uint64_t site, ino_t file)
{
	int r = batch->n == FDS_MOST ? send_batch(fd, batch) : 0;

	batch->message.listeners[batch->n].site = site;
	batch->message.listeners[batch->n].file = file;
	batch->fds[batch->n++] = listener_fd;
	return r;
}

/* Those of the sites, and what no site has taken over yet where torpord ends before its sites are there.
 * -ENODATA: there are none. */
static int send_listeners(const struct daemon *daemon, int fd)
{
	const struct inheritance *inheritance = &daemon->inheritance;
	struct batch batch = {0};
	int r = 0;

	memcpy(batch.message.magic, magic, sizeof magic);
	for (const struct site *site = daemon->sites; r == 0 && site; site = site->hh.next)
		for (unsigned i = 0; r == 0 && i < site->plan->spec->n_listeners; i++) {
			const struct listener *listener = site->listeners[i];

			if (!inherited_from_manager(inheritance, listener->fd))
				r = add(fd, &batch, listener->fd, store_site(site->name), listener->inode);
		}
	for (unsigned i = inheritance->n_managers; r == 0 && i < inheritance->n; i++) {
		const struct inherited *one = &inheritance->sockets[i];

		if (one->fd >= 0)
			r = add(fd, &batch, one->fd, one->site, one->file);
	}
	if (r < 0)
		return r;
	return batch.n > 0 ? send_batch(fd, &batch) : -ENODATA;
}

/* Whether the manager has taken the other end: when none has it any more, ours says so. */
static int wait_stored(int fd)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	int r = sd_notify_barrier(0, STORED_US);

	if (r < 0)
		return r;
	return poll(&pollfd, 1, 0) > 0 && pollfd.revents & POLLHUP ? -ENOENT : 0;
}

int store_leave(const struct daemon *daemon)
{
	int pair[2], size = BUFFER_BYTES, r;
	autoclose int ours = -EBADF, managers = -EBADF;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ours = pair[0];
	managers = pair[1];
	if (setsockopt(ours, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
		(void)setsockopt(ours, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	r = send_listeners(daemon, ours);
	if (r < 0)
		return r == -ENODATA ? 0 : r;
	/* Not to be given up when this end is closed, which is its end of file. */
	r = sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDPOLL=0\nFDNAME=" NAME, &managers, 1);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	fd_close(steal_fd(&managers));
	return wait_stored(ours);
}

/* All descriptors of a message; more than were sent are none that this torpord knows. */
static int take(struct msghdr *header, const struct message *message, size_t n_listeners,
		struct inheritance *inheritance)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(header);
	size_t n = cmsg && cmsg->cmsg_type == SCM_RIGHTS ? (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
	bool cut = header->msg_flags & MSG_CTRUNC; /* no more descriptors can be open */
	bool known = memcmp(message->magic, magic, sizeof magic) == 0 &&
		     (n == n_listeners || (cut && n < n_listeners));
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof fd, sizeof fd);
		if (known && r == 0)
			r = inherited_add(inheritance, fd, message->listeners[i].site,
					  (ino_t)message->listeners[i].file);
		else
			fd_close(fd);
	}
	if (known && cut)
		log_error("of the listeners that were left %zu are lost: the open-files limit is lower than it "
			  "was; raise "
			  "LimitNOFILE= of torpor.service",
			  n_listeners - n);
	else if (!known)
		log_warning("listeners that another version of torpord has left are closed: it wrote them "
			    "otherwise");
	return r;
}

int store_receive(int fd, struct inheritance *inheritance)
{
	char control[CMSG_SPACE(FDS_MOST * sizeof(int))] __attribute__((aligned(_Alignof(struct cmsghdr))));
	struct message message;
	struct iovec part = {&message, sizeof message};
	ssize_t bytes;
	int r = 0;

	do {
		struct msghdr header = {.msg_iov = &part,
					.msg_iovlen = 1,
					.msg_control = control,
					.msg_controllen = sizeof control};

		memset(&message, 0, sizeof message);
		bytes = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		if (bytes > 0)
			r = take(&header, &message,
				 ((size_t)bytes - offsetof(struct message, listeners)) /
					 sizeof message.listeners[0],
				 inheritance);
	} while (bytes > 0 && r == 0);
	fd_close(fd);
	if (r == 0)
		sd_notify(0, "FDSTOREREMOVE=1\nFDNAME=" NAME);
	return r;
}
