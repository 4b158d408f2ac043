/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sheet.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "terminal.h"
#include "width.h"

#define TEXT_COLUMNS_LEAST 16 /* on a narrower terminal its own line break is as good */

/* Prints text from column indent on. A word that is longer than a line stays whole, so that it can be copied.
 */
static void print_wrapped(const struct terminal *terminal, FILE *out, const char *text, size_t indent)
{
	size_t room = terminal->columns > indent ? terminal->columns - indent : 0, used = 0;
	autofree char *word = malloc(strlen(text) + 1);

	if (!word)
		return;
	if (room < TEXT_COLUMNS_LEAST)
		room = SIZE_MAX;
	while (*text) {
		size_t length = strcspn(text, " "), width;

		memcpy(word, text, length);
		word[length] = '\0';
		width = width_of(word);
		if (used > 0 && used + 1 + width > room) {
			fprintf(out, "\n%*s", (int)indent, "");
			used = 0;
		} else if (used > 0) {
			putc(' ', out);
			used++;
		}
		terminal_print(terminal, out, word);
		used += width;
		text += length;
		text += strspn(text, " ");
	}
	putc('\n', out);
}

void sheet_line(const struct terminal *terminal, FILE *out, const char *label, const char *text)
{
	if (!text)
		return;
	if (label)
		fprintf(out, "%*s: ", SHEET_LABEL_COLUMNS, label);
	else
		fprintf(out, "%*s", SHEET_LABEL_COLUMNS + 2, "");
	print_wrapped(terminal, out, text, SHEET_LABEL_COLUMNS + 2);
}

void sheet_sentence(const struct terminal *terminal, FILE *out, const char *text)
{
	if (text)
		print_wrapped(terminal, out, text, 0);
}
