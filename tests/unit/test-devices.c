/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "devices.h"
#include "resources.h"

#define R DEVICE_READ
#define W DEVICE_WRITE
#define M DEVICE_MAKE

static const struct resource_spec no_resources = {
	.cpu_weight = SPEC_UNSET,
	.cpu_quota_us = SPEC_UNSET,
	.memory_min = SPEC_UNSET,
	.memory_low = SPEC_UNSET,
	.memory_high = SPEC_UNSET,
	.memory_max = SPEC_UNSET,
	.memory_swap_max = SPEC_UNSET,
	.memory_zswap_max = SPEC_UNSET,
	.io_weight = SPEC_UNSET,
	.tasks_max = SPEC_UNSET,
};
static struct host host = {.device_programs = true};

/* A program that was compiled, and what was missing. */
struct fixture {
	struct bpf_insn *program;
	size_t bytes;
	struct resource_list *list;
};

static int setup(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){0};
	host.device_programs = true;
	*state = &fixture;
	return 0;
}

static void finish(struct fixture *fixture)
{
	free(fixture->program);
	free(fixture->list);
	*fixture = (struct fixture){0};
}

static int teardown(void **state)
{
	finish(*state);
	return 0;
}

static void compile(struct fixture *fixture, enum device_policy policy, const struct device_spec *devices,
		    unsigned n)
{
	const struct site_spec spec = {
		.resources = &no_resources, .device_policy = policy, .devices = devices, .n_devices = n};
	struct resource_builder builder;
	size_t bytes;

	finish(fixture);
	resources_begin(&builder, spec.resources, &host, n + 1);
	assert_int_equal(devices_compile(&spec, &builder, &fixture->program, &fixture->bytes), 0);
	assert_int_equal(resources_finish(&builder, &fixture->list, &bytes), 0);
}

#define COMPILE(fixture, policy, ...)                                                                          \
	do {                                                                                                   \
		const struct device_spec listed[] = {__VA_ARGS__};                                             \
		compile(fixture, policy, listed, sizeof listed / sizeof *listed);                              \
	} while (0)

