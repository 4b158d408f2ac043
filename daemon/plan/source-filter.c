/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "source-filter.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "source.h"

/* From the packet's network header on. */
#define VERSION    ((uint32_t)SKF_NET_OFF)
#define IP4_SOURCE ((uint32_t)SKF_NET_OFF + 12)
#define IP6_SOURCE ((uint32_t)SKF_NET_OFF + 8)
#define TAKE       UINT32_MAX /* all bytes of it */
#define DROP       0
#define RULE_LENGTH                                                                                            \
	(4 * 3 + 1) /* the most instructions of a rule: load, mask and compare four words, then answer */
#define FRAME 8     /* instructions around the rules */

struct code {
	struct sock_filter *at;
	size_t n;
};

static void emit(struct code *code, uint16_t op, uint32_t k, uint8_t hit, uint8_t miss)
{
	code->at[code->n++] = (struct sock_filter)BPF_JUMP(op, k, hit, miss);
}

/* How many of the 32 bits of word i a prefix holds. */
static unsigned word_bits(const struct source_rule *rule, unsigned i)
{
	return rule->prefix <= 32 * i ? 0 : rule->prefix >= 32 * (i + 1) ? 32 : rule->prefix - 32 * i;
}

/* A load, a comparison, and where the prefix ends within the word, a mask. */
static unsigned word_length(const struct source_rule *rule, unsigned i)
{
	unsigned bits = word_bits(rule, i);

	return bits == 0 ? 0 : bits == 32 ? 2 : 3;
}

static uint32_t word_of(const struct source_rule *rule, unsigned i)
{
	const uint8_t *bytes = &rule->address[4 * i];

	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void emit_rule(struct code *code, const struct source_rule *rule)
{
	uint32_t source = rule->family == AF_INET ? IP4_SOURCE : IP6_SOURCE;
	size_t end = code->n;

	for (unsigned i = 0; i < 4; i++)
		end += word_length(rule, i);
	for (unsigned i = 0; i < 4 && word_bits(rule, i) > 0; i++) {
		unsigned bits = word_bits(rule, i);

		emit(code, BPF_LD | BPF_W | BPF_ABS, source + 4 * i, 0, 0);
		if (bits < 32)
			emit(code, BPF_ALU | BPF_AND | BPF_K, ~(UINT32_MAX >> bits), 0, 0);
		/* Past the answer, which stands at the end. */
		emit(code, BPF_JMP | BPF_JEQ | BPF_K, word_of(rule, i), 0, (uint8_t)(end - code->n));
	}
	emit(code, BPF_RET | BPF_K, rule->deny ? DROP : TAKE, 0, 0);
}

static void emit_family(struct code *code, const struct source_rule *rules, size_t n, int family)
{
	for (int deny = 0; deny < 2; deny++)
		for (size_t i = 0; i < n; i++)
			if (rules[i].family == family && rules[i].deny == deny)
				emit_rule(code, &rules[i]);
	emit(code, BPF_RET | BPF_K, TAKE, 0, 0);
}

int source_filter_compile(const struct source_rule *rules, size_t n, struct sock_filter **ret, size_t *ret_n)
{
	struct code code = {.at = reallocarray(NULL, n * RULE_LENGTH + FRAME, sizeof *code.at)};
	size_t jump;

	if (!code.at)
		return -ENOMEM;
	emit(&code, BPF_LD | BPF_B | BPF_ABS, VERSION, 0, 0);
	emit(&code, BPF_ALU | BPF_RSH | BPF_K, 4, 0, 0);
	emit(&code, BPF_JMP | BPF_JEQ | BPF_K, 4, 1, 0);
	jump = code.n;
	emit(&code, BPF_JMP | BPF_JA, 0, 0,
	     0); /* over the rules of IPv4: further than a conditional jump goes */
	emit_family(&code, rules, n, AF_INET);
	code.at[jump].k = (uint32_t)(code.n - jump - 1);
	emit(&code, BPF_JMP | BPF_JEQ | BPF_K, 6, 1, 0);
	emit(&code, BPF_RET | BPF_K, DROP, 0, 0);
	emit_family(&code, rules, n, AF_INET6);
	*ret = code.at;
	*ret_n = code.n;
	return 0;
}
