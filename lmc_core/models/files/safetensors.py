"""One `.safetensors` file: its header, and its tensors read into memory of their own.

A file is an 8-byte length, a JSON header with the type, shape and place of every tensor, and the
tensors' bytes. Tensors are not mapped into memory: a mapped file that somebody overwrites changes
the model, or ends the process. Each tensor's bytes are read straight into its own memory, so that
nothing is held twice.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lmc_core.errors import BadCheckpoint
from lmc_core.models.files.lfs import require_no_pointer

DTYPES: dict[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class Entry:
    """One tensor of a file: its type as the format spells it, its shape, and where its bytes are,
    from the file's beginning.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def header(path: Path) -> dict[str, Entry]:
    """Name -> entry of every tensor, in the order of the file.

    Raises:
        BadCheckpoint: for a pointer of Git LFS, and unless the file is whole: the header readable,
            and its tensors filling the file without holes.
    """
    require_no_pointer(path)
    try:
        # the library checks sizes, holes and overlaps
        with safe_open(path, framework="pt"), path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            content = json.loads(file.read(length))
        entries = {
            name: Entry(
                e["dtype"],
                tuple(e["shape"]),
                *(8 + length + offset for offset in e["data_offsets"]),
            )
            for name, e in content.items()
            if name != "__metadata__"
        }
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise BadCheckpoint(
            f"{path.parent.name}/{path.name} is truncated or no safetensors file ({reason}); "
            "fetch it again."
        ) from error
    return dict(sorted(entries.items(), key=lambda item: item[1].start))


def read(path: Path) -> dict[str, Tensor]:
    """Name -> tensor, as stored; float64 is rounded to float32, in which everything is computed.

    Raises:
        BadCheckpoint: for a damaged file, and for types that are no ordinary numbers (float8 and
            packed integers).
    """
    entries = header(path)
    _require_numbers(entries)
    try:
        with path.open("rb") as file:
            return {name: _read_one(file, path, name, entry) for name, entry in entries.items()}
    except OSError as error:
        raise _unreadable(path, error) from error


class Reader:
    """Reads single tensors of files that stay as they are meanwhile; nothing is kept, and several
    threads may read.

    Args:
        paths: of the files, of which no two hold tensors of one name.

    Raises:
        BadCheckpoint: as `read`.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._entries: dict[str, tuple[Path, Entry]] = {}
        self._states: dict[Path, tuple[int, int, int]] = {}
        for path in paths:
            self._states[path] = _state(path.stat())
            entries = header(path)
            _require_numbers(entries)
            self._entries |= {name: (path, entry) for name, entry in entries.items()}

    def __call__(self, name: str) -> Tensor:
        """Read one tensor, in memory of its own.

        Raises:
            BadCheckpoint: if the file cannot be read, or is not what it was.
        """
        path, entry = self._entries[name]
        try:
            with path.open("rb", buffering=0) as file:
                self._require_unchanged(file, path)
                found = _read_one(file, path, name, entry)
                self._require_unchanged(file, path)  # what was written meanwhile is noticed too
        except OSError as error:
            raise _unreadable(path, error) from error
        return found

    def _require_unchanged(self, file: FileIO, path: Path) -> None:
        if _state(os.fstat(file.fileno())) != self._states[path]:
            raise BadCheckpoint(
                f"{path.parent.name}/{path.name} has changed since it was opened; leave the files "
                "alone while they are used, and start again."
            )


def _state(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ino


def _require_numbers(entries: Mapping[str, Entry]) -> None:
    for name, entry in entries.items():
        if entry.dtype not in DTYPES:
            raise quantised(name, entry.dtype)


def _read_one(file: BufferedReader | FileIO, path: Path, name: str, entry: Entry) -> Tensor:
    raw = torch.empty(entry.end - entry.start, dtype=torch.uint8)
    file.seek(entry.start)
    rest = raw.numpy().data
    while rest and (count := file.readinto(rest)):
        rest = rest[count:]
    if rest:
        raise BadCheckpoint(
            f"{path.parent.name}/{path.name} ends before {name!r} does; fetch it again."
        )
    dtype = DTYPES[entry.dtype]
    tensor = (
        raw.view(dtype).view(entry.shape)
        if math.prod(entry.shape)
        else torch.empty(entry.shape, dtype=dtype)
    )
    return tensor.float() if dtype == torch.float64 else tensor


def _unreadable(path: Path, error: OSError) -> BadCheckpoint:
    return BadCheckpoint(f"{path.parent.name}/{path.name} cannot be read ({error.strerror}).")


def quantised(name: str, dtype: str) -> BadCheckpoint:
    """The error for a type that is not supported."""
    return BadCheckpoint(
        f"The parameter {name!r} is stored as {dtype}; float32, bfloat16 or float16 is expected, "
        "so save the model again "
        "without quantisation."
    )
