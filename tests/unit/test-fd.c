/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "scratch.h"

static int setup(void **state)
{
	static struct scratch scratch;

	scratch_init(&scratch);
	*state = &scratch;
	return 0;
}

static int teardown(void **state)
{
	scratch_finish(*state);
	return 0;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void test_close(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	errno = EXDEV;
	fd_close(fd);
	assert_int_equal(errno, EXDEV);
	assert_false(is_open(fd));
	/* Closing what is not open must not disturb an error that is on its way up. */
	errno = EXDEV;
	fd_close(fd);
	fd_close(-EBADF);
	fd_close(-1);
	assert_int_equal(errno, EXDEV);
}

static void test_cleanup(void **state)
{
	int seen, kept;

	(void)state;
	{
		autoclose int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		autoclose int moved = open("/dev/null", O_RDONLY | O_CLOEXEC);
		autofree char *text = strdup("freed, or the leak is reported");

		assert_non_null(text);
		seen = fd;
		kept = steal_fd(&moved);
		assert_int_equal(moved, -EBADF);
	}
	assert_false(is_open(seen));
	assert_true(is_open(kept));
	fd_close(kept);
	{
		autofree char *text = strdup("x");
		char *stolen = steal_ptr(text);

		assert_null(text);
		assert_string_equal(stolen, "x");
		free(stolen);
	}
}

static void assert_read(int dir_fd, const char *path, size_t max_bytes, int error)
{
	char sentinel[] = "untouched", *text = sentinel;
	size_t size = 4711;

	assert_int_equal(fd_read_file(dir_fd, path, max_bytes, &text, &size), error);
	if (error == 0) {
		free(text);
		return;
	}
	assert_ptr_equal(text, sentinel);
	assert_int_equal(size, 4711);
}

static void test_read_file(void **state)
{
	struct scratch *scratch = *state;
	autoclose int dir_fd = open(scratch->root, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	size_t size;
	char *text;

	scratch_write_bytes(scratch, "etc/file", "one\0two\n", 8);
	assert_int_equal(fd_read_file(dir_fd, "etc/file", 8, &text, &size), 0);
	assert_int_equal(size, 8);
	assert_memory_equal(text, "one\0two\n", 9); /* and a NUL */
	free(text);
	assert_int_equal(fd_read_file(AT_FDCWD, scratch_path(scratch, "etc/file"), SIZE_MAX, &text, &size), 0);
	assert_int_equal(size, 8);
	free(text);
	scratch_write(scratch, "etc/empty", "");
	assert_int_equal(fd_read_file(dir_fd, "etc/empty", 0, &text, &size), 0);
	assert_int_equal(size, 0);
	assert_string_equal(text, "");
	free(text);
}

static void test_read_file_refuses(void **state)
{
	struct scratch *scratch = *state;
	autoclose int dir_fd = open(scratch->root, O_DIRECTORY | O_RDONLY | O_CLOEXEC);

	scratch_write(scratch, "etc/file", "12345678");
	assert_read(dir_fd, "etc/file", 8, 0);
	assert_read(dir_fd, "etc/file", 7, -E2BIG);
	assert_read(dir_fd, "etc/file", 0, -E2BIG);
	assert_read(dir_fd, "etc/missing", 8, -ENOENT);
	assert_read(dir_fd, "etc/file/below", 8, -ENOTDIR);
	assert_read(-EBADF, "etc/file", 8, -EBADF);
	assert_read(dir_fd, "etc", 100, -EISDIR);
	/* A FIFO with nobody at its other end would be waited for, for ever. */
	assert_int_equal(mkfifoat(dir_fd, "etc/fifo", 0600), 0);
	assert_read(dir_fd, "etc/fifo", 100, -EINVAL);
	assert_read(AT_FDCWD, "/dev/zero", 100, -EINVAL);
	assert_int_equal(symlinkat("fifo", dir_fd, "etc/link"), 0);
	assert_read(dir_fd, "etc/link", 100, -EINVAL);
	assert_int_equal(symlinkat("loop", dir_fd, "etc/loop"), 0);
	assert_read(dir_fd, "etc/loop", 100, -ELOOP);
	if (geteuid() != 0) {
		assert_int_equal(fchmodat(dir_fd, "etc/file", 0, 0), 0);
		assert_read(dir_fd, "etc/file", 8, -EACCES);
	}
}

/* Sparse and huge: refused by its size, not read. */
static void test_read_huge_file(void **state)
{
	struct scratch *scratch = *state;
	autoclose int fd = open(scratch_path(scratch, "etc/huge"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_int_equal(ftruncate(fd, 1LL << 40), 0);
	assert_read(AT_FDCWD, scratch_path(scratch, "etc/huge"), 1024 * 1024, -E2BIG);
}

/* More comes out of it than its size said, as of one that is being written. */
static void test_read_growing_file(void **state)
{
	(void)state;
	assert_read(AT_FDCWD, "/proc/self/status", 1024 * 1024, -EAGAIN);
}

static void test_attribute(void **state)
{
	struct scratch *scratch = *state;
	autoclose int dir_fd = open(scratch->root, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	char buf[9];

	scratch_write(scratch, "value", "1234567\n");
	assert_int_equal(fd_read_attribute(dir_fd, "value", buf, sizeof buf), 7);
	assert_string_equal(buf, "1234567");
	assert_int_equal(fd_read_attribute(dir_fd, "value", buf, 8), -ENOBUFS);
	scratch_write(scratch, "value", "two\n\n");
	assert_int_equal(fd_read_attribute(dir_fd, "value", buf, sizeof buf), 4);
	assert_string_equal(buf, "two\n");
	scratch_write(scratch, "value", "bare");
	assert_int_equal(fd_read_attribute(dir_fd, "value", buf, sizeof buf), 4);
	assert_string_equal(buf, "bare");
	scratch_write(scratch, "value", "");
	assert_int_equal(fd_read_attribute(dir_fd, "value", buf, sizeof buf), 0);
	assert_string_equal(buf, "");
	scratch_write(scratch, "value", "123456789012345678901234567890");
	assert_int_equal(fd_read_attribute(dir_fd, "value", buf, sizeof buf), -ENOBUFS);
	assert_int_equal(fd_read_attribute(dir_fd, "missing", buf, sizeof buf), -ENOENT);
	assert_int_equal(fd_read_attribute(dir_fd, ".", buf, sizeof buf), -EISDIR);
}

static void test_write_attribute(void **state)
{
	struct scratch *scratch = *state;
	autoclose int dir_fd = open(scratch->root, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	char buf[16];

	/* A kernel file is never made. */
	assert_int_equal(fd_write_attribute(dir_fd, "value", "1"), -ENOENT);
	scratch_write(scratch, "value", "");
	assert_int_equal(fd_write_attribute(dir_fd, "value", "max 100000"), 0);
	assert_int_equal(fd_read_attribute(dir_fd, "value", buf, sizeof buf), 10);
	assert_string_equal(buf, "max 100000");
	assert_int_equal(fd_write_attribute(AT_FDCWD, "/dev/full", "1"), -ENOSPC);
}

static void on_signal(int signal)
{
	(void)signal;
}

/* More than a pipe holds, to a reader that takes small bites and signals all the while: write(2) comes back
 * with a part written, or with EINTR. */
static void test_write_all(void **state)
{
	enum { SIZE = 1 << 20 };
	autofree char *data = malloc(SIZE);
	autoclose int read_fd = -EBADF;
	struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART */
	int fds[2], status;
	pid_t reader;

	(void)state;
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (char)(i * 31 >> 3);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	reader = fork();
	assert_true(reader >= 0);
	if (reader == 0) {
		char chunk[777];
		size_t at = 0;
		ssize_t n;

		close(fds[1]);
		while ((n = read(fds[0], chunk, sizeof chunk)) > 0) {
			if (at + (size_t)n > SIZE || memcmp(chunk, data + at, (size_t)n) != 0)
				_exit(1);
			at += (size_t)n;
			kill(getppid(), SIGUSR1);
		}
		_exit(at == SIZE ? 0 : 2);
	}
	read_fd = fds[0];
	assert_int_equal(fd_write_all(fds[1], data, SIZE), 0);
	close(fds[1]);
	while (waitpid(reader, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	signal(SIGUSR1, SIG_DFL);
	assert_int_equal(status, 0);
	assert_int_equal(fd_write_all(-EBADF, data, 1), -EBADF);
	assert_int_equal(fd_write_all(-EBADF, data, 0), 0);
}

static void assert_directory(const char *path, mode_t mode)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 07777, mode);
}

static void test_make_directories(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX + 2];
	mode_t umask_before = umask(0022);

	assert_int_equal(fd_make_directories(scratch_path(scratch, "a/b/c")), 0);
	assert_directory(scratch_path(scratch, "a"), 0755);
	assert_directory(scratch_path(scratch, "a/b/c"), 0755);
	assert_int_equal(fd_make_directories(scratch_path(scratch, "a/b/c")), 0);
	assert_int_equal(fd_make_directories(scratch_path(scratch, "a//d/")), 0);
	assert_directory(scratch_path(scratch, "a/d"), 0755);
	assert_int_equal(fd_make_directories("/"), 0);
	/* What is there stays as it is. */
	assert_int_equal(chmod(scratch_path(scratch, "a"), 0700), 0);
	assert_int_equal(fd_make_directories(scratch_path(scratch, "a/e")), 0);
	assert_directory(scratch_path(scratch, "a"), 0700);
	assert_int_equal(symlink("b", scratch_path(scratch, "a/link")), 0);
	assert_int_equal(fd_make_directories(scratch_path(scratch, "a/link")), 0);
	assert_int_equal(fd_make_directories(scratch_path(scratch, "a/link/f")), 0);
	assert_directory(scratch_path(scratch, "a/b/f"), 0755);
	/* What is no folder is not passed for one. */
	scratch_write(scratch, "a/file", "");
	assert_int_equal(fd_make_directories(scratch_path(scratch, "a/file")), -ENOTDIR);
	assert_int_equal(fd_make_directories(scratch_path(scratch, "a/file/x")), -ENOTDIR);
	assert_int_equal(symlink("nowhere", scratch_path(scratch, "a/dangling")), 0);
	assert_int_not_equal(fd_make_directories(scratch_path(scratch, "a/dangling")), 0);
	assert_int_equal(fd_make_directories(""), -EINVAL);
	memset(path, 'x', sizeof path);
	path[PATH_MAX] = '\0';
	assert_int_equal(fd_make_directories(path), -ENAMETOOLONG);
	path[300] = '\0';
	assert_int_equal(fd_make_directories(path), -ENAMETOOLONG);
	assert_int_equal(fd_make_directories("/proc/torpor-test"), -ENOENT);
	umask(umask_before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_cleanup),
		cmocka_unit_test_setup_teardown(test_read_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_file_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_huge_file, setup, teardown),
		cmocka_unit_test(test_read_growing_file),
		cmocka_unit_test_setup_teardown(test_attribute, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_attribute, setup, teardown),
		cmocka_unit_test(test_write_all),
		cmocka_unit_test_setup_teardown(test_make_directories, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
