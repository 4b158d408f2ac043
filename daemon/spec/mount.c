/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mount.h"

#include <errno.h>
#include <string.h>

#include "str.h"
#include "type.h"
#include "value.h"
#include "words.h"

#define OPTION_BYTES 64

/* Cuts *rest at its next separator: the part before it, or NULL when there is none left. */
static char *next_part(char **rest)
{
	char *part = *rest, *end = part ? strchr(part, WORDS_SEPARATOR) : NULL;

	*rest = end ? end + 1 : NULL;
	if (end)
		*end = '\0';
	return part;
}

static int parse_bind(struct setting *setting, char *word, struct mount_spec *mount)
{
	char *source, *target, *option;
	int error;

	mount->optional = *word == '-';
	word += mount->optional;
	source = next_part(&word);
	target = next_part(&word);
	option = next_part(&word);
	if (word)
		return setting_refuse(
			setting, "expected SOURCE[:TARGET[:rbind|norbind]], \"\\:\" for a colon in a path");
	mount->recursive = !option || str_equal(option, "rbind");
	if (!mount->recursive && !str_equal(option, "norbind"))
		return setting_refuse(setting, "'%.32s': expected rbind or norbind", option);
	error = setting_path(setting, source, &mount->source);
	if (error == 0 && target)
		return setting_path(setting, target, &mount->target);
	mount->target = mount->source;
	return error;
}

/* Whether text is a number with at most one of suffixes behind it. */
static bool is_count(const char *text, const char *suffixes)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 18)
		return false;
	text += digits;
	return !*text || (strchr(suffixes, *text) && !text[1]);
}

/* Those that cannot weaken a container; the kernel reads the values. */
static bool tmpfs_option_allowed(const char *option)
{
	static const char *const flags[] = {"ro", "rw", "nosuid", "nodev", "noexec"};
	mode_t mode;

	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (str_equal(option, flags[i]))
			return true;
	if (strncmp(option, "size=", 5) == 0)
		return is_count(option + 5, "kKmMgG%");
	if (strncmp(option, "nr_inodes=", 10) == 0)
		return is_count(option + 10, "kKmMgG");
	return strncmp(option, "mode=", 5) == 0 && value_parse_mode(option + 5, 07777, &mode) == 0;
}

static int check_tmpfs_options(struct setting *setting, const char *options)
{
	while (*options) {
		size_t length = strcspn(options, ",");
		char option[OPTION_BYTES] = "";

		if (length < sizeof option)
			memcpy(option, options, length);
		if (!tmpfs_option_allowed(option))
			return setting_refuse(
				setting,
				"'%.*s' is not allowed; expected size=, nr_inodes=, mode=, ro, rw, "
				"nosuid, nodev or noexec, separated by commas",
				length > 32 ? 32 : (int)length, options);
		options += length;
		options += *options == ',';
	}
	return 0;
}

static int parse_tmpfs(struct setting *setting, char *word, struct mount_spec *mount)
{
	char *target = next_part(&word);
	int error = setting_path(setting, target, &mount->target);

	if (error < 0)
		return error;
	if (!word || !*word)
		return 0;
	mount->options = word;
	return check_tmpfs_options(setting, word);
}

int mount_parse(struct setting *setting, enum mount_kind kind, char *word, struct mount_spec *ret)
{
	struct mount_spec mount = {.kind = kind};
	int error =
		kind == MOUNT_TMPFS ? parse_tmpfs(setting, word, &mount) : parse_bind(setting, word, &mount);

	if (error == 0)
		*ret = mount;
	return error;
}

void mount_write(const struct mount_spec *mount, FILE *out)
{
	static const char *const names[] = {
		[MOUNT_BIND] = "BindPaths",
		[MOUNT_BIND_READ_ONLY] = "BindReadOnlyPaths",
		[MOUNT_TMPFS] = "TemporaryFileSystem",
	};
	enum words_flags flags = WORDS_COLON | WORDS_SPECIFIER;

	fprintf(out, "%s=%s", names[mount->kind], mount->optional ? "-" : "");
	if (mount->source) {
		words_quote(mount->source, flags, out);
		if (!str_equal(mount->source, mount->target) || !mount->recursive)
			putc(':', out);
	}
	if (!mount->source || !str_equal(mount->source, mount->target) || !mount->recursive)
		words_quote(mount->target, flags, out);
	if (mount->source && !mount->recursive)
		fputs(":norbind", out);
	if (mount->options)
		fprintf(out, ":%s", mount->options);
	putc('\n', out);
}
