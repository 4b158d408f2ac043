/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "turn.h"

static struct turn_attributes attributes(pid_t thread)
{
	struct turn_attributes a = {0};

	assert_return_code(syscall(SYS_sched_getattr, thread, &a, sizeof a, 0), 0);
	return a;
}

static void set(uint32_t policy, int nice, uint64_t turn_ns)
{
	struct turn_attributes a = {.size = sizeof a, .policy = policy, .nice = nice, .turn_ns = turn_ns};

	assert_return_code(syscall(SYS_sched_setattr, 0, &a, 0), 0);
}

/* Whether this kernel has turns at all; what it says of a thread's are 0 before. */
static bool heeded(void)
{
	set(SCHED_OTHER, 0, TURN_LONGEST_NS);
	return attributes(0).turn_ns == TURN_LONGEST_NS;
}

/* All of it in a thread that ends with the test: only root could take back what is set of "nice". */
static void in_thread(void *(*body)(void *))
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, body, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void *shorten(void *unused)
{
	pid_t self = gettid();

	(void)unused;
	assert_false(turn_shorten(self)); /* as the kernel has them */
	if (!heeded()) {
		assert_false(turn_shorten(self));
		return NULL;
	}
	for (int policy = SCHED_OTHER; policy <= SCHED_BATCH; policy += SCHED_BATCH - SCHED_OTHER) {
		set((uint32_t)policy, 7, TURN_LONGEST_NS);
		assert_true(turn_shorten(self));
		assert_int_equal(attributes(self).policy, policy);
		assert_int_equal(attributes(self).nice, 7);
		assert_in_range(attributes(self).turn_ns, 1, TURN_LONGEST_NS / 10);
		assert_false(turn_shorten(self));
	}
	set(SCHED_OTHER, 7, TURN_LONGEST_NS / 2); /* what it has asked for itself */
	assert_false(turn_shorten(self));
	assert_int_equal(attributes(self).turn_ns, TURN_LONGEST_NS / 2);
	set(SCHED_IDLE, 7, TURN_LONGEST_NS);
	assert_false(turn_shorten(self));
	assert_int_equal(attributes(self).policy, SCHED_IDLE);
	return NULL;
}

static void test_shorten(void **state)
{
	(void)state;
	in_thread(shorten);
}

static void test_gone(void **state)
{
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(0);
	assert_return_code(child, 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_false(turn_shorten(child));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shorten),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
