/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

void fd_close(int fd)
{
	if (fd >= 0) {
		int saved = errno;

		close(fd);
		errno = saved;
	}
}

/* read(2) until size bytes or the end of the file. */
static ssize_t read_full(int fd, char *buf, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, buf + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int fd_read_file(int dir_fd, const char *path, size_t max_bytes, char **ret, size_t *ret_size)
{
	autoclose int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	autofree char *buf = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((size_t)st.st_size > max_bytes)
		return -E2BIG;
	/* The file may grow while it is read: one byte more than it had tells. */
	buf = malloc((size_t)st.st_size + 2);
	if (!buf)
		return -ENOMEM;
	n = read_full(fd, buf, (size_t)st.st_size + 1);
	if (n < 0)
		return (int)n;
	if (n > st.st_size)
		return -EAGAIN;
	buf[n] = '\0';
	*ret = steal_ptr(buf);
	*ret_size = (size_t)n;
	return 0;
}

ssize_t fd_read_attribute(int dir_fd, const char *name, char *buf, size_t size)
{
	autoclose int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read_full(fd, buf, size);
	if (n < 0)
		return n;
	if ((size_t)n == size)
		return -ENOBUFS;
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return n;
}

int fd_write_attribute(int dir_fd, const char *name, const char *value)
{
	autoclose int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
	size_t size = strlen(value);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, value, size);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EIO;
}

int fd_write_all(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size > 0) {
		ssize_t n = write(fd, at, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

static int make_directory(const char *path)
{
	struct stat st;

	if (mkdir(path, 0755) == 0)
		return 0;
	if (errno != EEXIST || stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int fd_make_directories(const char *path)
{
	char buf[PATH_MAX];
	size_t length = strlen(path);

	if (length == 0 || length >= sizeof buf)
		return length == 0 ? -EINVAL : -ENAMETOOLONG;
	memcpy(buf, path, length + 1);
	for (char *slash = buf + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		int r = make_directory(buf);

		if (r < 0)
			return r;
		*slash = '/';
	}
	return make_directory(buf);
}
