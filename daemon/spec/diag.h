/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Why a file was refused: the first error found, for people. */
struct diag {
	char file[512];    /* as it was opened; cut when longer */
	unsigned line;     /* from 1; 0: the file as a whole */
	char message[512]; /* what is wrong and what was expected; raw, escaped where it is printed */
};

/* Fills diag and returns error (an -errno), so that a parser can `return diag_set(...)`. diag may be NULL. */
int diag_set(struct diag *diag, int error, const char *file, unsigned line, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* "file:line: message", escaped for a terminal; file:line is left out where it is not known. */
const char *diag_format(const struct diag *diag, char *buf, unsigned long size);
