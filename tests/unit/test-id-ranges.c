/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "id-ranges.h"
#include "scratch.h"

#define FIRST    (8 * ID_RANGE_COUNT)
#define RANGE(n) (FIRST + (n)*ID_RANGE_COUNT)

/* Ranges 1 and 2, and single ids in front of them. */
static struct id_ranges *open_ranges(const struct scratch *scratch)
{
	struct id_ranges *ranges = NULL;
	unsigned line;

	assert_int_equal(id_ranges_open(scratch_path(scratch, "state"), &scratch->lookup, FIRST, RANGE(3) - 1,
					&ranges, &line),
			 0);
	return ranges;
}

static uint32_t acquire(struct id_ranges *ranges, enum id_kind kind, const char *site)
{
	uint32_t first = 0;

	assert_int_equal(id_ranges_acquire(ranges, kind, site, &first), 0);
	return first;
}

static int setup(void **state)
{
	static struct scratch scratch;

	scratch_init(&scratch);
	for (char name = 'a'; name <= 'd'; name++) {
		char path[32];

		snprintf(path, sizeof path, "etc/sites/%c.site", name);
		scratch_write(&scratch, path, "[Site]\n");
	}
	*state = &scratch;
	return 0;
}

static int teardown(void **state)
{
	scratch_finish(*state);
	return 0;
}

static void assert_record(const struct scratch *scratch, const char *expected)
{
	autofree char *text = NULL;
	const char *at;
	size_t size;

	assert_int_equal(fd_read_file(-1, scratch_path(scratch, "state/ids"), 65536, &text, &size), 0);
	for (at = text; *at == '#'; at++)
		at = strchr(at, '\n');
	assert_string_equal(at, expected);
}

static void test_given_out_once(void **state)
{
	struct id_ranges *ranges = open_ranges(*state);
	struct stat st;

	assert_int_equal(acquire(ranges, ID_RANGE, "b"), RANGE(1));
	assert_int_equal(acquire(ranges, ID_RANGE, "a"), RANGE(2));
	assert_int_equal(acquire(ranges, ID_SINGLE, "a"), FIRST);
	assert_int_equal(acquire(ranges, ID_SINGLE, "c"), FIRST + 1);
	assert_int_equal(acquire(ranges, ID_RANGE, "b"), RANGE(1));
	assert_int_equal(acquire(ranges, ID_SINGLE, "c"), FIRST + 1);
	assert_record(*state, "655360 65536 a\n524288 1 a\n589824 65536 b\n524289 1 c\n");
	assert_int_equal(stat(scratch_path(*state, "state/ids.new"), &st), -1);
	id_ranges_close(ranges);
	ranges = open_ranges(*state);
	assert_int_equal(acquire(ranges, ID_RANGE, "a"), RANGE(2));
	assert_int_equal(acquire(ranges, ID_SINGLE, "c"), FIRST + 1);
	id_ranges_close(ranges);
}

static void test_none_left(void **state)
{
	struct id_ranges *ranges = open_ranges(*state);
	uint32_t first = 7;

	acquire(ranges, ID_RANGE, "a");
	acquire(ranges, ID_RANGE, "b");
	assert_int_equal(id_ranges_acquire(ranges, ID_RANGE, "c", &first), -ENOSPC);
	/* Neither of a site that is there, nor of one that runs. */
	id_ranges_release(ranges, "a");
	assert_int_equal(id_ranges_acquire(ranges, ID_RANGE, "c", &first), -ENOSPC);
	assert_int_equal(unlink(scratch_path(*state, "etc/sites/b.site")), 0);
	assert_int_equal(id_ranges_acquire(ranges, ID_RANGE, "c", &first), -ENOSPC);
	assert_int_equal(first, 7);
	id_ranges_release(ranges, "b");
	assert_int_equal(id_ranges_acquire(ranges, ID_RANGE, "c", &first), 0);
	assert_int_equal(first, RANGE(2));
	assert_record(*state, "589824 65536 a\n655360 65536 c\n");
	id_ranges_close(ranges);
}

