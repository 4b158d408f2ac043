/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Runs a seccomp program as the kernel does, with what of BPF such programs are made of (kernel/seccomp.c,
 * seccomp_check_filter). Fails the test where the kernel would refuse the program. */

static uint32_t bpf_load(const struct seccomp_data *data, uint32_t offset)
{
	uint32_t word;

	assert_true(offset % sizeof word == 0 && offset < sizeof *data);
	memcpy(&word, (const char *)data + offset, sizeof word);
	return word;
}

static bool bpf_jumps(const struct sock_filter *insn, uint32_t accumulator)
{
	switch (BPF_OP(insn->code)) {
	case BPF_JEQ:
		return accumulator == insn->k;
	case BPF_JGE:
		return accumulator >= insn->k;
	case BPF_JGT:
		return accumulator > insn->k;
	case BPF_JSET:
		return accumulator & insn->k;
	default:
		fail_msg("jump %#x", insn->code);
		return false;
	}
}

/* The action; the number of instructions on the way to it is added to *steps, which may be NULL. */
static uint32_t bpf_run(const struct sock_filter *code, size_t n, const struct seccomp_data *data,
			size_t *steps)
{
	uint32_t accumulator = 0;
	bool loaded = false;

	for (size_t at = 0; at < n; at++) {
		const struct sock_filter *insn = &code[at];

		if (steps)
			(*steps)++;
		assert_true(loaded || insn->code == (BPF_LD | BPF_W | BPF_ABS));
		if (insn->code == (BPF_LD | BPF_W | BPF_ABS)) {
			accumulator = bpf_load(data, insn->k);
			loaded = true;
		} else if (insn->code == (BPF_RET | BPF_K)) {
			return insn->k;
		} else if (insn->code == (BPF_JMP | BPF_JA)) {
			at += insn->k;
		} else if (insn->code == (BPF_ALU | BPF_AND | BPF_K)) { /* libseccomp's */
			accumulator &= insn->k;
		} else {
			assert_int_equal(BPF_CLASS(insn->code), BPF_JMP);
			assert_int_equal(BPF_SRC(insn->code), BPF_K);
			at += bpf_jumps(insn, accumulator) ? insn->jt : insn->jf;
		}
	}
	fail_msg("a way without an end");
	return 0;
}
