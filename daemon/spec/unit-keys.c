/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints the key table: for manual pages and shell completion. Runs at build time. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "key.h"
#include "str.h"
#include "syscall-group.h"

#define KEYS_MARK       "@KEYS@\n"
#define SPECIFIERS_MARK "@SPECIFIERS@\n"
#define GROUPS_MARK     "@GROUPS@\n"
#define HAZARDS_MARK    "@HAZARDS@\n"
#define SETTABLE_MARK   "@SETTABLE@\n"

static int usage(void)
{
	fputs("usage: unit-keys --man|--man-slice|--man-config [PAGE.in]\n"
	      "       unit-keys --names|--names-slice|--names-config\n"
	      "With a PAGE.in, prints it with its lines @KEYS@, @SPECIFIERS@, @GROUPS@, @HAZARDS@ "
	      "and @SETTABLE@ replaced.\n",
	      stderr);
	return 2;
}

/* Text for mdoc(7): what starts a request or an escape is written otherwise, one sentence a line. */
static void print_text(const char *text)
{
	bool start = true;

	for (; *text; text++) {
		if (start && (*text == '.' || *text == '\''))
			fputs("\\&", stdout);
		start = *text == '.' && text[1] == ' ' && text[2] != '.';
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '-' || *text == '~' || *text == '^' || *text == '\'')
			printf("\\%s", *text == '-'   ? "-"
				       : *text == '~' ? "(ti"
				       : *text == '^' ? "(ha"
						      : "(aq");
		else
			putchar(*text);
		if (start) {
			putchar('\n');
			text++;
		}
	}
	putchar('\n');
}

/* As the argument of a macro: quoted, since words like "no" are no macros but "Sm" is. */
static void print_argument(const char *text)
{
	putchar('"');
	for (; *text; text++)
		if (*text == '"')
			fputs("\\(dq", stdout);
		else if (*text == '~')
			fputs("\\(ti", stdout);
		else
			putchar(*text);
	putchar('"');
}

static void print_key(const struct key *key)
{
	printf(".It Ic %s= Ns Ar ", key->name);
	print_argument(key->argument);
	putchar('\n');
	print_text(key->help);
	if (key->fallback || key->unset_means) {
		fputs("Default: ", stdout);
		print_text(key->fallback ? key->fallback : key->unset_means);
	}
}

static void print_keys(const struct key_table *table)
{
	const char *section = "";

	for (size_t i = 0; i < table->n_keys; i++) {
		const struct key *key = &table->keys[i];

		if (!str_equal(section, key->section)) {
			if (*section)
				fputs(".El\n", stdout);
			section = key->section;
			printf(".Ss \"[%s]\"\n.Bl -tag -width Ds\n", section);
		}
		print_key(key);
	}
	fputs(".El\n", stdout);
}

static void print_specifiers(void)
{
	fputs(".Bl -tag -width Ds\n", stdout);
	for (const struct specifier_help *at = specifier_table; at->letter; at++) {
		printf(".It Li \\&%%%c\n", at->letter);
		print_text(at->meaning);
	}
	fputs(".El\n", stdout);
}

/* Names of calls, as many a line as fit; none is hyphenated. */
static void print_calls(const char *calls)
{
	char name[SYSCALL_NAME_BYTES];
	size_t column = 0;

	while (syscall_next(&calls, name)) {
		size_t length = strlen(name);

		if (column > 0)
			column = column + 1 + length > 78 ? (putchar('\n'), 0) : (putchar(' '), column + 1);
		printf("\\%%%s", name);
		column += length;
	}
	putchar('\n');
}

static void print_groups(void)
{
	fputs(".Bl -tag -width Ds\n", stdout);
	for (const struct syscall_group *group = syscall_groups; group->name; group++) {
		printf(".It Cm %s\n%s:\n", group->name, group->help);
		print_calls(group->calls);
	}
	fputs(".El\n", stdout);
}

/* Keys that torporctl set takes, as the shells complete them. */
static void print_settable(const struct key_table *table)
{
	for (size_t i = 0; i < table->n_keys; i++)
		if (table->keys[i].live)
			printf("%s=\n", table->keys[i].name);
}

static int print_page(const struct key_table *table, const char *path)
{
	autofclose FILE *in = fopen(path, "re");
	autofree char *line = NULL;
	size_t size = 0;

	if (!in) {
		fprintf(stderr, "unit-keys: %s: %s\n", path, strerror(errno));
		return 1;
	}
	while (getline(&line, &size, in) > 0) {
		if (str_equal(line, KEYS_MARK))
			print_keys(table);
		else if (str_equal(line, SPECIFIERS_MARK))
			print_specifiers();
		else if (str_equal(line, SETTABLE_MARK))
			print_settable(table);
		else if (str_equal(line, GROUPS_MARK))
			print_groups();
		else if (str_equal(line, HAZARDS_MARK))
			print_calls(SYSCALL_HAZARDS);
		else
			fputs(line, stdout);
	}
	return ferror(in) ? 1 : 0;
}

static void print_names(const struct key_table *table)
{
	for (size_t i = 0; i < table->n_keys; i++)
		printf("%s %s\n", table->keys[i].section, table->keys[i].name);
}

int main(int argc, char **argv)
{
	const struct key_table *table = &site_keys;
	int status = 0;

	if (argc < 2 || argc > 3)
		return usage();
	if (str_has_suffix(argv[1], "-config"))
		table = &config_keys;
	else if (str_has_suffix(argv[1], "-slice"))
		table = &slice_keys;
	if (strncmp(argv[1], "--names", 7) == 0 && argc == 2)
		print_names(table);
	else if (strncmp(argv[1], "--man", 5) != 0)
		return usage();
	else if (argc == 3)
		status = print_page(table, argv[2]);
	else
		print_keys(table);
	return fflush(stdout) == 0 ? status : 1;
}
