/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blob.h"
#include "device-program.h"
#include "enforce.h"
#include "enforcement.h"
#include "fd.h"

/* What the pool's thread does is put down: "was>wanted" for limits, a program's letter for devices, "!" where
 * all is written again. */

static char done_work[256];
static int resources_error, program_error;
static int gate[2] = {-EBADF, -EBADF}; /* where it is open, a job waits for a byte */

static void note(const char *text)
{
	strncat(done_work, text, sizeof done_work - strlen(done_work) - 1);
}

int __wrap_enforce_resources(int cgroup_fd, const struct resource_list *was, const struct resource_list *wanted,
			     bool again, char *ret_text);
int __wrap_device_program_load(const struct bpf_insn *program, size_t bytes);
int __wrap_device_program_attach(int cgroup_fd, int program_fd);

int __wrap_enforce_resources(int cgroup_fd, const struct resource_list *was, const struct resource_list *wanted,
			     bool again, char *ret_text)
{
	char text[32], byte;

	ret_text[0] = '\0';
	assert_true(fcntl(cgroup_fd, F_GETFD) >= 0);
	if (gate[0] >= 0)
		assert_int_equal(read(gate[0], &byte, 1), 1);
	snprintf(text, sizeof text, "%s>%s%s ", (const char *)was, (const char *)wanted, again ? "!" : "");
	note(text);
	if (resources_error)
		strcpy(ret_text, "memory.max (Invalid argument)");
	return resources_error;
}

int __wrap_device_program_load(const struct bpf_insn *program, size_t bytes)
{
	assert_int_equal(bytes, 2);
	note((const char *)program);
	return program_error ? program_error : dup(STDERR_FILENO);
}

int __wrap_device_program_attach(int cgroup_fd, int program_fd)
{
	assert_true(fcntl(cgroup_fd, F_GETFD) >= 0);
	note(program_fd < 0 ? "none " : " ");
	return 0;
}

struct fixture {
	uv_loop_t loop;
	struct blob_pool pool;
	struct blob *lists[4], *programs[2]; /* "0" to "3", "A" and "B"; one reference of each is the test's */
	struct enforcement enforcement;
	unsigned n_done;
	int cgroup_fd;
};

static void on_done(void *userdata)
{
	((struct fixture *)userdata)->n_done++;
}

static struct blob *blob_of(struct blob_pool *pool, char letter)
{
	const char text[2] = {letter, '\0'};

	return blob_add(pool, NULL, 0, strdup(text), sizeof text);
}

static int setup(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){.cgroup_fd = open("/", O_DIRECTORY | O_RDONLY | O_CLOEXEC)};
	uv_loop_init(&fixture.loop);
	for (int i = 0; i < 4; i++)
		fixture.lists[i] = blob_of(&fixture.pool, (char)('0' + i));
	for (int i = 0; i < 2; i++)
		fixture.programs[i] = blob_of(&fixture.pool, (char)('A' + i));
	done_work[0] = '\0';
	resources_error = program_error = 0;
	enforcement_init(&fixture.enforcement, fixture.lists[0], fixture.programs[0], on_done, &fixture);
	*state = &fixture;
	return 0;
}

/* Nothing is left: no blob, no descriptor, no handle. */
static int teardown(void **state)
{
	struct fixture *fixture = *state;

	enforcement_finish(&fixture->enforcement);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	for (int i = 0; i < 4; i++)
		blob_unref(fixture->lists[i]);
	for (int i = 0; i < 2; i++)
		blob_unref(fixture->programs[i]);
	fd_close(fixture->cgroup_fd);
	return fixture->pool.blobs || uv_loop_close(&fixture->loop) < 0 ? -1 : 0;
}

static void change(struct fixture *fixture, int list, int program)
{
	enforcement_change(&fixture->enforcement, &fixture->loop, fixture->cgroup_fd, fixture->lists[list],
			   program < 0 ? NULL : fixture->programs[program]);
}

static void assert_work(struct fixture *fixture, const char *expected)
{
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_string_equal(done_work, expected);
	done_work[0] = '\0';
}

static void test_same(void **state)
{
	struct fixture *fixture = *state;

	change(fixture, 0, 0);
	assert_false(enforcement_busy(&fixture->enforcement));
	assert_work(fixture, "");
	assert_int_equal(fixture->n_done, 0);
}

static void test_changes(void **state)
{
	struct fixture *fixture = *state;

	change(fixture, 1, 0);
	assert_true(enforcement_busy(&fixture->enforcement));
	/* It is in force when it is written. */
	assert_ptr_equal(fixture->enforcement.resources, fixture->lists[0]);
	assert_work(fixture, "0>1 ");
	assert_ptr_equal(fixture->enforcement.resources, fixture->lists[1]);
	assert_int_equal(fixture->n_done, 1);
	change(fixture, 1, 1);
	assert_work(fixture, "B 1>1 ");
	change(fixture, 2, -1);
	assert_work(fixture, "none 1>2 ");
	change(fixture, 2, 0);
	assert_work(fixture, "A 2>2 ");
	assert_int_equal(fixture->n_done, 4);
}

/* What comes while one is under way waits; of several the last one counts. */
static void test_in_order(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	change(fixture, 1, 0);
	change(fixture, 2, 1);
	change(fixture, 3, 0);
	assert_int_equal(write(gate[1], "xx", 2), 2);
	assert_work(fixture, "0>1 1>3 ");
	assert_int_equal(fixture->n_done, 1);
	assert_ptr_equal(fixture->enforcement.resources, fixture->lists[3]);
	fd_close(gate[0]);
	fd_close(gate[1]);
	gate[0] = gate[1] = -EBADF;
}

static void test_errors(void **state)
{
	struct fixture *fixture = *state;

	resources_error = -EINVAL;
	change(fixture, 1, 0);
	assert_work(fixture, "0>1 ");
	assert_string_equal(fixture->enforcement.error, "memory.max (Invalid argument)");
	/* The same again is tried again, and all of it. */
	resources_error = 0;
	program_error = -EPERM;
	change(fixture, 1, 0);
	assert_work(fixture, "A1>1! ");
	assert_string_equal(fixture->enforcement.error, "the device program (Operation not permitted)");
	program_error = 0;
	change(fixture, 1, 0);
	assert_work(fixture, "A 1>1! ");
	assert_null(fixture->enforcement.error);
	change(fixture, 1, 0);
	assert_work(fixture, "");
	assert_int_equal(fixture->n_done, 3);
}

/* The container ends while its limits are being written. */
static void test_gone(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	change(fixture, 1, 1);
	change(fixture, 2, 1);
	enforcement_finish(&fixture->enforcement);
	assert_int_equal(write(gate[1], "x", 1), 1);
	assert_int_equal(fixture->n_done, 1);
	assert_work(fixture, "B 0>1 ");
	assert_int_equal(fixture->n_done, 1);
	fd_close(gate[0]);
	fd_close(gate[1]);
	gate[0] = gate[1] = -EBADF;
}

static void test_no_descriptor(void **state)
{
	struct fixture *fixture = *state;

	enforcement_change(&fixture->enforcement, &fixture->loop, -EBADF, fixture->lists[1], NULL);
	assert_false(enforcement_busy(&fixture->enforcement));
	assert_string_equal(fixture->enforcement.error, "new limits (Bad file descriptor)");
	change(fixture, 0, 0);
	assert_work(fixture, "A 0>0! ");
	assert_null(fixture->enforcement.error);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(same), TEST(changes), TEST(in_order), TEST(errors), TEST(gone), TEST(no_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
