/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inherited.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "log.h"
#include "spec.h"
#include "store.h"

/* Where another one fits; NULL when out of memory. */
static struct inherited *append(struct inheritance *inheritance)
{
	unsigned n = inheritance->n;

	if ((n & (n - 1)) == 0) { /* full: room is for a power of two */
		struct inherited *grown =
			reallocarray(inheritance->sockets, n ? n * 2 : 1, sizeof *inheritance->sockets);

		if (!grown)
			return NULL;
		inheritance->sockets = grown;
	}
	return &inheritance->sockets[n];
}

int inherited_add(struct inheritance *inheritance, int fd, uint64_t site, ino_t file)
{
	struct inherited *one = append(inheritance);
	struct stat st;
	int r = one ? address_from_fd(fd, &one->address) : -ENOMEM;

	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r < 0) {
		if (r != -ENOMEM)
			log_warning("descriptor %d is no socket that a site can listen on: closed", fd);
		fd_close(fd);
		return r == -ENOMEM ? r : 0;
	}
	one->fd = fd;
	one->inode = st.st_ino;
	one->site = site;
	one->file = file;
	inheritance->n++;
	return 0;
}

int inherited_receive(struct inheritance *inheritance)
{
	char **names = NULL;
	int named = sd_listen_fds_with_names(0, &names), n = sd_listen_fds(1), r = n < 0 ? n : 0;

	/* Names that are wrong in number are none. */
	for (int i = 0; i < n && r == 0; i++)
		if (i >= named || !store_is_one(names[i]))
			r = inherited_add(inheritance, SD_LISTEN_FDS_START + i, 0, 0);
	inheritance->n_managers = inheritance->next = inheritance->n;
	for (int i = 0; i < named && r == 0; i++)
		if (store_is_one(names[i]))
			r = store_receive(SD_LISTEN_FDS_START + i, inheritance);
	for (int i = 0; i < named; i++)
		free(names[i]);
	free(names);
	return r;
}

static int get_int(int fd, int level, int option)
{
	int value = 0;
	socklen_t length = sizeof value;

	return getsockopt(fd, level, option, &value, &length) < 0 ? -1 : value;
}

/* What bind(2) went by, and can no more be changed. */
static bool is_bound_so(int fd, const struct site_spec *spec, const struct address *address)
{
	int family = address_family(address);

	if (family == AF_UNIX)
		return true;
	if (get_int(fd, SOL_SOCKET, SO_REUSEPORT) != spec->reuse_port)
		return false;
	return family != AF_INET6 || spec->bind_ipv6_only < 0 ||
	       get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY) == spec->bind_ipv6_only;
}

/* Whether the file of a unix socket that was left is there still. */
static bool has_file(const struct inherited *one)
{
	const char *path = address_path(&one->address);
	struct stat st;

	return !path || (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == one->file);
}

int inherited_take(struct inheritance *inheritance, const struct site_spec *spec, const struct address *address,
		   ino_t *file, bool *left)
{
	unsigned n = inheritance->n;

	for (unsigned i = 0; i < n; i++) {
		unsigned at = (inheritance->next + i) % n;
		struct inherited *one = &inheritance->sockets[at];

		if (one->fd < 0 || !address_equal(&one->address, address))
			continue;
		*left = at >= inheritance->n_managers;
		*file = one->file;
		inheritance->next = (at + 1) % n;
		if (!*left || (one->site == store_site(spec->name) && is_bound_so(one->fd, spec, address) &&
			       has_file(one)))
			return steal_fd(&one->fd);
		fd_close(steal_fd(&one->fd));
		return -ENOENT;
	}
	return -ENOENT;
}

/* One of the manager's that was taken. */
static struct inherited *find_taken(const struct inheritance *inheritance, int fd)
{
	struct stat st;

	if (inheritance->n_managers == 0 || fstat(fd, &st) < 0)
		return NULL;
	for (unsigned i = 0; i < inheritance->n_managers; i++)
		if (inheritance->sockets[i].fd < 0 && inheritance->sockets[i].inode == st.st_ino)
			return &inheritance->sockets[i];
	return NULL;
}

void inherited_give_back(struct inheritance *inheritance, int *fd)
{
	struct inherited *one = find_taken(inheritance, *fd);

	if (one)
		one->fd = steal_fd(fd);
}

bool inherited_from_manager(const struct inheritance *inheritance, int fd)
{
	return find_taken(inheritance, fd) != NULL;
}

void inherited_report(const struct inheritance *inheritance)
{
	char text[ADDRESS_TEXT_BYTES];

	for (unsigned i = 0; i < inheritance->n_managers; i++)
		if (inheritance->sockets[i].fd >= 0)
			log_warning("socket %s of LISTEN_FDS is no site's yet",
				    address_format(&inheritance->sockets[i].address, text));
}

bool inherited_settle(struct inheritance *inheritance)
{
	bool found = false;

	for (unsigned i = inheritance->n_managers; i < inheritance->n; i++) {
		struct inherited *one = &inheritance->sockets[i];

		if (one->fd < 0)
			continue;
		if (one->file && has_file(one))
			(void)unlink(address_path(&one->address));
		fd_close(steal_fd(&one->fd));
		found = true;
	}
	inheritance->n = inheritance->n_managers;
	inheritance->next = 0;
	if (inheritance->n == 0)
		inherited_finish(inheritance); /* of ten thousand sites it was a megabyte */
	return found;
}

void inherited_finish(struct inheritance *inheritance)
{
	for (unsigned i = 0; i < inheritance->n; i++)
		fd_close(inheritance->sockets[i].fd);
	free(inheritance->sockets);
	*inheritance = (struct inheritance){0};
}
