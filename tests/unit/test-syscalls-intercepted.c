/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/audit.h>
#include <stdbool.h>
#include <sys/syscall.h>

#include "bpf.h"
#include "filter.h"
#include "syscalls.h"

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#define X32_BIT     0x40000000
#else
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#endif

static uint32_t answer_call(const struct blob *blob, uint32_t arch, int number)
{
	const struct seccomp_data data = {.nr = number, .arch = arch};

	return bpf_run(blob->data, blob->data_bytes / sizeof(struct sock_filter), &data, NULL);
}

static const struct site_spec takes_fds = {.handover = HANDOVER_LISTEN_FDS},
			      takes_stdin = {.handover = HANDOVER_STDIN},
			      takes_any = {.handover = HANDOVER_AUTO}, binds = {.handover = HANDOVER_BIND};

struct fixture {
	struct blob_pool pool;
	struct blob *plain, *intercepting;
};

static int setup(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){0};
	*state = &fixture;
	return syscalls_compile(&fixture.pool, &takes_fds, &fixture.plain) < 0 ||
			       syscalls_compile(&fixture.pool, &takes_any, &fixture.intercepting) < 0
		       ? -1
		       : 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	blob_unref(fixture->plain);
	blob_unref(fixture->intercepting);
	return fixture->pool.blobs ? -1 : 0;
}

/* Two programs, of which every site has one. */
static void test_shared(void **state)
{
	struct fixture *fixture = *state;
	const struct site_spec *specs[] = {&takes_fds, &takes_stdin, &takes_any, &binds};
	struct blob *again;

	assert_ptr_not_equal(fixture->plain, fixture->intercepting);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(syscalls_compile(&fixture->pool, specs[i], &again), 0);
		assert_ptr_equal(again, i < 2 ? fixture->plain : fixture->intercepting);
		blob_unref(again);
	}
	/* One more run of calls to tell apart. */
	assert_true(fixture->intercepting->data_bytes <=
		    fixture->plain->data_bytes + 6 * sizeof(struct sock_filter));
}

static void test_intercepted(void **state)
{
	const struct fixture *fixture = *state;

	assert_int_equal(answer_call(fixture->plain, NATIVE_ARCH, SYS_bind), SECCOMP_RET_ALLOW);
	assert_int_equal(answer_call(fixture->plain, NATIVE_ARCH, SYS_listen), SECCOMP_RET_ALLOW);
	for (int number = -1; number < FILTER_CALLS_MAX + 64; number++) {
		uint32_t plain = answer_call(fixture->plain, NATIVE_ARCH, number),
			 intercepting = answer_call(fixture->intercepting, NATIVE_ARCH, number);

		if (number == SYS_bind || number == SYS_listen)
			assert_int_equal(intercepting, SECCOMP_RET_USER_NOTIF);
		else
			assert_int_equal(intercepting, plain);
	}
}

/* What the unit refuses stays refused. */
static void test_refused(void **state)
{
	static const struct site_spec refusing = {.handover = HANDOVER_BIND, .system_calls = "~bind"};
	struct fixture *fixture = *state;
	struct blob *blob;

	assert_int_equal(syscalls_compile(&fixture->pool, &refusing, &blob), 0);
	assert_int_equal(answer_call(blob, NATIVE_ARCH, SYS_bind), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(answer_call(blob, NATIVE_ARCH, SYS_listen), SECCOMP_RET_USER_NOTIF);
	blob_unref(blob);
}

/* No way around it by another entry: socketcall(2) of i386, the numbers of x32. */
static void test_other_entries(void **state)
{
	const struct fixture *fixture = *state;
	const struct blob *both[] = {fixture->plain, fixture->intercepting};

	for (int i = 0; i < 2; i++)
		for (int number = -1; number < FILTER_CALLS_MAX; number++) {
			assert_int_equal(answer_call(both[i], AUDIT_ARCH_I386, number),
					 SECCOMP_RET_ERRNO | ENOSYS);
			assert_int_equal(answer_call(both[i], AUDIT_ARCH_ARM, number),
					 SECCOMP_RET_ERRNO | ENOSYS);
#ifdef X32_BIT
			if (number >= 0)
				assert_int_equal(answer_call(both[i], NATIVE_ARCH, X32_BIT | number),
						 SECCOMP_RET_ERRNO | ENOSYS);
#endif
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_intercepted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_entries, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
