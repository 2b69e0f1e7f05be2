"""Follow `lmc barrier A B` through the code as a reader would: each function once, when it is first
called.

    python scripts/follow.py                          # counts, before and inside of the computation
    python scripts/follow.py --list                   # and the files in order

Prints how many files are entered, how many stays in a file there are, how often a call climbs into
a higher layer, and how often it returns to a file that was left. Models and families are left out.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import pkgutil
import sys
import tempfile
from pathlib import Path
from types import FrameType

import lmc_core

PACKAGE = str(Path(lmc_core.__file__).parent) + os.sep
LAYERS = "registry format numbers symmetry intervals tasks matching paths analysis runs figures cli"
BEFORE = {"cli", "runs", "figures", "registry", "format", "numbers"}
INSIDE = {"runs", "matching", "paths", "analysis", "intervals", "tasks", "symmetry", "registry"}
COMPUTE = "runs/kinds/barrier.py", "compute"


def find_top(file: str) -> str:
    """The package or module that a file belongs to."""
    return file.split("/")[0].removesuffix(".py")


def follow(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The files that a run of `lmc` enters before and inside of the computation, in order."""
    for module in pkgutil.walk_packages([PACKAGE], "lmc_core."):  # so that no import is followed
        if not {"ui", "server", "page", "_app", "__main__"} & set(module.name.split(".")):
            importlib.import_module(module.name)
    main = importlib.import_module("lmc_core.cli").main
    walks: tuple[list[str], list[str]] = ([], [])
    seen: set[tuple[str, str]] = set()
    inside: list[FrameType] = []

    def watch(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event == "return" and inside and inside[0] is frame:
            inside.clear()
        if event != "call" or not code.co_filename.startswith(PACKAGE):
            return
        file = code.co_filename.removeprefix(PACKAGE).replace(os.sep, "/")
        if (file, code.co_name) == COMPUTE and not inside:
            inside.append(frame)
        if code.co_name.startswith("<") or (file, code.co_qualname) in seen:
            return
        seen.add((file, code.co_qualname))
        walk = walks[bool(inside)]
        if find_top(file) in (INSIDE if inside else BEFORE) and walk[-1:] != [file]:
            walk.append(file)

    sys.setprofile(watch)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            main(["barrier", *arguments])
    finally:
        sys.setprofile(None)
    return walks


def main() -> None:
    """Follow one small barrier and print the counts."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print the files in order too")
    listed = parser.parse_args().list
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LMC_HOME"] = folder
        page = str(Path(folder) / "barrier.html")
        small = ["--examples", "20", "--points", "5", "--device", "cpu", "--executor", "inline"]
        pair = ["zoo:vit-fashion-s0", "zoo:vit-fashion-s1"]
        walks = follow([*pair, *small, "--html", page])
    level = {name: number for number, name in enumerate(LAYERS.split())}
    for name, walk in zip(("before", "inside"), walks, strict=True):
        steps = list(zip(walk, walk[1:], strict=False))
        climbs = sum(level[find_top(b)] > level[find_top(a)] for a, b in steps)
        returns = sum(b in walk[:number] for number, b in enumerate(walk))
        print(
            f"{name}: {len(set(walk))} files, {len(walk)} stays, {climbs} climbs, {returns} returns"
        )
        if listed:
            print("".join(f"  {file}\n" for file in walk), end="")


if __name__ == "__main__":
    main()
