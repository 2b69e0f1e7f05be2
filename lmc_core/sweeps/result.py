"""What came of a sweep: its cells, and the means over pairs or groups."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, cast

from lmc_core.display import draw_figure, show
from lmc_core.errors import BadInput
from lmc_core.numbers import estimate, number
from lmc_core.runs.request import Scalar

if TYPE_CHECKING:  # they load torch and plotly
    import plotly.graph_objects as go

    from lmc_core.figures.style import Theme

STORED, FAILED, MISSING = "stored", "failed", "missing"


@dataclass(frozen=True)
class Mean:
    """A mean over pairs or groups of models.

    Attributes:
        value: the mean.
        stderr: standard error for new models and examples; None where nothing tells.
        half: half the width of the 95 % interval, by Student's t.
        over_models: standard error over models, by the jackknife: never too small on average.
        over_models_unbiased: the same from components of the variance, smaller where pairs differ
            by themselves; None where the pairs do not tell.
        over_examples: standard error over the examples that all share.
        spread_of_models: standard deviation of what a model adds to its pairs.
        spread_of_pairs: standard deviation of what a pair adds besides.
    """

    value: float
    stderr: float | None = None
    half: float | None = None
    over_models: float | None = None
    over_models_unbiased: float | None = None
    over_examples: float | None = None
    spread_of_models: float | None = None
    spread_of_pairs: float | None = None


@dataclass(frozen=True)
class Row:
    """A row of the table of a sweep.

    Attributes:
        set: of models; "" where there is one.
        method: what the file calls it.
        classes: what the choice is called; "" for the plain average.
        options: of what is varied besides, by name.
        units: pairs or groups that the means are over.
        models: that these are of.
        missing: cells without a result.
        height: barrier of pairs, or height of the centre of groups, in nats.
        of_plain: its share of that of the plain average of the same models; None without one.
        score: largest drop of the accuracy in points, or perplexity.
        score_name: ``accuracy`` or ``perplexity``.
        unit: of losses, "nats per token".
        align_seconds: mean time to align; None where it is not told.
        evaluate_seconds: mean time to measure; likewise.
        steps: mean number of steps of learning; None where nothing is learned.
        moved: mean share of the rows that learning moved; None where nothing is learned.
        function_error: largest relative change of the outputs; None where nothing was aligned.
    """

    set: str
    method: str
    classes: str
    options: dict[str, Scalar]
    units: int
    models: int
    missing: int
    height: Mean
    of_plain: Mean | None
    score: Mean
    score_name: str
    unit: str
    align_seconds: float | None
    evaluate_seconds: float | None
    steps: float | None
    moved: float | None
    function_error: float | None

    @property
    def label(self) -> str:
        """Method, classes and what is varied, in few words."""
        options = [f"{name} {value}" for name, value in self.options.items()]
        classes = [self.classes] if self.classes not in ("", "all", self.method) else []
        return ", ".join([self.method, *classes, *options])


@dataclass(frozen=True)
class CellResult:
    """One cell of a sweep with what came of it.

    Attributes:
        set: of models; "" where there is one.
        models: names of the pair or group.
        references: of the same.
        method: what the file calls it.
        matcher: ``none``, or the name of the method.
        classes: what the choice is called; "" for the plain average.
        chosen: kind of space -> class, as in the request.
        settings: of the method.
        options: of the request, by argument.
        key: of the result.
        state: ``stored``, ``failed`` or ``missing``.
        reason: why it failed, in a sentence.
        height: barrier of a pair, or height of the centre of a group, in nats.
        stderr: standard error of the height over examples.
        of_plain: share of the plain average of the same models.
        score: largest drop of the accuracy in points, or perplexity.
        seconds: by part of the computation.
        steps: of learning.
        function_error: largest relative change of the outputs.
    """

    set: str
    models: tuple[str, ...]
    references: tuple[str, ...]
    method: str
    matcher: str
    classes: str
    chosen: dict[str, str]
    settings: dict[str, Scalar]
    options: dict[str, Scalar]
    key: str
    state: str = MISSING
    reason: str = ""
    height: float | None = None
    stderr: float | None = None
    of_plain: float | None = None
    score: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    steps: int | None = None
    function_error: float | None = None


@dataclass(frozen=True)
class SweepResult:
    """What came of a sweep.

    Attributes:
        name: of its record, and in addresses.
        title: for people.
        grouped: whether the units are groups rather than pairs.
        reference: name of the model that all others are compared with; "" for none.
        source: the sweep file; "" for none.
        cells: in the order of the file.
        rows: means over the pairs or groups.
        written: time of writing, ISO 8601 in UTC.
    """

    name: str
    title: str
    grouped: bool
    reference: str
    source: str
    cells: tuple[CellResult, ...] = field(repr=False)
    rows: tuple[Row, ...] = field(repr=False)
    written: str = ""

    def count(self, state: str) -> int:
        """How many cells are in a state: ``stored``, ``failed`` or ``missing``."""
        return sum(cell.state == state for cell in self.cells)

    @property
    def failures(self) -> list[CellResult]:
        """The cells that failed, each with its reason."""
        return [cell for cell in self.cells if cell.state == FAILED]

    @property
    def noun(self) -> str:
        """What the means are over."""
        return "groups" if self.grouped else "pairs"

    def matrix(self, row: Row) -> tuple[list[str], list[list[float | None]]]:
        """Names of the models, and the barrier between every two of them, in nats; None where there
        is none.

        Args:
            row: which method and options; over seeds it is the mean.
        """
        names: dict[str, None] = {}
        values: dict[tuple[str, str], list[float]] = {}
        for cell in self.list_cells(row):
            names |= dict.fromkeys(cell.models)
            if cell.height is not None and len(cell.models) == 2:
                a, b = cell.models
                for pair in ((a, b), (b, a)):
                    values.setdefault(pair, []).append(cell.height)
        found = [[values.get((a, b)) for b in names] for a in names]
        return list(names), [[sum(v) / len(v) if v else None for v in line] for line in found]

    def list_cells(self, row: Row) -> list[CellResult]:
        """The cells that a row is the mean of."""
        return [
            cell
            for cell in self.cells
            if (cell.set, cell.method, cell.classes) == (row.set, row.method, row.classes)
            and all(cell.options.get(name) == value for name, value in row.options.items())
        ]

    def to_json(self) -> dict[str, object]:
        """Everything as plain JSON values."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> SweepResult:
        """The inverse of `to_json`.

        Raises:
            BadInput: it is not the record of a sweep, or that of another version.
        """
        try:
            cells = [
                CellResult(
                    **{**cell, "models": (*cell["models"],), "references": (*cell["references"],)}
                )
                for cell in cast("Sequence[dict]", content["cells"])
            ]
            rows = [
                Row(**{**row, **{name: _read_mean(row[name]) for name in MEANS}})
                for row in cast("Sequence[dict]", content["rows"])
            ]
            kept = cast("dict", {**content, "cells": tuple(cells), "rows": tuple(rows)})
            return cls(**kept)
        except (KeyError, TypeError) as error:
            raise BadInput(
                "This is not the record of a sweep, or one of another version; run it again."
            ) from error

    def _repr_html_(self) -> str:
        """The rows, in a notebook."""
        facts = [
            (
                f"{row.set} {row.label}".strip(),
                f"{estimate(row.height.value, row.height.stderr, 'nats')}"
                + (f", {number(row.of_plain.value)} of plain" if row.of_plain else ""),
            )
            for row in self.rows
        ]
        states = f"{self.count(STORED)} of {len(self.cells)}"
        failed = f", {self.count(FAILED)} failed" if self.failures else ""
        return show(f"Sweep: {self.title}", [("cells", f"{states} stored{failed}"), *facts])

    def figure(self, theme: Theme = "light") -> go.Figure:
        """The barriers between every two models, one matrix for each row."""
        return draw_figure("lmc_core.sweeps.pictures:matrices_figure", self, theme)


MEANS = ("height", "of_plain", "score")


def _read_mean(content: Mapping[str, float | None] | None) -> Mean | None:
    return None if content is None else Mean(**cast("dict", content))
