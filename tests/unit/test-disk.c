/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"

/* Disks, partitions and mapped devices are as the machine has them: tests/vm has partitions. */

static void test_nothing(void **state)
{
	dev_t disk = 4711;

	(void)state;
	assert_int_equal(disk_find("/nosuch/file", &disk), -ENOENT);
	assert_int_equal(disk_find("/etc/passwd/x", &disk), -ENOTDIR);
	/* No file system on a device, and a device that is no disk. */
	assert_int_equal(disk_find("/proc/self/stat", &disk), -ENODEV);
	assert_int_equal(disk, 4711);
}

static void test_whole_disks(void **state)
{
	DIR *dir = opendir("/sys/block");
	unsigned found = 0;
	struct dirent *entry;

	(void)state;
	while (dir && (entry = readdir(dir))) {
		char path[300], slaves[300];
		struct stat st;
		dev_t disk;

		snprintf(path, sizeof path, "/dev/%s", entry->d_name);
		snprintf(slaves, sizeof slaves, "/sys/block/%s/dm", entry->d_name);
		if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode) || access(slaves, F_OK) == 0)
			continue;
		assert_int_equal(disk_find(path, &disk), 0);
		assert_int_equal(disk, st.st_rdev);
		found++;
	}
	if (dir)
		closedir(dir);
	if (!found) {
		puts("skipped: this machine has no disk");
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_whole_disks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
