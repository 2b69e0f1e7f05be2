"""Two large models that `lmc align` reads one parameter at a time, and writes so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lmc_core.analysis.lazy_memory import can_be_lazy, estimate_lazy_pair, is_large
from lmc_core.analysis.memory import require_room
from lmc_core.models.load import load
from lmc_core.models.model import Model
from lmc_core.runs.inputs import CHECKED, find_device
from lmc_core.runs.request import WINDOW


@dataclass(frozen=True)
class Opened:
    """Two models with lazy parameters.

    Attributes:
        models: of which nothing is held.
        needed: bytes that aligning and writing them takes.
    """

    models: tuple[Model, Model]
    needed: int


def open_lazily(
    references: Sequence[str], method: str, device: str | None, length: int | None
) -> Opened | None:
    """Two models to be aligned without being held; None where they are small, or have to be held:
    on a GPU, of two sizes or heads, or by a method that learns.

    Args:
        references: of both.
        method: a name in `METHODS`.
        device: that was asked for.
        length: tokens of a window.

    Raises:
        BadInput: if there is less memory than is needed.
    """
    if method != "weight" or find_device(device) != "cpu":
        return None
    if not (can_be_lazy(references) and is_large(references)):
        return None
    needed = estimate_lazy_pair(references, CHECKED, length or WINDOW)
    require_room(needed, f"Aligning {references[1]} onto {references[0]}")
    first, second = (load(reference, lazy=True) for reference in references)
    return Opened((first, second), needed)
