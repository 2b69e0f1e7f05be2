"""Several models merged: its request, its numbers, and its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict

from lmc_core import folders
from lmc_core.merging.numbers import LinesNumbers, MergeRow, ModelRow, SimplexNumbers
from lmc_core.registry import import_later
from lmc_core.runs.computation import Computation
from lmc_core.runs.kinds import Asked, FrameNumbers, Seconds, SharedWeights, Size, Stamp
from lmc_core.runs.request import ManyRequest, Scalar
from lmc_core.runs.requests.many import rename_start

# a way to merge, and those of its settings that differ from the defaults
Wanted = tuple[str, tuple[tuple[str, Scalar], ...]]


class TaskNumbers(TypedDict):
    """A task that is measured on."""

    name: str
    unit: str
    score: str
    about: str
    examples: int


class Named(TypedDict):
    """A model."""

    name: str
    digest: str


class Saved(Named):
    """The checkpoint that was written."""

    dtype: str
    rounding: float | None  # largest relative difference of the outputs that rounding made


class MergeFacts(Asked, Size, FrameNumbers):
    """What was asked, and how the models came into their frame; the models named are those that are
    merged.
    """

    ancestor: Named | None
    stand_in: str | None
    weights: list[float]
    frame: str
    frame_title: str
    tasks: list[TaskNumbers]
    memory: int  # bytes
    same: NotRequired[list[SharedWeights]]


class MergeNumbers(MergeFacts, Stamp):
    """The numbers of a `MergeRequest`."""

    models_rows: list[ModelRow]
    rows: list[MergeRow]
    lines: LinesNumbers | None
    simplex: SimplexNumbers | None
    # of requests that do not keep a model
    centre_excess: NotRequired[float]  # of the mean, above the mean of the models' losses
    centre_stderr: NotRequired[float]
    seconds: NotRequired[Seconds]
    # of those that do
    saved: NotRequired[Saved]


@dataclass(frozen=True, kw_only=True)
class MergeRequest(ManyRequest):
    """Several models brought into one frame, which `method` names, and merged there in several
    ways.

    Attributes:
        merges: ways to merge with their settings, names in `merging.methods.MERGES`.
        weights: of the models, summing to 1.
        ancestor: whether the last of the models is the common ancestor of the others, which is
            moved and not merged.
        stand_in: what stands in for an ancestor otherwise, ``mean`` or ``first``.
        also: further shipped tasks to measure on, those that the models were trained on.
        points: measured inside of each line between two models.
        resolution: of the grid on the simplex of three models; None for other numbers of models.
        save: name under which the one merged model is kept as a checkpoint; "" for not.
        dtype: type of the weights that are written; "" for those of the first model.
    """

    @property
    def numbers(self) -> type[MergeNumbers]:
        """The type of its results."""
        return MergeNumbers

    method: str = "none"
    merges: tuple[Wanted, ...] = ()
    weights: tuple[float, ...] = ()
    ancestor: bool = False
    stand_in: str = "mean"
    also: tuple[str, ...] = ()
    points: int = 3
    resolution: int | None = None
    save: str = ""
    dtype: str = ""
    what: str = "merge"

    def to_json(self) -> dict[str, object]:
        """Everything as plain JSON values; a type only where one was asked for, so that keys from
        before stay.
        """
        content = super().to_json()
        if not self.dtype:
            del content["dtype"]
        return content

    @property
    def count(self) -> int:
        """How many models are merged."""
        return len(self.models) - self.ancestor


def models_folder() -> Path:
    """Where models that a person keeps lie."""
    return folders.home() / "models"


def rename(numbers: MergeNumbers, before: Sequence[str], names: Sequence[str]) -> MergeNumbers:
    """The names of the start, of the rows, of the ancestor and of what a soup kept; see
    `runs.computation.Computation`.
    """

    def kept(row: MergeRow) -> MergeRow:
        about = row.get("about") or {}
        chosen = about.get("kept_numbers")  # counted from 1
        # of an earlier version, which kept the names alone
        if chosen is None and len(set(before)) == len(before):
            chosen = [before.index(name) + 1 for name in about.get("kept", ()) if name in before]
        return (
            {**row, "about": {**about, "kept": [names[k - 1] for k in chosen]}} if chosen else row
        )

    rows = zip(numbers.get("models_rows") or [], names, strict=False)
    found: MergeNumbers = {
        **numbers,
        "models_rows": [{**row, "name": name} for row, name in rows],
        "rows": [kept(row) for row in numbers.get("rows") or []],
    }
    if (start := rename_start(numbers.get("start"), names)) is not None:
        found["start"] = start
    if ancestor := numbers.get("ancestor"):
        found["ancestor"] = {**ancestor, "name": names[-1]}
    return found


COMPUTATION = Computation(
    "merge",
    MergeRequest,
    import_later("lmc_core.runs.kinds.merge:compute"),
    passes=import_later("lmc_core.runs.kinds.merge:count_passes"),
    summarize=import_later("lmc_core.runs.kinds.merge:summarize"),
    rename=rename,
)
