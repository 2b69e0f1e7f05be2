"""What a sweep will take, said before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lmc_core.analysis.memory import estimate
from lmc_core.matching.method import learns
from lmc_core.matching.methods import find_method
from lmc_core.models.catalogue import public
from lmc_core.models.families import FAMILIES
from lmc_core.numbers import size
from lmc_core.runs.cost import estimate_memory, expected_seconds, finished_runs
from lmc_core.runs.expected import Expected, rounded
from lmc_core.runs.request import ModelsRequest
from lmc_core.runs.store import Store
from lmc_core.sweeps.cells import Cell

NEW, STORED, ABSENT, IMPOSSIBLE = "new", "stored", "not fetched", "impossible"


@dataclass(frozen=True)
class ExpectedCell:
    """What one cell will take.

    Attributes:
        cell: with its request, where there is one.
        state: ``new``, ``stored``, ``not fetched`` (a model has to be, first), or ``impossible``,
            for the reason that the cell gives.
        time: of a new cell, by itself; None where nothing tells.
        memory: that it takes at the most, in bytes, of models that are not fetched by what the
            catalogue says of them; None where nothing tells.
    """

    cell: Cell
    state: str
    time: Expected | None = None
    memory: int | None = None

    @property
    def words(self) -> str:
        """Its state, time and memory for people."""
        if self.state in (STORED, IMPOSSIBLE):
            return self.cell.problem or self.state
        if self.state == ABSENT:
            return f"not fetched, {size(self.memory)}" if self.memory else "not fetched"
        time = "?" if self.time is None else f"about {rounded(self.time.seconds)}"
        return f"{time}, {size(self.memory or 0)}"


@dataclass(frozen=True)
class ExpectedSweep:
    """What a sweep will take.

    Attributes:
        cells: all of them.
        time: of all new cells one after the other, alignments that several share counted once;
            None where nothing tells.
        memory: of the largest cell that is not stored, in bytes; 0 where nothing tells.
    """

    cells: tuple[ExpectedCell, ...]
    time: Expected | None
    memory: int

    def count(self, state: str) -> int:
        """How many cells are in a state."""
        return sum(each.state == state for each in self.cells)

    @property
    def words(self) -> str:
        """Everything in a sentence or two."""
        counts = [f"{self.count(state)} {state}" for state in (STORED, NEW, ABSENT, IMPOSSIBLE)]
        kept = [words for words in counts if not words.startswith("0 ")]
        said = f"{len(self.cells)} cells: {', '.join(kept)}."
        if not self.count(NEW):
            room = f" They take {size(self.memory)} of memory at the most." if self.memory else ""
            return said + room
        time = "how long is not known"
        if self.time is not None:
            known = "as earlier runs took" if self.time.measured else "by a rough count"
            time = f"about {rounded(self.time.seconds)} one after the other, {known}"
        return f"{said} The new ones take {time}, and {size(self.memory)} of memory at the most."


def expect(cells: Sequence[Cell], store: Store) -> ExpectedSweep:
    """What the cells of a sweep will take that are not stored.

    Args:
        cells: of the sweep.
        store: where results lie.
    """
    finished = finished_runs(store.list())
    new: dict[str, ModelsRequest] = {}
    found = []
    for cell in cells:
        request = cell.request
        if request is None and cell.absent:
            found.append(ExpectedCell(cell, ABSENT, memory=_foresee_memory(cell)))
        elif request is None:
            found.append(ExpectedCell(cell, IMPOSSIBLE))
        elif store.get(request.key) is not None:
            found.append(ExpectedCell(cell, STORED))
        else:
            new[request.key] = request
            time = expected_seconds([request], finished)
            found.append(ExpectedCell(cell, NEW, time, estimate_memory(request).peak))
    return ExpectedSweep(
        tuple(found),
        expected_seconds(list(new.values()), finished) if new else None,
        max((each.memory or 0 for each in found), default=0),
    )


def _foresee_memory(cell: Cell) -> int | None:
    """What a pair will take by the configuration that the catalogue gives for its models."""
    for each in public():
        if set(cell.models) & set(each.members):
            family = next(family for family in FAMILIES.values() if family.recognises(each.config))
            points = cell.options.get("points")
            aligned, learned = cell.choice.method != "none", _learns(cell)
            found = estimate(
                family,
                family.config(each.config),
                points if isinstance(points, int) else 25,
                aligned,
                learned=learned,
            )
            return found.peak * ((len(cell.models) + 1) // 2)
    return None


def _learns(cell: Cell) -> bool:
    if cell.choice.method == "none":
        return False
    return learns(find_method(cell.choice.method).configured(dict(cell.choice.settings)))
