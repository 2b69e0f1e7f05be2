"""Checkpoints that a request matches through: found when it is made, read again when it is
computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from lmc_core.errors import BadInput
from lmc_core.matching.chain import find_way, require_alike, require_as_many, require_run
from lmc_core.models.checkpoints import list_checkpoints
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model
from lmc_core.runs.request import ModelsRequest, Scalar

PATH = "path:"  # before a folder, as in references of models


class Through(TypedDict):
    """What a request says of checkpoints: of each run, the earliest first."""

    through: tuple[tuple[str, ...], ...]
    through_digests: tuple[tuple[str, ...], ...]


def choose_through(
    models: tuple[Model, Model],
    method: str,
    settings: Mapping[str, Scalar] | None,
    folders: Sequence[str | Path],
) -> Through:
    """What a request says of the checkpoints in two folders.

    Args:
        models: that both runs lead to.
        method: of matching.
        settings: of it, by name.
        folders: of both runs (`models.checkpoints`).

    Raises:
        BadInput: for a method that takes no start, folders without checkpoints, or unequal numbers.
        Incompatible: if a checkpoint does not fit the model that its run leads to.
    """
    if len(folders) != 2:
        raise BadInput(
            f"Two folders with checkpoints are expected, of A and B; {len(folders)} came."
        )
    find_way(method, settings)
    require_alike(*models)
    found = [list_checkpoints(Path(folder)) for folder in folders]
    require_as_many(*map(len, found))
    digests = []
    for end, paths in zip(models, found, strict=True):
        own = []
        for path in paths:  # one at a time
            checkpoint = load_folder(path)
            require_run(end, checkpoint)
            own.append(checkpoint.digest)
        digests.append(tuple(own))
    references = tuple(tuple(f"{PATH}{path}" for path in paths) for paths in found)
    return {"through": references, "through_digests": tuple(digests)}


def open_through(request: ModelsRequest) -> Iterator[tuple[Model, Model]]:
    """The pairs of checkpoints of a request, one at a time.

    Raises:
        BadInput: if they have changed since the request was made.
    """
    for number in range(len(request.through[0])):
        pair = []
        for paths, digests in zip(request.through, request.through_digests, strict=True):
            model = load_folder(Path(paths[number].removeprefix(PATH)))
            if model.digest != digests[number]:
                raise BadInput(
                    f"The files of {model.name} have changed since the request was made; ask again."
                )
            pair.append(model)
        yield pair[0], pair[1]
