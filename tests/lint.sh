#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The form of the code (.clang-format), what cppcheck finds in it, and whether the table of mutations still fits it.
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t sources < <(git ls-files 'daemon/*.[ch]' 'reaper/*.[ch]' 'tests/*.[ch]')
clang-format --dry-run --Werror "${sources[@]}"
cppcheck --quiet --error-exitcode=1 --inline-suppr --enable=warning,portability --std=c11 --suppress=missingIncludeSystem \
	--suppress=unknownMacro -j"$(nproc)" --suppressions-list=tests/cppcheck.txt daemon reaper
/usr/bin/python3 tests/mutations/mutate.py --check
