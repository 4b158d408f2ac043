/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

#include "key.h"
#include "spec.h"

/* Reads one word of BindPaths=, BindReadOnlyPaths= ("[-]SOURCE[:TARGET[:rbind|norbind]]") or
 * TemporaryFileSystem= ("TARGET[:OPTIONS]"), its parts separated by WORDS_SEPARATOR; word is changed.
 * Specifiers are expanded in the paths. 0, -EINVAL with the setting's message set, or -ENOMEM. */
int mount_parse(struct setting *setting, enum mount_kind kind, char *word, struct mount_spec *ret);

/* Writes the line that reads to mount again. */
void mount_write(const struct mount_spec *mount, FILE *out);
