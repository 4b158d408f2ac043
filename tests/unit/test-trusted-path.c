/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "trusted-path.h"

/* root/ and tenant/ with a file and a folder each; other/ as the tenant's. Links are made by each test. */
#define TENANT 4001
#define OTHER  4002

static char top[] = "/tmp/torpor-test.XXXXXX";

static void make_path(char *buf, const char *name)
{
	assert_in_range(snprintf(buf, PATH_MAX, "%s/%s", top, name), 1, PATH_MAX - 1);
}

static void make_folder(const char *name, uid_t owner)
{
	char path[PATH_MAX];

	make_path(path, name);
	assert_return_code(mkdir(path, 0755), errno);
	assert_return_code(chown(path, owner, 0), errno);
}

static void make_link(const char *name, const char *target, uid_t owner)
{
	char path[PATH_MAX];

	make_path(path, name);
	(void)unlink(path);
	assert_return_code(symlink(target, path), errno);
	assert_return_code(lchown(path, owner, 0), errno);
}

/* Opens it; whether it is what another path names. */
static int open_is(const char *name, const char *expected)
{
	char path[PATH_MAX];
	struct stat found, st;
	autoclose int fd = -EBADF;

	make_path(path, name);
	fd = trusted_path_open(path);
	if (fd < 0)
		return fd;
	make_path(path, expected);
	assert_return_code(fstat(fd, &found), errno);
	assert_return_code(stat(path, &st), errno);
	return found.st_ino == st.st_ino;
}

static int setup(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return 0;
	if (!mkdtemp(top))
		return -1;
	make_folder("root", 0);
	make_folder("root/inner", 0);
	make_folder("tenant", TENANT);
	make_folder("tenant/inner", TENANT);
	make_folder("other", OTHER);
	make_folder("other/inner", OTHER);
	return 0;
}

static int teardown(void **state)
{
	char command[PATH_MAX];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", top);
	return geteuid() == 0 ? system(command) : 0;
}

static void test_without_links(void **state)
{
	(void)state;
	assert_int_equal(open_is("tenant/inner", "tenant/inner"), 1);
	assert_int_equal(open_is("tenant//./inner/", "tenant/inner"), 1);
	assert_int_equal(open_is("tenant/none", "tenant"), -ENOENT);
}

static void test_links_of_root(void **state)
{
	(void)state;
	make_link("root/relative", "../tenant/inner", 0);
	make_link("root/chain", "relative", 0);
	make_link("root/folder", "../tenant", 0);
	assert_int_equal(open_is("root/relative", "tenant/inner"), 1);
	assert_int_equal(open_is("root/chain", "tenant/inner"), 1);
	assert_int_equal(open_is("root/folder/inner", "tenant/inner"), 1);
	make_link("root/loop", "loop", 0);
	assert_int_equal(open_is("root/loop", "root"), -ELOOP);
	make_link("root/nowhere", "/nowhere/at/all", 0);
	assert_int_equal(open_is("root/nowhere", "root"), -ENOENT);
}

static void test_links_of_a_tenant(void **state)
{
	char target[PATH_MAX];

	(void)state;
	make_link("tenant/own", "inner", TENANT);
	assert_int_equal(open_is("tenant/own", "tenant/inner"), 1);
	make_path(target, "tenant/inner");
	make_link("tenant/own", target, TENANT);
	assert_int_equal(open_is("tenant/own", "tenant/inner"), 1);
	make_link("tenant/away", "../root/inner", TENANT);
	assert_int_equal(open_is("tenant/away", "root"), -EPERM);
	make_link("tenant/away", "../other/inner", TENANT);
	assert_int_equal(open_is("tenant/away", "root"), -EPERM);
	make_link("tenant/away", "../other", TENANT);
	assert_int_equal(open_is("tenant/away/inner", "root"), -EPERM);
	/* By way of another's, which leads back. */
	make_link("other/back", "../tenant/inner", OTHER);
	make_link("tenant/away", "../other/back", TENANT);
	assert_int_equal(open_is("tenant/away", "root"), -EPERM);
}

static void test_folder(void **state)
{
	char path[PATH_MAX];
	const char *name;
	int fd;

	(void)state;
	make_path(path, "tenant/inner/file");
	fd = trusted_path_open_folder(path, &name);
	assert_return_code(fd, -fd);
	close(fd);
	assert_string_equal(name, "file");
	fd = trusted_path_open_folder("/file", &name);
	assert_return_code(fd, -fd);
	close(fd);
	assert_string_equal(name, "file");
	make_link("tenant/logs", "../root", TENANT);
	make_path(path, "tenant/logs/inner");
	assert_int_equal(trusted_path_open_folder(path, &name), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_links),
		cmocka_unit_test(test_links_of_root),
		cmocka_unit_test(test_links_of_a_tenant),
		cmocka_unit_test(test_folder),
	};

	if (geteuid() != 0)
		return 77; /* meson: skipped; files of other users are root's to make */
	return cmocka_run_group_tests(tests, setup, teardown);
}
