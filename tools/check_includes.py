#!/usr/bin/env python3
"""Fails when an include runs against the order of the house, or when a public header does not compile alone.

A file in src/<folder>/ or include/fovea/<folder>/ may include headers of its own folder and of folders before it in ORDER."""
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ORDER = "base image tensor kernel op graph nn model exchange dataset infer clinical analysis eval train report app".split()
ROOT = Path(__file__).resolve().parent.parent


def folder_of(path):
    parts = path.relative_to(ROOT).parts
    return parts[1] if parts[0] == "src" else parts[2] if len(parts) > 3 else None


def wrong_includes():
    for path in sorted([*ROOT.glob("src/*/*.[ch]"), *ROOT.glob("include/fovea/*/*.h")]):
        here = folder_of(path)
        if here not in ORDER:
            yield f"{path.relative_to(ROOT)}: folder {here} is not in the order of tools/check_includes.py"
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r'\s*#\s*include\s+"(?:fovea/|src/)([a-z]+)/', line)
            if found and (found[1] not in ORDER or ORDER.index(found[1]) > ORDER.index(here)):
                yield f"{path.relative_to(ROOT)}:{number}: {here} must not include {found[1]}"


def broken_headers():
    compiler = [os.environ.get("CC", "gcc"), "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c",
                f"-I{ROOT}/include", *shlex.split(os.environ.get("CPPFLAGS", "")), "-"]
    for header in sorted((ROOT / "include").rglob("*.h")):
        if header.name.endswith("_list.h"):
            continue  # expanded inside other headers
        name = header.relative_to(ROOT / "include")
        run = subprocess.run(compiler, input=f'#include "{name}"\n#include "{name}"\ntypedef int ok;\n', capture_output=True, text=True)
        if run.returncode:
            yield f"{name} does not compile alone:\n{run.stderr.strip()}"


def main():
    complaints = [*wrong_includes(), *broken_headers()]
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
