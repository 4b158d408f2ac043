/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The length in bytes of the UTF-8 sequence that text starts with (RFC 3629: no overlong form, no surrogate,
 * nothing above U+10FFFF), and its code point in *code unless that is NULL; or 0 when it is none. Stops at a
 * NUL, which has the length 1. */
size_t utf8_sequence(const char *text, uint32_t *code);

/* Writes the UTF-8 form of code to out and returns its length (1 to 4), or 0 for what has none. */
size_t utf8_encode(uint32_t code, char out[static 4]);
