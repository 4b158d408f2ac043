#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks that each folder includes headers of its own and of the layers below it alone.

    check-layers.py ROOT

base <- spec <- oci <- plan <- launch <- network <- core; the reaper and ctl on base alone; core links the reaper. The compiler refuses
most of it; this says which line, knows headers of the same name apart, and keeps libuv out of what lies below core."""
import pathlib
import re
import sys

LAYERS = {
    "daemon/base": [],
    "daemon/spec": ["daemon/base"],
    "daemon/oci": ["daemon/unpack", "daemon/spec", "daemon/base"],
    "daemon/unpack": ["daemon/base"],
    "daemon/plan": ["daemon/oci", "daemon/spec", "daemon/base"],
    "daemon/launch": ["daemon/plan", "daemon/oci", "daemon/spec", "daemon/base"],
    "reaper": ["daemon/base"],
    "daemon/ctl": ["daemon/base"],
    "daemon/network": ["daemon/launch", "daemon/plan", "daemon/oci", "daemon/spec", "daemon/base"],
    "daemon/core": ["daemon/network", "daemon/launch", "daemon/plan", "daemon/oci", "daemon/spec", "daemon/base",
                    "reaper"],
}
# Headers of libraries that belong to some folders alone.
LIBRARIES = {
    "uv.h": {"daemon/core"},
    "seccomp.h": {"daemon/spec", "daemon/unpack"},
    "archive.h": {"daemon/unpack"},
    "archive_entry.h": {"daemon/unpack"},
    "ini.h": {"daemon/spec"},
}
OWN = re.compile(r'^\s*#\s*include\s*"([^"]+)"')
SYSTEM = re.compile(r"^\s*#\s*include\s*<([^>]+)>")


def check_line(root, folder, line):
    """What is wrong with one line, or None."""
    system = SYSTEM.match(line)
    if system and folder not in LIBRARIES.get(system.group(1), {folder}):
        return f"<{system.group(1)}> belongs to {', '.join(LIBRARIES[system.group(1)])}"
    own = OWN.match(line)
    if not own:
        return None
    name = own.group(1)
    if "/" in name:
        return f'"{name}" names a folder: the build lists those that {folder} may see'
    homes = [layer for layer in LAYERS if (root / layer / name).exists()]
    if not homes:
        return f'"{name}" is no header of the project'
    # The folder's own comes first, as for the compiler.
    if not set(homes) & {folder, *LAYERS[folder]}:
        return f'"{name}" is of {homes[0]}, which does not lie below {folder}'
    return None


def check_shadows(root):
    """Headers of one name in folders that one source sees would be taken for each other."""
    for folder, below in LAYERS.items():
        seen = {}
        for layer in [folder, *below]:
            for header in sorted((root / layer).glob("*.h")):
                if header.name in seen:
                    yield f"{layer}/{header.name} is hidden from {folder} by {seen[header.name]}/{header.name}"
                seen.setdefault(header.name, layer)


def check(root):
    wrong, files = list(check_shadows(root)), 0
    for folder in LAYERS:
        for path in sorted((root / folder).glob("*.[ch]")):
            files += 1
            for number, line in enumerate(path.read_text().splitlines(), 1):
                message = check_line(root, folder, line)
                if message:
                    wrong.append(f"{path.relative_to(root)}:{number}: {message}")
    return wrong, files


def check_itself(root):
    """The test of the test: arrows that point the wrong way are seen."""
    for folder, line in (("daemon/base", '#include "spec.h"'), ("daemon/spec", '#include "plan.h"'),
                         ("daemon/plan", '# include "launch.h"'), ("daemon/launch", '#include "site.h"'),
                         ("reaper", '#include "spec.h"'), ("daemon/ctl", '#include "plan.h"'),
                         ("daemon/launch", "#include <uv.h>"), ("daemon/core", '#include "../ctl/table.h"'),
                         ("daemon/core", '#include "table.h"'), ("daemon/core", '#include "nosuch.h"')):
        if not check_line(root, folder, line):
            yield f"check-layers.py does not see what is wrong with {line} in {folder}"
    for folder, line in (("daemon/core", '#include "str.h"'), ("daemon/core", "#include <uv.h>"),
                         ("daemon/spec", "#include <errno.h>"), ("reaper", '#include "cgroup.h"')):
        if check_line(root, folder, line):
            yield f"check-layers.py has something against {line} in {folder}"


def main():
    root = pathlib.Path(sys.argv[1])
    wrong, files = check(root)
    wrong += check_itself(root)
    folders = {str(path.parent.relative_to(root)) for path in root.glob("daemon/*/*.[ch]")}
    wrong += [f"{folder} has no layer here" for folder in sorted(folders - set(LAYERS))]
    print("\n".join(wrong) or f"{files} files, every include points downward")
    return 1 if wrong or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
