/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints the items of an assessment, for a manual page: PAGE.in with its line @ITEMS@ replaced. Runs at build
 * time. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "exposure.h"
#include "str.h"

#define ITEMS_MARK "@ITEMS@\n"

static void print_text(const char *text)
{
	for (; *text; text++)
		if (*text == '\'')
			fputs("\\(aq", stdout);
		else
			putchar(*text);
	putchar('\n');
}

static void print_item(const struct exposure_item *item)
{
	printf(".It Cm %s\n", item->id);
	print_text(item->reason);
	if (item->weight > 0)
		printf("Weight %u", item->weight);
	else
		fputs("Told, not counted", stdout);
	if (item->alone > 0)
		printf("; at least %u.%u alone", item->alone / 10, item->alone % 10);
	if (item->keys)
		printf("; by\n.Ql %s", item->keys);
	puts(item->keys ? " ." : ".");
}

int main(int argc, char **argv)
{
	autofclose FILE *in = argc == 2 ? fopen(argv[1], "re") : NULL;
	autofree char *line = NULL;
	unsigned whole = 0;
	size_t size = 0;

	if (!in) {
		fprintf(stderr, "exposure-items: %s: %s\n", argc == 2 ? argv[1] : "PAGE.in",
			argc == 2 ? strerror(errno) : "expected");
		return 1;
	}
	for (size_t i = 0; i < exposure_n_items; i++)
		whole += exposure_items[i].weight;
	while (getline(&line, &size, in) > 0) {
		if (!str_equal(line, ITEMS_MARK)) {
			fputs(line, stdout);
			continue;
		}
		printf("The weights come to %u.\n.Bl -tag -width Ds\n", whole);
		for (size_t i = 0; i < exposure_n_items; i++)
			print_item(&exposure_items[i]);
		puts(".El");
	}
	return ferror(in) || fflush(stdout) != 0 ? 1 : 0;
}
