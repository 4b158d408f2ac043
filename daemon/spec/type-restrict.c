/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Types of what a site's processes may ask of the kernel. */

#include "type.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "address-family.h"
#include "str.h"
#include "syscall-filter.h"
#include "value.h"

#define WHITE_SPACE " \t"

#if defined(__x86_64__)
#define NATIVE "x86-64"
#elif defined(__aarch64__)
#define NATIVE "arm64"
#endif

#define WORD_BYTES 24 /* longer than any name of a family, a namespace or an architecture */

/* Takes the next word off *text. False at its end. One that is too long is cut, and so is no name of anything.
 */
static bool next_word(const char **text, char ret[static WORD_BYTES])
{
	size_t length;

	*text += strspn(*text, WHITE_SPACE);
	length = strcspn(*text, WHITE_SPACE);
	snprintf(ret, WORD_BYTES, "%.*s", (int)length, *text);
	*text += length;
	return length > 0;
}

static int parse_syscalls(struct setting *setting, const char *text)
{
	return syscall_filter_add(setting, text, field_of(setting));
}

static void print_syscalls(const struct key *key, const void *target, bool all, FILE *out)
{
	const char *filter = *(const char *const *)key_field_const(key, target);

	if (filter)
		syscall_filter_write(key->name, filter, out);
	else if (all)
		fprintf(out, "%s=\n", key->name);
}

static int parse_syscall_error(struct setting *setting, const char *text)
{
	int error;

	if (syscall_error_parse(text, &error) < 0 || error == 0)
		return setting_refuse(setting, "expected an error like EPERM, 1 to 4095, or kill");
	*(int16_t *)field_of(setting) = (int16_t)error;
	return 0;
}

static void format_syscall_error(const struct key *key, const void *field, FILE *out)
{
	int error = *(const int16_t *)field;

	(void)key;
	if (error)
		syscall_error_write(error, out);
}

static int parse_architectures(struct setting *setting, const char *text)
{
	char word[WORD_BYTES];

	while (next_word(&text, word))
		if (!str_equal(word, "native") && !str_equal(word, NATIVE))
			return setting_refuse(
				setting, "'%s': calls of other architectures are never let in; expected native",
				word);
	return 0;
}

static void print_architectures(const struct key *key, const void *target, bool all, FILE *out)
{
	(void)target;
	if (all)
		fprintf(out, "%s=native\n", key->name);
}

static void reset_architectures(struct setting *setting)
{
	(void)setting;
}

static int parse_families(struct setting *setting, const char *text)
{
	struct site_spec *spec = setting->target;
	bool deny = *text == '~', none = str_equal(text, "none");
	enum families_mode mode;
	uint64_t mask = address_family_mask(spec, &mode);
	char word[WORD_BYTES];

	/* As SystemCallFilter=: the first list says what the mask means. */
	if (none || (spec->families_mode == FAMILIES_DEFAULT && !deny)) {
		mode = FAMILIES_ALLOW;
		mask = 0;
	}
	text += none ? strlen(text) : deny;
	while (next_word(&text, word)) {
		int family = address_family_parse(word);

		if (family < 0)
			return setting_refuse(
				setting,
				"'%s' is no address family; expected none, or names like AF_UNIX AF_INET6",
				word);
		if (deny == (mode == FAMILIES_REFUSE))
			mask |= 1ULL << family;
		else
			mask &= ~(1ULL << family);
	}
	spec->families_mode = (int8_t)mode;
	spec->families = mask;
	return 0;
}

static void reset_families(struct setting *setting)
{
	struct site_spec *spec = setting->target;

	spec->families_mode = FAMILIES_DEFAULT;
	spec->families = 0;
}

static void write_families(uint64_t mask, FILE *out)
{
	const char *separator = "";

	for (int family = 0; family < ADDRESS_FAMILIES_MAX; family++)
		if (mask & 1ULL << family) {
			fprintf(out, "%s%s", separator, address_family_name(family));
			separator = " ";
		}
	putc('\n', out);
}

