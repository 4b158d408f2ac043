/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "devices.h"

#include <errno.h>
#include <fnmatch.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "resources.h"
#include "str.h"

#define ANY      (-1)
#define ALL      (DEVICE_READ | DEVICE_WRITE | DEVICE_MAKE)
#define PTS      136 /* Documentation/admin-guide/devices.txt: Unix98 terminals, and their master */
#define PTMX     5, 2
#define RULE_MAX 6 /* instructions of one rule */

const struct device_node device_standard[] = {
	{"/dev/null", 1, 3},    {"/dev/zero", 1, 5}, {"/dev/full", 1, 7}, {"/dev/random", 1, 8},
	{"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},  {NULL, 0, 0},
};

/* One line of the table that a program is made from. */
struct rule {
	bool block;
	int major, minor; /* ANY */
	unsigned access;
};

struct rules {
	struct rule *items; /* [n]; owned */
	size_t n, size;
	int error; /* sticky: -ENOMEM */
};

static void add(struct rules *rules, struct rule rule)
{
	if (rules->n == rules->size) {
		size_t want = rules->size ? rules->size * 2 : 16;
		struct rule *grown = realloc(rules->items, want * sizeof *grown);

		if (!grown) {
			rules->error = -ENOMEM;
			return;
		}
		rules->items = grown;
		rules->size = want;
	}
	rules->items[rules->n++] = rule;
}

int device_find(const char *path, bool *ret_block, dev_t *ret)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
		return -ENODEV;
	*ret_block = S_ISBLK(st.st_mode);
	*ret = st.st_rdev;
	return 0;
}

/* Nodes are made by torpor, in the container's own control group: whoever may use one may make it. */
static void add_node(struct rules *rules, const struct device_spec *device, struct resource_builder *builder)
{
	bool block;
	dev_t number;
	int r = device_find(device->name, &block, &number);

	if (r == 0)
		add(rules,
		    (struct rule){block, (int)major(number), (int)minor(number), device->access | DEVICE_MAKE});
	else
		resources_missing(builder, false, "DeviceAllow=%s (%s)", device->name, strerror(-r));
}

/* The numbers that /proc/devices has for a name or a pattern: "Character devices:", "  1 mem", an empty line,
 * "Block devices:", "  7 loop". */
static int add_numbers(struct rules *rules, bool block, const char *pattern, unsigned access)
{
	autofclose FILE *file = fopen("/proc/devices", "re");
	bool in_block = false;
	int major, r = -ENOENT;
	char line[128], name[100];

	if (!file)
		return -errno;
	while (fgets(line, sizeof line, file)) {
		if (strncmp(line, "Block", 5) == 0)
			in_block = true;
		if (in_block != block || sscanf(line, "%d %99s", &major, name) != 2 ||
		    fnmatch(pattern, name, 0) != 0)
			continue;
		add(rules, (struct rule){block, major, ANY, access});
		r = 0;
	}
	return r;
}

static void add_class(struct rules *rules, const struct device_spec *device, struct resource_builder *builder)
{
	bool block = device->name[0] == 'b';
	const char *pattern = strchr(device->name, '-') + 1;
	int r = 0;

	if (str_equal(pattern, "*"))
		add(rules, (struct rule){block, ANY, ANY, device->access});
	else
		r = add_numbers(rules, block, pattern, device->access);
	if (r < 0)
		resources_missing(builder, false, "DeviceAllow=%s (%s)", device->name,
				  r == -ENOENT ? "no such devices in /proc/devices" : strerror(-r));
}

static void add_all(struct rules *rules, const struct site_spec *spec, struct resource_builder *builder)
{
	for (const struct device_node *node = device_standard; node->path; node++)
		add(rules, (struct rule){false, (int)node->major, (int)node->minor,
					 spec->device_policy == DEVICES_STRICT ? DEVICE_MAKE : ALL});
	if (spec->device_policy != DEVICES_STRICT) {
		add(rules, (struct rule){false, PTMX, ALL});
		add(rules, (struct rule){false, PTS, ANY, ALL});
	}
	for (unsigned i = 0; i < spec->n_devices; i++)
		if (spec->devices[i].name[0] == '/')
			add_node(rules, &spec->devices[i], builder);
		else
			add_class(rules, &spec->devices[i], builder);
}

/* Reads the kernel's question into r2 (type), r3 (access), r4 (major), r5 (minor): struct bpf_cgroup_dev_ctx.
 */
