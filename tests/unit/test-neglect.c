/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "neglect.h"

#define DATAGRAMS 4 /* listener 2 takes them; 0 and 1 take connections */

#define LOOKS_MAX 5

struct history {
	const char *name;
	unsigned n;
	uint64_t waiting[LOOKS_MAX]; /* at 1, 2, 3 ... */
	uint64_t listeners, since_ns;
};

static const struct history histories[] = {
	{"nobody waits", 2, {0, 0}, 0, 0},
	{"somebody waits", 1, {1}, 1, 1},
	{"and goes on to", 3, {1, 1, 1}, 1, 1},
	{"was seen to", 3, {1, 1, 0}, 0, 0},
	{"was seen to, and somebody waits again", 4, {1, 1, 0, 1}, 1, 4},
	{"another waits as well", 3, {1, 3, 3}, 1, 1},
	{"the first was seen to, the other was not: its time begins when that is seen", 4, {1, 3, 2, 2}, 2, 3},
	{"both from the first look on", 3, {3, 3, 3}, 3, 1},
	{"one of both was seen to", 3, {3, 3, 2}, 2, 1},
	{"in turn", 4, {1, 2, 1, 2}, 2, 4},
	{"datagrams from the first look on", 3, {4, 4, 4}, 4, 1},
	{"datagrams that were read once", 4, {4, 0, 4, 4}, 0, 0},
	{"datagrams that came later", 3, {0, 4, 4}, 0, 0},
	{"datagrams beside a connection", 3, {1, 5, 5}, 1, 1},
};

static void test_histories(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof histories / sizeof *histories; i++) {
		const struct history *history = &histories[i];
		struct neglect neglect = {0};

		for (unsigned look = 0; look < history->n; look++)
			neglect_update(&neglect, look + 1, history->waiting[look], DATAGRAMS);
		if (neglect.listeners != history->listeners || neglect.since_ns != history->since_ns)
			fail_msg("%s: listeners %#lx since %lu", history->name,
				 (unsigned long)neglect.listeners, (unsigned long)neglect.since_ns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_histories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