/* What the kernel would get for an answer: an interpreter of the instructions that devices.c uses. */
static int ask(const struct fixture *fixture, bool block, unsigned major, unsigned minor, unsigned access)
{
	const struct bpf_cgroup_dev_ctx context = {
		.access_type = access << 16 | (block ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
		.major = major,
		.minor = minor};
	uint64_t reg[11] = {0};
	size_t n = fixture->bytes / sizeof(struct bpf_insn);

	for (size_t at = 0; at < n; at++) {
		const struct bpf_insn *insn = &fixture->program[at];
		uint32_t word;

		switch (insn->code) {
		case BPF_LDX | BPF_W | BPF_MEM:
			assert_int_equal(insn->src_reg, 1);
			memcpy(&word, (const char *)&context + insn->off, sizeof word);
			reg[insn->dst_reg] = word;
			break;
		case BPF_ALU64 | BPF_MOV | BPF_X:
			reg[insn->dst_reg] = reg[insn->src_reg];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			reg[insn->dst_reg] = (uint64_t)insn->imm;
			break;
		case BPF_ALU64 | BPF_AND | BPF_K:
			reg[insn->dst_reg] &= (uint64_t)insn->imm;
			break;
		case BPF_ALU64 | BPF_RSH | BPF_K:
			reg[insn->dst_reg] >>= insn->imm;
			break;
		case BPF_JMP | BPF_JNE | BPF_K:
			at += reg[insn->dst_reg] != (uint64_t)insn->imm ? (size_t)insn->off : 0;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			at += reg[insn->dst_reg] & (uint64_t)insn->imm ? (size_t)insn->off : 0;
			break;
		case BPF_JMP | BPF_EXIT:
			return (int)reg[0];
		default:
			fail_msg("instruction %zu: code %#x", at, insn->code);
		}
	}
	fail_msg("the program has no end");
	return -1;
}

static void test_default(void **state)
{
	struct fixture *fixture = *state;

	compile(fixture, DEVICES_CLOSED, NULL, 0);
	for (const struct device_node *node = device_standard; node->path; node++)
		for (unsigned access = 1; access < 8; access++)
			assert_int_equal(ask(fixture, false, node->major, node->minor, access), 1);
	assert_int_equal(ask(fixture, false, 136, 0, R | W), 1);
	assert_int_equal(ask(fixture, false, 136, 70000, R | W), 1);
	assert_int_equal(ask(fixture, false, 5, 2, R | W), 1);
	/* Neighbours: /dev/mem, /dev/port, the console, a terminal of the host, the same numbers as a disk. */
	for (unsigned access = 1; access < 8; access++) {
		assert_int_equal(ask(fixture, false, 1, 1, access), 0);
		assert_int_equal(ask(fixture, false, 1, 4, access), 0);
		assert_int_equal(ask(fixture, false, 5, 1, access), 0);
		assert_int_equal(ask(fixture, false, 4, 0, access), 0);
		assert_int_equal(ask(fixture, false, 10, 229, access), 0);
		assert_int_equal(ask(fixture, true, 1, 3, access), 0);
		assert_int_equal(ask(fixture, true, 8, 0, access), 0);
		assert_int_equal(ask(fixture, true, 136, 0, access), 0);
	}
	assert_int_equal(fixture->list->n_missing, 0);
}

static void test_auto(void **state)
{
	struct fixture *fixture = *state;

	compile(fixture, DEVICES_AUTO, NULL, 0);
	assert_null(fixture->program);
	assert_int_equal(fixture->list->n_missing, 0);
	COMPILE(fixture, DEVICES_AUTO, {"block-*", R});
	assert_int_equal(ask(fixture, false, 1, 3, R | W), 1);
	assert_int_equal(ask(fixture, false, 1, 1, R), 0);
	assert_int_equal(ask(fixture, true, 8, 0, R), 1);
}

/* Standard nodes are still made by torpor, but nobody can open them. */
static void test_strict(void **state)
{
	struct fixture *fixture = *state;

	COMPILE(fixture, DEVICES_STRICT, {"/dev/null", R});
	assert_int_equal(ask(fixture, false, 1, 3, R), 1);
	assert_int_equal(ask(fixture, false, 1, 3, W), 0);
	assert_int_equal(ask(fixture, false, 1, 3, R | W), 0);
	assert_int_equal(ask(fixture, false, 1, 5, M), 1);
	assert_int_equal(ask(fixture, false, 1, 5, R), 0);
	assert_int_equal(ask(fixture, false, 136, 0, R), 0);
	assert_int_equal(ask(fixture, false, 5, 2, R), 0);
}

static void test_access(void **state)
{
	struct fixture *fixture = *state;

	for (unsigned allowed = 1; allowed < 8; allowed++)
		for (unsigned asked = 1; asked < 8; asked++) {
			COMPILE(fixture, DEVICES_STRICT, {"block-*", allowed});
			assert_int_equal(ask(fixture, true, 7, 9, asked), (asked & ~allowed) == 0);
			assert_int_equal(ask(fixture, false, 7, 9, asked), 0);
		}
}

/* The first rules do not hide the last. */
static void test_many(void **state)
{
	struct fixture *fixture = *state;
	static struct device_spec devices[SPEC_LIST_MAX];

	for (unsigned i = 0; i < SPEC_LIST_MAX; i++)
		devices[i] = (struct device_spec){i % 2 ? "/dev/zero" : "/dev/null", R};
	devices[SPEC_LIST_MAX - 1] = (struct device_spec){"/dev/full", W};
	compile(fixture, DEVICES_STRICT, devices, SPEC_LIST_MAX);
	assert_int_equal(ask(fixture, false, 1, 3, R), 1);
	assert_int_equal(ask(fixture, false, 1, 7, W), 1);
	assert_int_equal(ask(fixture, false, 1, 7, R), 0);
}

static void test_classes(void **state)
{
	struct fixture *fixture = *state;

	COMPILE(fixture, DEVICES_STRICT, {"char-mem", R});
	assert_int_equal(ask(fixture, false, 1, 1, R), 1);
	assert_int_equal(ask(fixture, false, 1, 1, W), 0);
	assert_int_equal(ask(fixture, false, 2, 1, R), 0);
	/* A pattern: "mem" and "misc" begin with it. */
	COMPILE(fixture, DEVICES_STRICT, {"char-m*", W});
	assert_int_equal(ask(fixture, false, 1, 1, W), 1);
	assert_int_equal(ask(fixture, false, 10, 1, W), 1);
	assert_int_equal(ask(fixture, true, 1, 1, W), 0);
	assert_int_equal(fixture->list->n_missing, 0);
	/* Not the other half of the file. */
	COMPILE(fixture, DEVICES_STRICT, {"block-mem", R});
	assert_int_equal(fixture->list->n_missing, 1);
	assert_string_equal(resource_text(fixture->list, fixture->list->missing),
			    "DeviceAllow=block-mem (no such devices in /proc/devices)");
}

static void test_missing(void **state)
{
	struct fixture *fixture = *state;
	const char *text;

	COMPILE(fixture, DEVICES_CLOSED, {"/dev/nosuch", R}, {"/dev/shm", R}, {"/dev/null", R});
	assert_int_equal(fixture->list->n_missing, 2);
	text = resource_text(fixture->list, fixture->list->missing);
	assert_string_equal(text, "DeviceAllow=/dev/nosuch (No such file or directory)");
	assert_string_equal(resource_next_missing(text), "DeviceAllow=/dev/shm (No such device)");
	assert_non_null(fixture->program);
	host.device_programs = false;
	compile(fixture, DEVICES_CLOSED, NULL, 0);
	assert_null(fixture->program);
	assert_string_equal(resource_text(fixture->list, fixture->list->missing),
			    "DevicePolicy= (this host's kernel takes no device program by bpf(2))");
	compile(fixture, DEVICES_AUTO, NULL, 0);
	assert_int_equal(fixture->list->n_missing, 0);
}

static void test_find(void **state)
{
	bool block = true;
	dev_t number;

	(void)state;
	assert_int_equal(device_find("/dev/null", &block, &number), 0);
	assert_false(block);
	assert_int_equal(number, makedev(1, 3));
	assert_int_equal(device_find("/etc/passwd", &block, &number), -ENODEV);
	assert_int_equal(device_find("/dev/nosuch", &block, &number), -ENOENT);
}

static void test_dump(void **state)
{
	struct fixture *fixture = *state;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	COMPILE(fixture, DEVICES_CLOSED, {"/dev/null", R}, {"block-*", R | W}, {"char-*", M});
	devices_dump(fixture->program, fixture->bytes, out);
	fclose(out);
	assert_string_equal(text, "device: allow c 1:3 rwm\n"
				  "device: allow c 1:5 rwm\n"
				  "device: allow c 1:7 rwm\n"
				  "device: allow c 1:8 rwm\n"
				  "device: allow c 1:9 rwm\n"
				  "device: allow c 5:0 rwm\n"
				  "device: allow c 5:2 rwm\n"
				  "device: allow c 136:* rwm\n"
				  "device: allow c 1:3 rm\n"
				  "device: allow b *:* rw\n"
				  "device: allow c *:* m\n");
	free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(default), TEST(auto),    TEST(strict), TEST(access), TEST(many),
		TEST(classes), TEST(missing), TEST(find),   TEST(dump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
