/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "account.h"
#include "cleanup.h"
#include "clock.h"
#include "inherited.h"
#include "log.h"
#include "source-filter.h"
#include "str.h"

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value) < 0 ? -errno : 0;
}

/* The options of [Socket] that say which addresses bind(2) means. */
static int set_address_options(int fd, const struct site_spec *spec, const struct address *address)
{
	int family = address_family(address), r = 0;

	if (family == AF_INET6 && spec->bind_ipv6_only >= 0)
		r = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, spec->bind_ipv6_only);
	if (r == 0 && spec->free_bind)
		r = family == AF_INET6 ? set_int(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1)
				       : set_int(fd, IPPROTO_IP, IP_FREEBIND, 1);
	return r;
}

/* All that have to be set before it. */
static int set_bind_options(int fd, const struct site_spec *spec, const struct address *address)
{
	int r;

	if (address_family(address) == AF_UNIX)
		return 0;
	r = set_address_options(fd, spec, address);
	/* For datagrams it would let two programs bind one port. */
	if (r == 0 && address->type == SOCK_STREAM)
		r = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r == 0 && spec->reuse_port)
		r = set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	return r;
}

/* Without SO_REUSEADDR, which would hide a listener that its program has shut down. */
bool listener_address_free(const struct site_spec *spec, const struct address *address)
{
	autoclose int fd = -EBADF;

	if (address_family(address) == AF_UNIX)
		return true;
	fd = socket(address_family(address), address->type | SOCK_CLOEXEC, 0);
	return fd >= 0 && set_address_options(fd, spec, address) == 0 &&
	       bind(fd, (const struct sockaddr *)address->sockaddr, address->length) == 0;
}

/* Those that can change at any time; connections accepted from now on inherit them. */
static int set_live_options(int fd, const struct site_spec *spec, const struct address *address)
{
	uint64_t seconds = spec->defer_accept_us / 1000000 + (spec->defer_accept_us % 1000000 > 0);
	int r;

	if (address_family(address) == AF_UNIX || address->type != SOCK_STREAM)
		return 0;
	r = set_int(fd, SOL_SOCKET, SO_KEEPALIVE, spec->keep_alive);
	if (r == 0)
		r = set_int(fd, IPPROTO_TCP, TCP_NODELAY, spec->no_delay);
	if (r == 0)
		r = set_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, (int)seconds);
	return r;
}

/* Brings IPAddressAllow= and IPAddressDeny= into force. What is connected already keeps the filter it came in
 * by. */
