/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

/* Seccomp programs from a table of system calls. libseccomp compiles one comparison a call; the kernel runs a
 * new program once for each of its 450 calls when it is installed (its cache of constant answers), so the
 * length of a way through it is paid at every start of a container. Runs of neighbouring calls with one answer,
 * found by bisection, make that way half as long and the program a third as large. */

#define FILTER_CALLS_MAX 512 /* numbers at or above this are refused with the fallback */
#define FILTER_ARGUMENTS 6   /* of a call */

/* What an argument of a call is compared with. The kernel takes the low 32 bits of the arguments that are
 * tested here (int, unsigned int, or flags that all lie there), and so does the program: what a caller puts
 * into the upper half does not matter. */
struct filter_test {
	uint8_t argument; /* its index */
	enum { FILTER_EQUALS, FILTER_DIFFERS, FILTER_ANY_BIT, FILTER_NO_BIT } match;
	uint32_t value;
	uint32_t action; /* SECCOMP_RET_* where it matches */
};

/* In their order: the first one that matches decides. */
struct filter_check {
	const struct filter_test *tests; /* [n_tests] */
	unsigned n_tests;                /* at most 255 */
	uint32_t otherwise;              /* SECCOMP_RET_* */
};

struct filter_rules {
	uint32_t action[FILTER_CALLS_MAX]; /* SECCOMP_RET_*, by number; ignored where there is a check */
	const struct filter_check *check[FILTER_CALLS_MAX];
	uint32_t fallback; /* of calls above the table, and of other ABIs (i386, x32) */
};

/* Compiles to a new array that the caller frees. -ENOMEM, -E2BIG (more than BPF_MAXINSNS). */
int filter_compile(const struct filter_rules *rules, struct sock_filter **ret, size_t *ret_n);

/* What such a program answers to a call of the native ABI: SECCOMP_RET_*. */
uint32_t filter_answer(const struct filter_rules *rules, unsigned number,
		       const uint32_t arguments[static FILTER_ARGUMENTS]);
