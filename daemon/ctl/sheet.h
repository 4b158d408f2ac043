/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

struct terminal;

#define SHEET_LABEL_COLUMNS 12 /* the longest label */

/* A page about one thing: a line a property, the label right-aligned before a colon, the text wrapped at the
 * terminal's width and kept in its column. Texts have passed str_escape() and may hold style marks. */

/* Nothing is printed when text is NULL. label may be NULL: the line belongs to the one before. */
void sheet_line(const struct terminal *terminal, FILE *out, const char *label, const char *text);

/* A sentence from the left edge, wrapped. */
void sheet_sentence(const struct terminal *terminal, FILE *out, const char *text);