static int set_source_filter(int fd, const struct site_spec *spec, const struct address *address)
{
	autofree struct sock_filter *code = NULL;
	struct sock_fprog program;
	size_t n;
	int r;

	if (address_family(address) == AF_UNIX)
		return 0;
	if (spec->n_sources == 0) {
		r = set_int(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
		return r == -ENOENT ? 0 : r;
	}
	r = source_filter_compile(spec->sources, spec->n_sources, &code, &n);
	if (r < 0)
		return r;
	program = (struct sock_fprog){.len = (unsigned short)n, .filter = code};
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ? -errno : 0;
}

/* Whether somebody listens at a unix address: then its file is not ours to replace. */
static bool unix_alive(const struct address *address)
{
	autoclose int fd = socket(AF_UNIX, address->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return true;
	if (connect(fd, (const struct sockaddr *)address->sockaddr, address->length) == 0)
		return true;
	return errno != ECONNREFUSED && errno != ENOENT;
}

static int make_parents(const char *path, mode_t mode)
{
	char buf[sizeof(struct sockaddr_un)];

	strncpy(buf, path, sizeof buf - 1);
	buf[sizeof buf - 1] = '\0';
	for (char *slash = buf + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		if (mkdir(buf, mode) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

int listener_find_owner(const struct site_spec *spec, struct listener_owner *ret, struct diag *diag)
{
	struct listener_owner owner = {(uid_t)-1, (gid_t)-1};
	const char *file = spec->exec_origin.file;
	struct account *accounts = NULL;
	const struct account *account;
	uint64_t number;
	int r;

	if (spec->socket_user && str_to_u64(spec->socket_user, &number) == 0) {
		owner.uid = (uid_t)number;
	} else if (spec->socket_user) {
		r = account_find(&accounts, spec->socket_user, &account);
		if (r < 0)
			return account_refuse(diag, r, file, "SocketUser", spec->socket_user);
		owner = (struct listener_owner){account->uid, account->gid};
		account_free_list(&accounts);
	}
	r = spec->socket_group ? account_find_group(spec->socket_group, &owner.gid) : 0;
	if (r < 0)
		return account_refuse(diag, r, file, "SocketGroup", spec->socket_group);
	*ret = owner;
	return 0;
}

/* Binds at a path: parents made, a stale socket replaced, owner and mode set before the first connection can
 * come (listen(2) is later; a datagram socket is narrowed by the umask until then). */
static int bind_path(int fd, const struct site_spec *spec, const struct address *address,
		     const struct listener_owner *owner, ino_t *inode)
{
	const char *path = address_path(address);
	const struct sockaddr *sockaddr = (const struct sockaddr *)address->sockaddr;
	struct stat st;
	mode_t old;
	int r = make_parents(path, spec->directory_mode);

	if (r < 0)
		return r;
	old = umask(0777 & ~spec->socket_mode);
	r = bind(fd, sockaddr, address->length) < 0 ? -errno : 0;
	if (r == -EADDRINUSE && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && !unix_alive(address)) {
		(void)unlink(path);
		r = bind(fd, sockaddr, address->length) < 0 ? -errno : 0;
	}
	umask(old);
	if (r < 0)
		return r;
	if ((owner->uid != (uid_t)-1 || owner->gid != (gid_t)-1) && lchown(path, owner->uid, owner->gid) < 0)
		r = -errno;
	if (r == 0 && lstat(path, &st) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(path);
	else
		*inode = st.st_ino;
	return r;
}

static int open_socket(const struct site_spec *spec, const struct address *address,
		       const struct listener_owner *owner, ino_t *inode, const char **what)
{
	autoclose int fd = socket(address_family(address), address->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	*what = "socket";
	if (fd < 0)
		return -errno;
	*what = "socket option";
	r = set_bind_options(fd, spec, address);
	if (r == 0)
		r = set_live_options(fd, spec, address);
	if (r == 0) {
		*what = "filter of IPAddressAllow= and IPAddressDeny=";
		r = set_source_filter(fd, spec, address);
	}
	if (r < 0)
		return r;
	*what = "bind";
	if (address_path(address))
		r = bind_path(fd, spec, address, owner, inode);
	else if (bind(fd, (const struct sockaddr *)address->sockaddr, address->length) < 0)
		r = -errno;
	if (r < 0)
		return r;
	*what = "listen";
	if (address->type != SOCK_DGRAM && listen(fd, (int)spec->backlog) < 0) {
		r = -errno;
		if (address_path(address))
			(void)unlink(address_path(address));
		return r;
	}
	return steal_fd(&fd);
}

static const char *hint(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return ": another program listens there";
	case -EADDRNOTAVAIL:
		return ": no such address on this host yet (FreeBind=yes listens all the same)";
	default:
		return "";
	}
}

int listener_open(const struct site_spec *spec, const struct listener_spec *listener,
		  struct inheritance *inheritance, ino_t *inode, struct diag *diag)
{
	bool left = false;
	autoclose int taken =
		inheritance ? inherited_take(inheritance, spec, &listener->address, inode, &left) : -ENOENT;
	char text[ADDRESS_TEXT_BYTES];
	const char *what = "filter of IPAddressAllow= and IPAddressDeny=";
	struct listener_owner owner = {(uid_t)-1, (gid_t)-1};
	int fd;

	if (left && taken >= 0) {
		const struct listener before = {.address = &listener->address, .fd = taken, .inode = *inode};
		struct diag ignored = {0};

		if (listener_update(&before, spec, &ignored) == 0)
			return steal_fd(&taken);
		fd_close(steal_fd(&taken)); /* its program has made something of it that cannot be taken back */
	}
	*inode = 0;
	if (taken >= 0) {
		fd = set_source_filter(taken, spec, &listener->address);
		if (fd == 0)
			return steal_fd(&taken);
	} else {
		fd = address_path(&listener->address) ? listener_find_owner(spec, &owner, diag) : 0;
		if (fd < 0)
			return fd;
		fd = open_socket(spec, &listener->address, &owner, inode, &what);
	}
	if (fd < 0)
		return diag_set(diag, fd, spec->exec_origin.file, 0, "listener %s: %s: %s%s",
				address_format(&listener->address, text), what, strerror(-fd), hint(fd));
	return fd;
}

bool listener_is_shut(const struct listener *listener)
{
	struct pollfd pollfd = {.fd = listener->fd, .events = POLLIN};

	return listener->address->type != SOCK_DGRAM && poll(&pollfd, 1, 0) > 0 && pollfd.revents & POLLHUP;
}

int listener_revive(struct listener *listener, const struct site_spec *spec, const struct listener_spec *wanted,
		    struct diag *diag)
{
	autoclose int fd = -EBADF;

	if (address_family(listener->address) != AF_UNIX) {
		if (listen(listener->fd, (int)spec->backlog) == 0)
			return 0;
		return diag_set(diag, -errno, spec->exec_origin.file, 0, "listen: %s", strerror(errno));
	}
	fd = listener_open(spec, wanted, NULL, &listener->inode, diag);
	if (fd < 0)
		return fd;
	/* The number stays: it is in the loop's tables. */
	if (dup3(fd, listener->fd, O_CLOEXEC) < 0)
		return diag_set(diag, -errno, spec->exec_origin.file, 0, "dup3: %s", strerror(errno));
	return 0;
}

/* The group that the kernel gives a file that is made there: torpord's, or a folder's that has the set-group-ID
 * bit (inode(7)). */
static gid_t group_in_folder_of(const char *path)
{
	char folder[sizeof(struct sockaddr_un)];
	const char *slash = strrchr(path, '/');
	struct stat st;

	snprintf(folder, sizeof folder, "%.*s", slash > path ? (int)(slash - path) : 1, path);
	return stat(folder, &st) == 0 && st.st_mode & S_ISGID ? st.st_gid : getegid();
}

/* By a descriptor of the file itself: whoever can write the folder may have put a link in its place. */
static int update_file(const struct listener *listener, const struct site_spec *spec,
		       const struct listener_owner *owner)
{
	const char *file = address_path(listener->address);
	autoclose int fd = open(file, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	uid_t uid = owner->uid == (uid_t)-1 ? geteuid() : owner->uid;
	gid_t gid = owner->gid == (gid_t)-1 ? group_in_folder_of(file) : owner->gid;
	char path[64];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode) || st.st_ino != listener->inode)
		return -ESTALE;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if ((st.st_uid != uid || st.st_gid != gid) && fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		return -errno;
	if ((st.st_mode & 07777) != spec->socket_mode && chmod(path, spec->socket_mode) < 0)
		return -errno;
	return 0;
}

int listener_update(const struct listener *listener, const struct site_spec *spec, struct diag *diag)
{
	bool has_file = address_path(listener->address) && listener->inode;
	char text[ADDRESS_TEXT_BYTES];
	struct listener_owner owner;
	int r = has_file ? listener_find_owner(spec, &owner, diag) : 0;

	if (r < 0)
		return r;
	r = set_live_options(listener->fd, spec, listener->address);
	if (r == 0)
		r = set_source_filter(listener->fd, spec, listener->address);
	if (r == 0 && listener->address->type != SOCK_DGRAM && listen(listener->fd, (int)spec->backlog) < 0)
		r = -errno;
	if (r == 0 && has_file)
		r = update_file(listener, spec, &owner);
	if (r < 0)
		return diag_set(diag, r, spec->exec_origin.file, 0, "listener %s cannot be changed: %s",
				address_format(listener->address, text), strerror(-r));
	return 0;
}

/* When the packet came in that a program has taken last: SIOCGSTAMP of socket(7), which also has the kernel
 * take that down from now on. -ENOENT: none was taken since then. */
static int taken_at(const struct listener *listener, struct timespec *ret)
{
	if (listener->address->type != SOCK_DGRAM || address_family(listener->address) == AF_UNIX)
		return -EOPNOTSUPP;
	return ioctl(listener->fd, SIOCGSTAMPNS, ret) < 0 ? -errno : 0;
}

struct listener *listener_create(uv_loop_t *loop, int fd, ino_t inode, const struct address *address)
{
	struct listener *listener = calloc(1, sizeof *listener);
	struct timespec taken;

	if (!listener)
		return NULL;
	if (uv_poll_init(loop, &listener->poll, fd) < 0) {
		free(listener);
		return NULL;
	}
	listener->fd = fd;
	listener->inode = inode;
	listener->address = address;
	(void)taken_at(listener, &taken);
	return listener;
}

int listener_watch(struct listener *listener, uv_poll_cb callback)
{
	return uv_poll_start(&listener->poll, UV_READABLE, callback);
}

void listener_unwatch(struct listener *listener)
{
	uv_poll_stop(&listener->poll);
}

bool listener_pending(const struct listener *listener)
{
	struct pollfd pollfd = {.fd = listener->fd, .events = POLLIN};

	return poll(&pollfd, 1, 0) > 0;
}

bool listener_taken_lately(const struct listener *listener)
{
	struct timespec taken;
	uint64_t now_us = clock_realtime_us(), taken_us;

	if (taken_at(listener, &taken) < 0)
		return false;
	taken_us = clock_date_us(taken);
	return taken_us <= now_us && now_us - taken_us < LISTENER_OWED_MS * UINT64_C(1000);
}

int listener_dropped(const struct listener *listener, uint64_t *ret)
{
	uint32_t memory[SK_MEMINFO_VARS];
	socklen_t length = sizeof memory;

	if (getsockopt(listener->fd, SOL_SOCKET, SO_MEMINFO, memory, &length) < 0)
		return -errno;
	*ret = memory[SK_MEMINFO_DROPS];
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

void listener_close(struct listener *listener, bool remove_file)
{
	const char *path;
	struct stat st;

	if (!listener)
		return;
	path = address_path(listener->address);
	if (remove_file && path && listener->inode && lstat(path, &st) == 0 && st.st_ino == listener->inode)
		(void)unlink(path);
	uv_close((uv_handle_t *)&listener->poll, on_closed);
	fd_close(listener->fd);
}
