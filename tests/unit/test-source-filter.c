/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Programs are compared with source_allowed(), run by an interpreter, and one is tried on the kernel's sockets.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "source-filter.h"
#include "source.h"

#define ROUNDS 400

static uint32_t load(const struct sock_filter *insn, const uint8_t *packet)
{
	uint32_t at = insn->k - (uint32_t)SKF_NET_OFF;

	assert_true(at < 40);
	if (BPF_SIZE(insn->code) == BPF_B)
		return packet[at];
	return (uint32_t)packet[at] << 24 | (uint32_t)packet[at + 1] << 16 | (uint32_t)packet[at + 2] << 8 |
	       packet[at + 3];
}

/* What the program answers to a packet, which starts at its network header. */
static bool run(const struct sock_filter *code, size_t n, const uint8_t *packet)
{
	uint32_t a = 0;

	for (size_t at = 0; at < n; at++) {
		const struct sock_filter *insn = &code[at];

		switch (insn->code) {
		case BPF_LD | BPF_W | BPF_ABS:
		case BPF_LD | BPF_B | BPF_ABS:
			a = load(insn, packet);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= insn->k;
			break;
		case BPF_ALU | BPF_RSH | BPF_K:
			a >>= insn->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			at += a == insn->k ? insn->jt : insn->jf;
			break;
		case BPF_JMP | BPF_JA:
			at += insn->k;
			break;
		case BPF_RET | BPF_K:
			return insn->k != 0;
		default:
			fail_msg("instruction %#x", insn->code);
		}
	}
	fail_msg("a way without an end");
	return false;
}

static void make_packet(int family, const uint8_t *address, uint8_t packet[static 40])
{
	memset(packet, 0, 40);
	packet[0] = family == AF_INET ? 0x45 : 0x60;
	memcpy(packet + (family == AF_INET ? 12 : 8), address, family == AF_INET ? 4 : 16);
}

/* Few different bytes, so that addresses meet rules. */
static void random_address(uint8_t *address)
{
	for (int i = 0; i < 16; i++)
		address[i] = (uint8_t)(rand() % 2 ? 0 : rand() % 4 << 6);
}

static void random_rule(struct source_rule *rule)
{
	char text[INET6_ADDRSTRLEN], word[SOURCE_TEXT_BYTES];
	struct source_rule parsed[SOURCE_NAMED_MAX];
	int family = rand() % 2 ? AF_INET : AF_INET6;
	uint8_t address[16];

	random_address(address);
	inet_ntop(family, address, text, sizeof text);
	snprintf(word, sizeof word, "%s/%d", text, rand() % (family == AF_INET ? 33 : 129));
	assert_int_equal(source_parse(word, rand() % 2, parsed), 1);
	*rule = parsed[0];
}

static void test_same_as_rules(void **state)
{
	struct source_rule rules[SOURCE_RULES_MAX];

	(void)state;
	srand(1);
	for (int round = 0; round < ROUNDS; round++) {
		size_t n = round == 0 ? SOURCE_RULES_MAX : (size_t)(rand() % 12), n_code;
		struct sock_filter *code;

		for (size_t i = 0; i < n; i++)
			random_rule(&rules[i]);
		assert_int_equal(source_filter_compile(rules, n, &code, &n_code), 0);
		assert_true(n_code <= BPF_MAXINSNS);
		for (int i = 0; i < 100; i++) {
			int family = rand() % 2 ? AF_INET : AF_INET6;
			uint8_t address[16], packet[40];

			random_address(address);
			make_packet(family, address, packet);
			assert_int_equal(run(code, n_code, packet), source_allowed(rules, n, family, address));
		}
		free(code);
	}
}

/* The longest program there can be is one that the kernel takes. */
static void test_longest(void **state)
{
	struct source_rule rules[SOURCE_RULES_MAX];
	struct sock_filter *code;
	struct sock_fprog program;
	size_t n;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	for (size_t i = 0; i < SOURCE_RULES_MAX; i++) {
		struct source_rule parsed[SOURCE_NAMED_MAX];

		assert_int_equal(source_parse("2001:db8:1:2:3:4:5:6/127", i % 2, parsed), 1);
		rules[i] = parsed[0];
	}
	assert_int_equal(source_filter_compile(rules, SOURCE_RULES_MAX, &code, &n), 0);
	program = (struct sock_fprog){.len = (unsigned short)n, .filter = code};
	assert_int_equal(setsockopt(fd < 0 ? socket(AF_INET, SOCK_DGRAM, 0) : fd, SOL_SOCKET, SO_ATTACH_FILTER,
				    &program, sizeof program),
			 0);
	free(code);
	if (fd >= 0)
		close(fd);
}

static int bound(const char *address)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	inet_pton(AF_INET, address, &in.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	return fd;
}

static bool arrives(int from, int to)
{
	struct sockaddr_in in;
	socklen_t length = sizeof in;
	char byte = 'x';

	assert_int_equal(getsockname(to, (struct sockaddr *)&in, &length), 0);
	(void)sendto(from, &byte, 1, 0, (struct sockaddr *)&in, sizeof in);
	return recv(to, &byte, 1, 0) == 1;
}

static void test_kernel(void **state)
{
	int target = bound("127.0.0.1"), friend = bound("127.0.0.2"), stranger = bound("127.0.1.2");
	struct source_rule rules[3];
	struct sock_filter *code;
	struct sock_fprog program;
	size_t n;

	(void)state;
	assert_int_equal(source_parse("127.0.0.0/24", false, &rules[0]), 1);
	assert_int_equal(source_parse("any", true, &rules[1]), 2);
	assert_int_equal(source_filter_compile(rules, 3, &code, &n), 0);
	program = (struct sock_fprog){.len = (unsigned short)n, .filter = code};
	assert_true(arrives(friend, target));
	assert_true(arrives(stranger, target));
	assert_int_equal(setsockopt(target, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
	assert_true(arrives(friend, target));
	assert_false(arrives(stranger, target));
	free(code);
	close(target);
	close(friend);
	close(stranger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_as_rules),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
