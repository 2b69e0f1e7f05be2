"""Folders of what was computed on the way to a result and may be of use again.

Nothing in them is precious: a folder that is missing, damaged or crowded out is computed again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from lmc_core.atomic import new_folder
from lmc_core.errors import LmcError

T = TypeVar("T")
ROOM = 2**31  # bytes of each of the two folders; what was used longest ago gives way
# what reading a folder that is not whole can raise
Damaged = (OSError, ValueError, KeyError, TypeError, SafetensorError, LmcError)


def read_kept(folder: Path, read: Callable[[Path], T], refresh: bool) -> T | None:
    """What is kept in a folder, or None; one that cannot be read is removed.

    Args:
        folder: that it would be in.
        read: reads it.
        refresh: remove it in any case.
    """
    try:
        if not refresh:
            found = read(folder)
            os.utime(folder)  # used just now
            return found
    except Damaged:
        pass
    shutil.rmtree(folder, ignore_errors=True)
    return None


def keep(folder: Path, write: Callable[[Path], None]) -> None:
    """Keep something in a folder, whole or not at all; a full disk is no reason to fail.

    Args:
        folder: that it will be in.
        write: writes it into the folder that it is given.
    """
    with suppress(OSError), new_folder(folder) as draft:  # no room, or another process was first
        make_room(folder.parent)
        write(draft)


def make_room(parent: Path) -> None:
    """Remove the folders used longest ago until there is room for more."""
    held = [
        (path.stat().st_mtime, sum(file.stat().st_size for file in path.iterdir()), path)
        for path in parent.iterdir()
    ]
    over = sum(size for _, size, _ in held) - ROOM
    for _, size, path in sorted(held):
        if over <= 0:
            return
        shutil.rmtree(path, ignore_errors=True)
        over -= size


def write_state(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write tensors by name, as safetensors."""
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)


def write_json(path: Path, content: object) -> None:
    """Write JSON values."""
    path.write_text(json.dumps(content), encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))
