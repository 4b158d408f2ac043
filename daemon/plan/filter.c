/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "system call filters are written for x86-64 and arm64"
#endif

#define JUMP_MAX 255 /* of a conditional jump */

/* Neighbouring calls with one answer. */
struct span {
	uint32_t first;
	uint32_t action;
	const struct filter_check *check;
};

struct program {
	struct sock_filter *code;
	size_t n, size;
	int error;
};

static size_t emit(struct program *p, struct sock_filter insn)
{
	if (p->n == p->size) {
		size_t want = p->size ? p->size * 2 : 256;
		struct sock_filter *grown =
			want > 4 * BPF_MAXINSNS ? NULL : realloc(p->code, want * sizeof *grown);

		if (!grown) {
			p->error = want > 4 * BPF_MAXINSNS ? -E2BIG : -ENOMEM;
			return 0;
		}
		p->code = grown;
		p->size = want;
	}
	p->code[p->n] = insn;
	return p->n++;
}

static void emit_load(struct program *p, size_t offset)
{
	emit(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void emit_return(struct program *p, uint32_t action)
{
	emit(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* Neighbouring tests of one argument with one action share its return. */
static unsigned run_length(const struct filter_test *tests, unsigned n)
{
	unsigned length = 1;

	while (length < n && tests[length].argument == tests[0].argument &&
	       tests[length].action == tests[0].action)
		length++;
	return length;
}

static void emit_test(struct program *p, const struct filter_test *test, unsigned left)
{
	uint8_t hit = (uint8_t)left, miss = left == 0; /* the return follows the last test of its run */
	bool whole = test->match == FILTER_EQUALS || test->match == FILTER_DIFFERS;
	unsigned code = BPF_JMP | BPF_K | (whole ? BPF_JEQ : BPF_JSET);

	if (test->match == FILTER_NO_BIT || test->match == FILTER_DIFFERS)
		emit(p, (struct sock_filter)BPF_JUMP(code, test->value, miss, hit));
	else
		emit(p, (struct sock_filter)BPF_JUMP(code, test->value, hit, miss));
}

static void emit_check(struct program *p, const struct filter_check *check)
{
	for (unsigned i = 0, length; i < check->n_tests; i += length) {
		const struct filter_test *tests = &check->tests[i];

		length = run_length(tests, check->n_tests - i);
		/* Little-endian, as both architectures are: the low half comes first. */
		if (i == 0 || tests[0].argument != tests[-1].argument)
			emit_load(p,
				  offsetof(struct seccomp_data, args) + tests[0].argument * sizeof(uint64_t));
		for (unsigned k = 0; k < length; k++)
			emit_test(p, &tests[k], length - 1 - k);
		emit_return(p, tests[0].action);
	}
	emit_return(p, check->otherwise);
}

/* Where half of the calls of spans[0..n] are left of, as nearly as may be: each of them is asked once, by the
 * kernel. spans[n] is there too. */
static size_t find_middle(const struct span *spans, size_t n)
{
	uint32_t half = spans[0].first + (spans[n].first - spans[0].first) / 2;
	size_t middle = 1;

	while (middle < n - 1 && spans[middle].first < half)
		middle++;
	/* The one before it may lie nearer. */
	if (middle > 1 && half - spans[middle - 1].first < spans[middle].first - half)
		middle--;
	return middle;
}

/* Bisects the spans: the number is in the accumulator. */
static void emit_spans(struct program *p, const struct span *spans, size_t n)
{
	size_t jump, start, length, middle = n > 1 ? find_middle(spans, n) : 0;

	if (p->error)
		return;
	if (n == 1) {
		if (spans->check)
			emit_check(p, spans->check);
		else
			emit_return(p, spans->action);
		return;
	}
	/* Room for a long jump, which is taken out again where a short one will do. */
	jump = emit(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, spans[middle].first, 0, 1));
	emit(p, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
	start = p->n;
	emit_spans(p, spans, middle);
	if (p->error)
		return;
	length = p->n - start;
	if (length <= JUMP_MAX) {
		memmove(&p->code[jump + 1], &p->code[start], length * sizeof p->code[0]);
		p->n--;
		p->code[jump].jt = (uint8_t)length;
		p->code[jump].jf = 0;
	} else {
		p->code[jump + 1].k = (uint32_t)length;
	}
	emit_spans(p, spans + middle, n - middle);
}

static bool is_return(const struct sock_filter *insn)
{
	return BPF_CLASS(insn->code) == BPF_RET;
}

/* The farthest place with the same return as at `target` that a conditional jump at `from` reaches. */
static size_t farthest_same(const struct program *p, size_t from, size_t target)
{
	size_t last = from + 1 + JUMP_MAX < p->n ? from + 1 + JUMP_MAX : p->n - 1;

	if (!is_return(&p->code[target]))
		return target;
	while (!is_return(&p->code[last]) || p->code[last].k != p->code[target].k)
		last--; /* to target at the latest */
	return last;
}

static bool is_test(const struct sock_filter *insn)
{
	return BPF_CLASS(insn->code) == BPF_JMP && BPF_OP(insn->code) != BPF_JA;
}

/* Takes out what nothing leads to. All jumps go forwards. */
static void drop_unreachable(struct program *p)
{
	/* Its new place; 0: not reached. The first instruction, whose place is 0, is no jump's target. */
	uint32_t *place = calloc(p->n, sizeof *place);
	size_t n = 0;

	if (!place) {
		p->error = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < p->n; i++) {
		const struct sock_filter *insn = &p->code[i];

		if (i > 0 && !place[i])
			continue;
		place[i] = (uint32_t)n++;
		if (is_test(insn))
			place[i + 1 + insn->jt] = place[i + 1 + insn->jf] = 1;
		else if (BPF_CLASS(insn->code) == BPF_JMP)
			place[i + 1 + insn->k] = 1;
		else if (!is_return(insn))
			place[i + 1] = 1;
	}
	for (size_t i = 0; i < p->n; i++) {
		struct sock_filter insn = p->code[i];

		if (i > 0 && !place[i])
			continue;
		if (is_test(&insn)) {
			insn.jt = (uint8_t)(place[i + 1 + insn.jt] - place[i] - 1);
			insn.jf = (uint8_t)(place[i + 1 + insn.jf] - place[i] - 1);
		} else if (BPF_CLASS(insn.code) == BPF_JMP) {
			insn.k = place[i + 1 + insn.k] - place[i] - 1;
		}
		p->code[place[i]] = insn;
	}
	p->n = n;
	free(place);
}

/* Jumps to one return where several say the same: the kernel's work when it installs a program, in each start
 * of a container, grows with the length. */
static void share_returns(struct program *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct sock_filter *insn = &p->code[i];

		if (!is_test(insn))
			continue;
		insn->jt = (uint8_t)(farthest_same(p, i, i + 1 + insn->jt) - i - 1);
		insn->jf = (uint8_t)(farthest_same(p, i, i + 1 + insn->jf) - i - 1);
	}
	drop_unreachable(p);
}

/* An end behind the last one is not counted. */
static size_t make_spans(const struct filter_rules *rules, struct span *spans)
{
	size_t n = 1;

	spans[0] = (struct span){0, rules->action[0], rules->check[0]};
	for (uint32_t number = 1; number < FILTER_CALLS_MAX; number++) {
		struct span span = {number, rules->action[number], rules->check[number]};

		if (span.check || spans[n - 1].check || spans[n - 1].action != span.action)
			spans[n++] = span;
	}
	spans[n++] = (struct span){FILTER_CALLS_MAX, rules->fallback, NULL};
	spans[n] = (struct span){.first = FILTER_CALLS_MAX + 1};
	return n;
}

int filter_compile(const struct filter_rules *rules, struct sock_filter **ret, size_t *ret_n)
{
	struct span spans[FILTER_CALLS_MAX + 2];
	size_t n = make_spans(rules, spans);
	struct program p = {0};

	emit_load(&p, offsetof(struct seccomp_data, arch));
	emit(&p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0));
	emit_return(&p, rules->fallback);
	/* Numbers of the x32 ABI, which has the same arch, lie far above the table. */
	emit_load(&p, offsetof(struct seccomp_data, nr));
	emit_spans(&p, spans, n);
	if (!p.error)
		share_returns(&p);
	if (!p.error && p.n > BPF_MAXINSNS)
		p.error = -E2BIG;
	if (p.error) {
		free(p.code);
		return p.error;
	}
	*ret = p.code;
	*ret_n = p.n;
	return 0;
}

static bool test_matches(const struct filter_test *test, uint32_t argument)
{
	switch (test->match) {
	case FILTER_EQUALS:
		return argument == test->value;
	case FILTER_DIFFERS:
		return argument != test->value;
	case FILTER_ANY_BIT:
		return argument & test->value;
	default:
		return !(argument & test->value);
	}
}

uint32_t filter_answer(const struct filter_rules *rules, unsigned number,
		       const uint32_t arguments[static FILTER_ARGUMENTS])
{
	const struct filter_check *check;

	if (number >= FILTER_CALLS_MAX)
		return rules->fallback;
	check = rules->check[number];
	if (!check)
		return rules->action[number];
	for (unsigned i = 0; i < check->n_tests; i++)
		if (test_matches(&check->tests[i], arguments[check->tests[i].argument]))
			return check->tests[i].action;
	return check->otherwise;
}
