"""Means over the pairs or groups of a sweep: one row for each set of models, method, choice of
classes and value of what else is varied, with standard errors.

Seeds are no pairs: the numbers of one pair are averaged over its seeds first, and what remains of
them is part of what a pair differs by (`intervals.pairs`). The examples that different seeds draw
overlap, so the error over examples is the mean of theirs, as if they were the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from statistics import mean

from lmc_core.intervals.errors import freedom
from lmc_core.intervals.pairs import PairMean, components, join_freedom, over_pairs
from lmc_core.paths.pair_numbers import Measured, summarise_pairs
from lmc_core.runs.request import Scalar
from lmc_core.sweeps.cells import Cell
from lmc_core.sweeps.measure import CellNumbers
from lmc_core.sweeps.result import Mean, Row
from lmc_core.sweeps.spec import Sweep

SEED = "seed"
Unit = tuple[str, ...]
Measurements = Sequence[tuple[Cell, CellNumbers]]


def make_rows(sweep: Sweep, cells: Sequence[Cell], found: Mapping[str, CellNumbers]) -> list[Row]:
    """The rows of a sweep, in the order of the file; those without any result are left out.

    Args:
        sweep: that was asked for.
        cells: of it.
        found: key -> numbers of its result, where there is one.
    """
    every: dict[Hashable, list[Cell]] = {}
    plain: dict[Hashable, CellNumbers] = {}
    for cell in cells:
        every.setdefault(_row_key(cell), []).append(cell)
        if cell.choice.method == "none" and (numbers := _numbers(cell, found)) is not None:
            plain[_pairing_key(cell)] = numbers
    rows = []
    for group in every.values():
        there = [(cell, n) for cell in group if (n := _numbers(cell, found)) is not None]
        if there:
            rows.append(_make_row(sweep, group, there, plain))
    order = {each.name: k for k, each in enumerate(sweep.sets)}
    return sorted(rows, key=lambda row: order[row.set])


def _numbers(cell: Cell, found: Mapping[str, CellNumbers]) -> CellNumbers | None:
    return None if cell.request is None else found.get(cell.request.key)


def _row_key(cell: Cell) -> Hashable:
    """What cells of one row have in common."""
    kept = tuple((name, value) for name, value in cell.options.items() if name != SEED)
    return cell.set, cell.choice, kept


def _pairing_key(cell: Cell) -> Hashable:
    """What a cell shares with that of the plain average of the same models on the same examples."""
    return cell.set, cell.models, tuple(cell.options.items())


def _make_row(
    sweep: Sweep, cells: Sequence[Cell], there: Measurements, plain: Mapping[Hashable, CellNumbers]
) -> Row:
    first, results = there[0], [numbers.result for _, numbers in there]
    paired = [(cell, n) for cell, n in there if _pairing_key(cell) in plain]

    def over(chosen: Measurements, value: Callable[[Cell, CellNumbers], Measured]) -> Mean:
        return _summarise(sweep, [(cell, value(cell, n), n) for cell, n in chosen])

    ratios = None
    if paired and first[0].choice.method != "none":
        ratios = over(paired, lambda cell, n: n.height.over(plain[_pairing_key(cell)].height))
    reports = [result.get("found") or {} for result in results]
    steps = [report["steps"] for report in reports if "steps" in report]
    moved = [report["rows_moved"] / report["rows"] for report in reports if report.get("rows")]
    errors = [error for result in results for error in list_errors(result)]
    choice = first[0].choice
    units = {cell.models for cell, _ in there}
    return Row(
        set=first[0].set,
        method=choice.label,
        classes="" if choice.classes is None else choice.classes.label,
        options={name: first[0].options[name] for name in sweep.varied if name != SEED},
        units=len(units),
        models=len({model for unit in units for model in unit}),
        missing=len(cells) - len(there),
        height=over(there, lambda _, n: n.height),
        of_plain=ratios,
        score=over(there, lambda _, n: n.score),
        score_name=str(results[0]["score"]),
        unit=str(results[0]["unit"]),
        align_seconds=mean(result["seconds"].get("align", 0.0) for result in results),
        evaluate_seconds=mean(result["seconds"].get("evaluate", 0.0) for result in results),
        steps=mean(steps) if steps else None,
        moved=mean(moved) if moved else None,
        function_error=max(errors, default=None),
    )


def list_errors(result: Mapping[str, object]) -> list[float]:
    """The changes of the outputs: of a pair one, of a group one for each model."""
    one, several = result.get("function_error"), result.get("function_errors")
    found = several if isinstance(several, list) else [one]
    return [each for each in found if isinstance(each, float)]


def _summarise(sweep: Sweep, each: Sequence[tuple[Cell, Measured, CellNumbers]]) -> Mean:
    """The mean over pairs or groups, of which some may have several seeds."""
    by_unit: dict[Unit, list[float]] = {}
    by_seed: dict[Scalar, list[tuple[Unit, Measured, CellNumbers]]] = {}
    for cell, measured, numbers in each:
        by_unit.setdefault(cell.models, []).append(measured.value)
        by_seed.setdefault(cell.options.get(SEED), []).append((cell.models, measured, numbers))
    fixed = () if sweep.reference is None else (sweep.reference,)
    units, values = list(by_unit), [mean(values) for values in by_unit.values()]
    found = over_pairs(units, values, fixed=fixed)
    errors, free = [], 0
    for rows in by_seed.values():
        groups = rows[0][2].groups
        one = summarise_pairs([row[0] for row in rows], [row[1] for row in rows], groups)
        if one.over_examples is not None:
            errors.append(one.over_examples)
            free = freedom(len(rows[0][1].parts), groups)
    if errors:
        together = mean(errors)
        clusters = round(found.freedom) if found.over_models is not None else 0
        joined = join_freedom((found.over_models, clusters), (together, free))
        found = replace(found, over_examples=together, freedom=joined)
    return _make_mean(found, units, values, fixed)


def _make_mean(
    found: PairMean, units: Sequence[Unit], values: Sequence[float], fixed: tuple[str, ...]
) -> Mean:
    parts = components(units, values, fixed)
    return Mean(
        found.value,
        found.stderr,
        found.half,
        found.over_models,
        None if parts is None else parts.stderr,
        found.over_examples,
        None if parts is None else parts.models,
        None if parts is None else parts.pairs,
    )