static void test_places(void **state)
{
	const struct scratch *scratch = *state;
	struct id_ranges *ranges = open_ranges(scratch);
	const char *place = scratch_path(scratch, "a 100%\n\xc3\xa4");
	uint32_t first;
	char expected[256];

	assert_int_equal(mkdir(place, 0700), 0);
	acquire(ranges, ID_RANGE, "a");
	acquire(ranges, ID_RANGE, "b");
	assert_int_equal(id_ranges_add_place(ranges, ID_RANGE, "a", place), 0);
	assert_int_equal(id_ranges_add_place(ranges, ID_RANGE, "a", "/nowhere/x"), 0);
	assert_int_equal(id_ranges_add_place(ranges, ID_RANGE, "a", "/nowhere"), 0);
	assert_int_equal(id_ranges_add_place(ranges, ID_RANGE, "a", place), 0);
	assert_int_equal(id_ranges_add_place(ranges, ID_SINGLE, "a", place), -ENOENT);
	snprintf(expected, sizeof expected,
		 "589824 65536 a %s/a%%20100%%25%%0A%%C3%%A4 /nowhere/x /nowhere\n655360 65536 b\n",
		 scratch->root);
	assert_record(scratch, expected);
	id_ranges_close(ranges);
	assert_int_equal(unlink(scratch_path(scratch, "etc/sites/a.site")), 0);
	ranges = open_ranges(scratch);
	assert_int_equal(id_ranges_acquire(ranges, ID_RANGE, "c", &first), -ENOSPC);
	assert_int_equal(rmdir(place), 0);
	assert_int_equal(acquire(ranges, ID_RANGE, "c"), RANGE(1));
	id_ranges_close(ranges);
}

static void test_another_configuration(void **state)
{
	struct id_ranges *ranges;
	char path[64];
	unsigned line;
	uint32_t first;

	/* What was given out is kept, and is in the way where it lies in the middle of two. */
	scratch_write(*state, "state/ids", "557056 65536 a\n65536 65536 b\n");
	snprintf(path, sizeof path, "%s", scratch_path(*state, "state"));
	assert_int_equal(id_ranges_open(path, &((struct scratch *)*state)->lookup, RANGE(0) - ID_RANGE_COUNT,
					RANGE(3) - 1, &ranges, &line),
			 0);
	assert_int_equal(acquire(ranges, ID_RANGE, "a"), 557056);
	assert_int_equal(acquire(ranges, ID_RANGE, "b"), 65536);
	assert_int_equal(acquire(ranges, ID_RANGE, "c"), RANGE(2));
	assert_int_equal(id_ranges_acquire(ranges, ID_RANGE, "d", &first), -ENOSPC);
	id_ranges_close(ranges);
}

static void test_bad_records(void **state)
{
	static const char *const bad[] = {
		"x",
		"65536 65536",
		"65536 65536 ",
		"65536 2 a",
		"-1 1 a",
		"65536 65536 a/b",
		"65536 65536 a b",
		"4294967295 65536 a",
		"65536  1 a",
		"65536 65536 a  /",
		"65536 65536 a\n1 1 b\n65536 65536 a",
		"65536 1 .a",
	};
	struct id_ranges *ranges = NULL;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		unsigned line = 0, lines = strchr(bad[i], '\n') ? 4 : 2;
		char text[128];

		snprintf(text, sizeof text, "# head\n%s\n131072 1 z\n", bad[i]);
		scratch_write(*state, "state/ids", text);
		assert_int_equal(id_ranges_open(scratch_path(*state, "state"),
						&((struct scratch *)*state)->lookup, FIRST, RANGE(3) - 1,
						&ranges, &line),
				 -EBADMSG);
		assert_int_equal(line, lines);
	}
	assert_null(ranges);
}

static void test_not_written(void **state)
{
	struct id_ranges *ranges = open_ranges(*state);
	uint32_t first = 0;

	scratch_write(*state, "state/ids.new/x", "");
	assert_int_equal(id_ranges_acquire(ranges, ID_RANGE, "a", &first), -EISDIR);
	assert_int_equal(unlink(scratch_path(*state, "state/ids.new/x")), 0);
	assert_int_equal(rmdir(scratch_path(*state, "state/ids.new")), 0);
	assert_int_equal(acquire(ranges, ID_RANGE, "b"), RANGE(1));
	scratch_write(*state, "state/ids.new/x", "");
	assert_int_equal(id_ranges_add_place(ranges, ID_RANGE, "b", "/srv"), -EISDIR);
	assert_record(*state, "589824 65536 b\n");
	id_ranges_close(ranges);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_given_out_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_none_left, setup, teardown),
		cmocka_unit_test_setup_teardown(test_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_configuration, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_records, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_written, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