/* A list of what is refused may leave out what is refused by default: that takes a second line. */
static void print_families(const struct key *key, const void *target, bool all, FILE *out)
{
	static const struct site_spec none = {.families_mode = FAMILIES_DEFAULT};
	const struct site_spec *spec = target;
	enum families_mode mode;
	uint64_t by_default = address_family_mask(&none, &mode), mask = address_family_mask(spec, &mode);

	if (spec->families_mode == FAMILIES_DEFAULT) {
		if (all)
			fprintf(out, "%s=\n", key->name);
		return;
	}
	fprintf(out, "%s=%s", key->name, mode == FAMILIES_REFUSE ? "~" : mask == 0 ? "none" : "");
	write_families(mask, out);
	if (mode == FAMILIES_REFUSE && by_default & ~mask) {
		fprintf(out, "%s=", key->name);
		write_families(by_default & ~mask, out);
	}
}

static const struct {
	const char *name;
	unsigned flag;
} namespaces[] = {
	{"cgroup", CLONE_NEWCGROUP}, {"ipc", CLONE_NEWIPC},   {"net", CLONE_NEWNET},   {"mnt", CLONE_NEWNS},
	{"pid", CLONE_NEWPID},       {"time", CLONE_NEWTIME}, {"user", CLONE_NEWUSER}, {"uts", CLONE_NEWUTS},
};

#define N_NAMESPACES (sizeof namespaces / sizeof *namespaces)

static int parse_namespace_list(struct setting *setting, const char *text, unsigned *ret)
{
	char word[WORD_BYTES];

	for (*ret = 0; next_word(&text, word);) {
		size_t i = 0;

		while (i < N_NAMESPACES && !str_equal(namespaces[i].name, word))
			i++;
		if (i == N_NAMESPACES)
			return setting_refuse(setting,
					      "'%s': expected yes, no, or some of cgroup, ipc, net, mnt, pid, "
					      "time, user and uts",
					      word);
		*ret |= namespaces[i].flag;
	}
	return 0;
}

/* As systemd: a boolean sets it, lists add up, and the first list after "~" means all but these. */
static int parse_namespaces(struct setting *setting, const char *text)
{
	struct site_spec *spec = setting->target;
	bool deny = *text == '~', restricted;
	unsigned flags;
	int error;

	if (value_parse_bool(text, &restricted) == 0) {
		spec->namespaces = restricted ? 0 : SPEC_NAMESPACES;
		spec->namespaces_set = true;
		return 0;
	}
	error = parse_namespace_list(setting, text + deny, &flags);
	if (error < 0)
		return error;
	if (deny)
		spec->namespaces = (spec->namespaces_set ? spec->namespaces : SPEC_NAMESPACES) & ~flags;
	else
		spec->namespaces |= flags;
	spec->namespaces_set = true;
	return 0;
}

static void reset_namespaces(struct setting *setting)
{
	struct site_spec *spec = setting->target;

	spec->namespaces = 0;
	spec->namespaces_set = false;
}

static void print_namespaces(const struct key *key, const void *target, bool all, FILE *out)
{
	const struct site_spec *spec = target;
	const char *separator = "";

	if (!spec->namespaces_set && !all)
		return;
	fprintf(out, "%s=", key->name);
	if (spec->namespaces == 0 || spec->namespaces == SPEC_NAMESPACES)
		fputs(spec->namespaces ? "no" : "yes", out);
	else
		for (size_t i = 0; i < N_NAMESPACES; i++)
			if (spec->namespaces & namespaces[i].flag) {
				fprintf(out, "%s%s", separator, namespaces[i].name);
				separator = " ";
			}
	putc('\n', out);
}

const struct type type_syscalls = {
	sizeof(char *),
	.parse = parse_syscalls,
	.print = print_syscalls,
	.copy = type_copy_string,
};
const struct type type_syscall_error = {
	sizeof(int16_t),
	.parse = parse_syscall_error,
	.format = format_syscall_error,
};
const struct type type_architectures = {
	.parse = parse_architectures,
	.reset = reset_architectures,
	.print = print_architectures,
};
const struct type type_families = {.parse = parse_families, .reset = reset_families, .print = print_families};
const struct type type_namespaces = {
	.parse = parse_namespaces,
	.reset = reset_namespaces,
	.print = print_namespaces,
};
