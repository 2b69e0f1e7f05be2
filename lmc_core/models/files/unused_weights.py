"""Files of weights that lie beside those that are read: `model.safetensors` beside an index with
shards.

Such folders are left behind where a model was saved again in another number of files. Transformers
reads the single file then, and so does `find_weights`; where the two do not hold the same, a person
is told.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from lmc_core.errors import BadCheckpoint
from lmc_core.models.files import safetensors as safetensors_file
from lmc_core.models.files.folders import Weights, sharded

PIECE = 2**24  # bytes that are compared at once


def notes_on(weights: Weights) -> tuple[str, ...]:
    """What a person should know of the files beside those that are read; nothing where all hold the
    same.
    """
    if weights.beside is None:
        return ()
    read, index = weights.files[0], weights.beside
    try:
        name = _first_difference(weights, sharded(index))
    except BadCheckpoint as error:
        return (
            f"Beside {read.name} lies {index.name}, which cannot be followed: {error} {read.name} "
            "was read.",
        )
    if name is None:
        return ()
    return (
        f"{read.parent.name} holds {read.name} and the shards of {index.name}, which disagree, "
        f"first in {name!r}; "
        f"{read.name} was read, as transformers does. Remove what is out of date.",
    )


def _first_difference(read: Weights, other: Weights) -> str | None:
    """Name of the first parameter that two sets of files do not hold alike."""
    if read.pickled:
        return _find_difference(read.read(), other.read())
    here = {
        name: (read.files[0], entry)
        for name, entry in safetensors_file.header(read.files[0]).items()
    }
    there = {
        name: (path, entry)
        for path in other.files
        for name, entry in safetensors_file.header(path).items()
    }
    for name in [*here, *(name for name in there if name not in here)]:
        if name not in here or name not in there:
            return name
        (path, entry), (second, its) = here[name], there[name]
        alike = (entry.dtype, entry.shape) == (its.dtype, its.shape)
        if not alike or not _same_bytes(
            path, entry.start, second, its.start, entry.end - entry.start
        ):
            return name
    return None


def _find_difference(here: dict[str, Tensor], there: dict[str, Tensor]) -> str | None:
    for name in [*here, *(name for name in there if name not in here)]:
        left, right = here.get(name), there.get(name)
        if (
            left is None
            or right is None
            or left.dtype != right.dtype
            or not torch.equal(left, right)
        ):
            return name
    return None


def _same_bytes(path: Path, start: int, other: Path, its: int, length: int) -> bool:
    """Whether two stretches of files are the same."""
    try:
        with path.open("rb") as left, other.open("rb") as right:
            left.seek(start)
            right.seek(its)
            while length > 0:
                size = min(PIECE, length)
                if left.read(size) != right.read(size):
                    return False
                length -= size
    except OSError as error:
        raise BadCheckpoint(f"{other.name} cannot be read ({error.strerror}).") from error
    return True
