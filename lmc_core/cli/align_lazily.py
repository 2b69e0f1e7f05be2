"""Large models that `lmc align` reads one parameter at a time, and writes so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lmc_core.analysis.lazy_memory import (
    can_be_lazy,
    estimate_lazy_group_of,
    estimate_lazy_pair,
    is_large,
)
from lmc_core.analysis.memory import require_room
from lmc_core.analysis.widened_memory import can_be_widened_lazily, estimate_lazy_widths
from lmc_core.matching.many import MOST
from lmc_core.matching.method import learns
from lmc_core.matching.methods import MANY_METHODS
from lmc_core.models.load import load
from lmc_core.models.model import Model
from lmc_core.runs.inputs import CHECKED, find_device
from lmc_core.runs.request import WINDOW


@dataclass(frozen=True)
class Opened:
    """Two models or more with lazy parameters.

    Attributes:
        models: of which nothing is held.
        needed: bytes that aligning and writing them takes.
    """

    models: tuple[Model, ...]
    needed: int


def open_lazily(
    references: Sequence[str],
    method: str,
    device: str | None,
    length: int | None,
    settings: Mapping[str, object] | None = None,
) -> Opened | None:
    """Models to be aligned without being held; None where they are small, or have to be held: on a
    GPU, of several heads or depths, more than two of several widths, or by a method that learns.

    Args:
        references: of all of them.
        method: a name in `METHODS` or `MANY_METHODS`.
        device: that was asked for.
        length: tokens of a window.
        settings: of the method.

    Raises:
        BadInput: if there is less memory than is needed.
    """
    many = method in MANY_METHODS
    configured = MANY_METHODS[method].configured(settings) if many else None
    by_weights = many and not learns(configured)
    if not (method == "weight" or by_weights) or find_device(device) != "cpu":
        return None
    widths = not many and can_be_widened_lazily(references)
    if len(references) > MOST or not (widths or can_be_lazy(references)):
        return None
    if not is_large(references):
        return None
    examples = CHECKED, length or WINDOW
    if widths:
        needed = estimate_lazy_widths(references, *examples)
        named = f"{references[1]} onto {references[0]}"
    elif many:
        onto = getattr(configured, "reference", 0) > 0
        needed = estimate_lazy_group_of(references, *examples, onto)
        named = f"{len(references)} models"
    else:
        needed = estimate_lazy_pair(references, *examples)
        named = f"{references[1]} onto {references[0]}"
    require_room(needed, f"Aligning {named}")
    return Opened(tuple(load(reference, lazy=True) for reference in references), needed)
