/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/bpf.h>

#include "cgroups.h"
#include "device-program.h"
#include "devices.h"
#include "resources.h"

/* Real programs in real control groups. */

static struct cgroups cgroups;

/* Answers every question alike. */
static void answer(struct bpf_insn *program, int value)
{
	program[0] = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = value};
	program[1] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
}

/* One of many programs. */
static void number(struct bpf_insn *program, int value)
{
	answer(program, value);
	program[1] = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1};
	program[2] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
}

static void open_device(void *argument)
{
	_exit(open(argument, O_RDWR | O_CLOEXEC) < 0 ? errno : 0);
}

/* What a process in the group gets that opens path. */
static int try_open(const char *path)
{
	int status = cgroups_wait_child(cgroups_fork(cgroups.fd, open_device, (void *)path));

	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_attach(void **state)
{
	struct bpf_insn deny[2], allow[2];
	int deny_fd, allow_fd;

	(void)state;
	answer(deny, 0);
	answer(allow, 1);
	deny_fd = device_program_load(deny, sizeof deny);
	allow_fd = device_program_load(allow, sizeof allow);
	assert_true(deny_fd >= 0 && allow_fd >= 0);
	assert_int_equal(try_open("/dev/null"), 0);
	assert_int_equal(device_program_attach(cgroups.fd, deny_fd), 0);
	assert_int_equal(try_open("/dev/null"), EPERM);
	/* The next one takes its place. */
	assert_int_equal(device_program_attach(cgroups.fd, allow_fd), 0);
	assert_int_equal(try_open("/dev/null"), 0);
	assert_int_equal(device_program_attach(cgroups.fd, deny_fd), 0);
	assert_int_equal(device_program_attach(cgroups.fd, -EBADF), 0);
	assert_int_equal(try_open("/dev/null"), 0);
	assert_int_equal(device_program_attach(cgroups.fd, -EBADF), 0);
	fd_close(deny_fd);
	fd_close(allow_fd);
}

/* The program that a site has by default, as the kernel understands it. */
static void test_default(void **state)
{
	const struct resource_spec resources = {.require_limits = false};
	const struct site_spec spec = {.device_policy = DEVICES_CLOSED, .resources = &resources};
	const struct host host = {.device_programs = true};
	struct resource_builder builder;
	struct resource_list *list;
	struct bpf_insn *program;
	size_t bytes, list_bytes;
	int fd;

	(void)state;
	resources_begin(&builder, spec.resources, &host, 1);
	assert_int_equal(devices_compile(&spec, &builder, &program, &bytes), 0);
	assert_int_equal(resources_finish(&builder, &list, &list_bytes), 0);
	fd = device_program_load(program, bytes);
	assert_true(fd >= 0);
	assert_int_equal(device_program_attach(cgroups.fd, fd), 0);
	assert_int_equal(try_open("/dev/null"), 0);
	assert_int_equal(try_open("/dev/zero"), 0);
	assert_int_equal(try_open("/dev/full"), 0);
	assert_int_equal(try_open("/dev/kmsg"), EPERM);
	assert_int_equal(device_program_attach(cgroups.fd, -EBADF), 0);
	fd_close(fd);
	free(program);
	free(list);
}

static void test_refused(void **state)
{
	struct bpf_insn program[2];

	(void)state;
	answer(program, 0);
	program[1].code = 0xff;
	assert_true(device_program_load(program, sizeof program) < 0);
	assert_int_equal(device_program_attach(cgroups.fd, cgroups.fd), -EINVAL);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* The same program is loaded once; the one that was loaded first goes when there are too many. */
static void test_cache(void **state)
{
	struct device_program_cache cache = {0};
	struct bpf_insn program[3];
	int fds[9];

	(void)state;
	for (int i = 0; i < 9; i++) {
		number(program, i);
		fds[i] = device_program_get(&cache, program, sizeof program);
		assert_true(fds[i] >= 0);
		assert_int_equal(device_program_get(&cache, program, sizeof program), fds[i]);
	}
	assert_false(is_open(fds[0]));
	for (int i = 1; i < 9; i++) {
		number(program, i);
		assert_int_equal(device_program_get(&cache, program, sizeof program), fds[i]);
	}
	program[0].code = 0xff;
	assert_true(device_program_get(&cache, program, sizeof program) < 0);
	assert_true(is_open(fds[1]));
	device_program_cache_finish(&cache);
	for (int i = 0; i < 9; i++)
		assert_false(is_open(fds[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attach),
		cmocka_unit_test(test_default),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_cache),
	};
	struct bpf_insn program[2];
	int r;

	answer(program, 1);
	r = device_program_load(program, sizeof program);
	if (r < 0) {
		printf("skipped: no device program can be loaded: %s\n", strerror(-r));
		return CGROUPS_SKIPPED;
	}
	fd_close(r);
	if (!cgroups_init(&cgroups))
		return CGROUPS_SKIPPED;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	cgroups_finish(&cgroups);
	return r;
}