static const struct bpf_insn prologue[] = {
	{.code = BPF_LDX | BPF_W | BPF_MEM, .dst_reg = 2, .src_reg = 1, .off = 0},
	{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 3, .src_reg = 2},
	{.code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = 2, .imm = 0xffff},
	{.code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = 3, .imm = 16},
	{.code = BPF_LDX | BPF_W | BPF_MEM, .dst_reg = 4, .src_reg = 1, .off = 4},
	{.code = BPF_LDX | BPF_W | BPF_MEM, .dst_reg = 5, .src_reg = 1, .off = 8},
};

/* Answers: 1 yes, 0 no. */
static const struct bpf_insn epilogue[] = {
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
	{.code = BPF_JMP | BPF_EXIT},
};

#define N(array) (sizeof(array) / sizeof(array)[0])

/* "Not this one": to the next rule, `left` instructions on. */
static struct bpf_insn skip_unless(unsigned reg, int value, size_t left)
{
	return (struct bpf_insn){.code = BPF_JMP | BPF_JNE | BPF_K,
				 .dst_reg = (uint8_t)(reg & 15),
				 .off = (int16_t)left,
				 .imm = value};
}

static size_t write_rule(struct bpf_insn *out, const struct rule *rule)
{
	size_t n = 0, length = 4 + (size_t)(rule->major != ANY) + (size_t)(rule->minor != ANY);

	out[n] = skip_unless(2, rule->block ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR, length - n - 1);
	n++;
	/* What is asked for beyond what is allowed. */
	out[n] = (struct bpf_insn){.code = BPF_JMP | BPF_JSET | BPF_K,
				   .dst_reg = 3,
				   .off = (int16_t)(length - n - 1),
				   .imm = (int)(ALL & ~rule->access)};
	n++;
	if (rule->major != ANY) {
		out[n] = skip_unless(4, rule->major, length - n - 1);
		n++;
	}
	if (rule->minor != ANY) {
		out[n] = skip_unless(5, rule->minor, length - n - 1);
		n++;
	}
	out[n++] = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1};
	out[n++] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
	return n;
}

static struct bpf_insn *assemble(const struct rules *rules, size_t *ret_bytes)
{
	struct bpf_insn *program = calloc(N(prologue) + rules->n * RULE_MAX + N(epilogue), sizeof *program);
	size_t n = N(prologue);

	if (!program)
		return NULL;
	memcpy(program, prologue, sizeof prologue);
	for (size_t i = 0; i < rules->n; i++)
		n += write_rule(program + n, &rules->items[i]);
	memcpy(program + n, epilogue, sizeof epilogue);
	*ret_bytes = (n + N(epilogue)) * sizeof *program;
	return program;
}

int devices_compile(const struct site_spec *spec, struct resource_builder *builder, struct bpf_insn **ret,
		    size_t *ret_bytes)
{
	struct rules rules = {0};

	*ret = NULL;
	*ret_bytes = 0;
	if (spec->device_policy == DEVICES_AUTO && spec->n_devices == 0)
		return 0;
	if (!builder->host->device_programs) {
		resources_missing(builder, true,
				  "DevicePolicy= (this host's kernel takes no device program by bpf(2))");
		return 0;
	}
	add_all(&rules, spec, builder);
	*ret = rules.error ? NULL : assemble(&rules, ret_bytes);
	free(rules.items);
	return *ret ? 0 : -ENOMEM;
}

/* Rules are told apart by their first instruction, the question for the type of device. */
void devices_dump(const struct bpf_insn *program, size_t bytes, FILE *out)
{
	const struct bpf_insn *end = program + bytes / sizeof *program - N(epilogue);

	for (const struct bpf_insn *at = program + N(prologue); at < end;) {
		const struct bpf_insn *next = at + at->off + 1;
		unsigned allowed = ALL & ~(unsigned)at[1].imm;

		fprintf(out, "device: allow %c ", at->imm == BPF_DEVCG_DEV_BLOCK ? 'b' : 'c');
		if (at[2].code == (BPF_JMP | BPF_JNE | BPF_K))
			fprintf(out, "%d:", at[2].imm);
		else
			fputs("*:", out);
		if (next - at == RULE_MAX)
			fprintf(out, "%d ", at[3].imm);
		else
			fputs("* ", out);
		fprintf(out, "%s%s%s\n", allowed & DEVICE_READ ? "r" : "", allowed & DEVICE_WRITE ? "w" : "",
			allowed & DEVICE_MAKE ? "m" : "");
		at = next;
	}
}
