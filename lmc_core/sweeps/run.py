"""Run a sweep: what is stored is taken, an executor computes the rest, and a cell that fails does
not stop the others.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lmc_core.analysis.memory import require_room
from lmc_core.errors import Cancelled, LmcError
from lmc_core.intervals.errors import stderr
from lmc_core.progress import Progress, ignore, part
from lmc_core.runs.cost import estimate_memory
from lmc_core.runs.executors import Executor, Finished, Inline, Local, Queued
from lmc_core.runs.request import ModelsRequest
from lmc_core.runs.result import Result
from lmc_core.runs.store import Store
from lmc_core.sweeps.cells import Cell, make_cells, require_possible, shorten
from lmc_core.sweeps.measure import CellNumbers, measure
from lmc_core.sweeps.read import read_content, read_file
from lmc_core.sweeps.record import choose_name, read_record, write_record
from lmc_core.sweeps.result import FAILED, MISSING, STORED, CellResult, SweepResult
from lmc_core.sweeps.rows import list_errors, make_rows
from lmc_core.sweeps.spec import Sweep

PLANNING = 0.02  # of the progress, what making the requests takes
OFTEN = 10.0  # seconds between two writings of the record while cells are computed


def sweep(
    source: str | Path | Mapping[str, object] | Sweep,
    executor: Executor | None = None,
    progress: Progress = ignore,
    *,
    fresh: bool = False,
    only_stored: bool = False,
) -> SweepResult:
    """Run a sweep, or go on with one: results that are in the store are not computed again.

    Args:
        source: a sweep file, its content as TOML gives it, or what `read_file` returns.
        executor: who computes; by default this process.
        progress: told the share done and a few words; may raise `Cancelled`.
        fresh: compute although there are results.
        only_stored: take what is stored, and compute nothing.

    Raises:
        BadInput: something in the file makes no sense, or a request cannot be made; nothing is
            computed then.
        Cancelled: the progress raised it; what is done stays.
    """
    spec = source if isinstance(source, Sweep) else read_source(source)
    executor = executor or Inline()
    elsewhere = isinstance(executor, Queued) and not isinstance(executor, Local)
    cells = make_cells(spec, progress=part(progress, 0.0, PLANNING), elsewhere=elsewhere)
    possible = require_possible(cells)
    name = choose_name(spec.name, _source(spec))
    if only_stored:
        return _finish(spec, name, cells, _read_stored(cells, executor.store), {})
    found, reasons = dict[str, CellNumbers](), dict[str, str]()
    write_record(_gather(spec, name, cells, found, reasons))
    requests = list({request.key: request for _, request in possible}.values())
    written = time.monotonic()
    told = part(progress, PLANNING, 1.0)
    try:
        for place, outcome in _run_all(executor, requests, told, fresh):
            key = requests[place].key
            if isinstance(outcome, Result):
                found[key] = measure(outcome)
            else:
                reasons[key] = str(outcome)
            if time.monotonic() - written > OFTEN:
                written = time.monotonic()
                write_record(_gather(spec, name, cells, found, reasons))
    finally:  # also of a sweep that was stopped
        done = _finish(spec, name, cells, found, reasons)
    return done


def read_source(source: str | Path | Mapping[str, object]) -> Sweep:
    """The sweep of a file, or of its content."""
    return read_file(Path(source)) if isinstance(source, str | Path) else read_content(source)


def read_sweep(name: str) -> SweepResult:
    """What is recorded of a sweep, by its name; nothing is computed, and no model is read.

    Raises:
        UnknownName: there is none.
    """
    return read_record(name)


def _run_all(
    executor: Executor, requests: Sequence[ModelsRequest], progress: Progress, fresh: bool
) -> Iterator[Finished]:
    """Place of each request and its result or why it failed, as they finish; in this process one
    after another, where whatever a computation comes to ends its own cell alone.
    """
    if isinstance(executor, Queued):
        yield from executor.run_all(requests, progress, fresh=fresh)
        return
    for place, request in enumerate(requests):
        words = f"{place + 1} of {len(requests)}, {' → '.join(request.names)}, {request.method}"
        told = _label(part(progress, place / len(requests), (place + 1) / len(requests)), words)
        try:
            if fresh or executor.store.get(request.key) is None:
                require_room(estimate_memory(request).peak, "This cell")
            yield place, executor.run(request, told, fresh=fresh)
        except Cancelled:
            raise
        except LmcError as error:
            yield place, error
        except Exception as error:
            yield place, LmcError(f"{type(error).__name__}: {str(error)[:300]}")


def _label(progress: Progress, label: str) -> Progress:
    return lambda share, words: progress(share, f"{label}: {words}")


def _read_stored(cells: Sequence[Cell], store: Store) -> dict[str, CellNumbers]:
    found = {}
    for cell in cells:
        if cell.request is not None and cell.request.key not in found:
            result = store.answer(cell.request)
            if result is not None:
                found[cell.request.key] = measure(result)
    return found


def _finish(
    spec: Sweep,
    name: str,
    cells: Sequence[Cell],
    found: Mapping[str, CellNumbers],
    reasons: Mapping[str, str],
) -> SweepResult:
    done = _gather(spec, name, cells, found, reasons)
    write_record(done)
    return done


def _source(spec: Sweep) -> str:
    return "" if spec.source is None else str(spec.source)


def _gather(
    spec: Sweep,
    name: str,
    cells: Sequence[Cell],
    found: Mapping[str, CellNumbers],
    reasons: Mapping[str, str],
) -> SweepResult:
    """Everything that is known so far."""
    plain = {
        (cell.set, cell.models, tuple(cell.options.items())): found[cell.request.key].height.value
        for cell in cells
        if cell.choice.method == "none" and cell.request and cell.request.key in found
    }
    return SweepResult(
        name=name,
        title=spec.title,
        grouped=spec.grouped,
        reference="" if spec.reference is None else shorten(spec.reference),
        source=_source(spec),
        cells=tuple(_gather_cell(cell, found, reasons, plain) for cell in cells),
        rows=tuple(make_rows(spec, cells, found)),
        written=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _gather_cell(
    cell: Cell,
    found: Mapping[str, CellNumbers],
    reasons: Mapping[str, str],
    plain: Mapping[tuple, float],
) -> CellResult:
    """What is known of one cell so far."""
    request, choice = cell.request, cell.choice
    key = "" if request is None else request.key
    numbers = found.get(key)
    state = STORED if numbers else FAILED if key in reasons or request is None else MISSING
    known = CellResult(
        set=cell.set,
        models=tuple(map(shorten, cell.models)) if request is None else request.names,
        references=cell.models,
        method=choice.label,
        matcher=choice.method,
        classes="" if choice.classes is None else choice.classes.label,
        chosen={} if request is None else dict(request.classes),
        settings=dict(choice.settings),
        options=dict(cell.options),
        key=key,
        state=state,
        reason=cell.problem or reasons.get(key, ""),
    )
    if numbers is None:
        return known
    return replace(known, **_cell_numbers(cell, numbers, plain))


def _cell_numbers(cell: Cell, numbers: CellNumbers, plain: Mapping[tuple, float]) -> dict[str, Any]:
    """The entries of a cell that its result has."""
    result, height = numbers.result, numbers.height
    below = plain.get((cell.set, cell.models, tuple(cell.options.items())))
    return {
        "height": height.value,
        "stderr": float(stderr(height.parts, numbers.groups)),
        "of_plain": height.value / below if below and cell.choice.method != "none" else None,
        "score": numbers.score.value,
        "seconds": dict(result["seconds"]),
        "steps": (result.get("found") or {}).get("steps"),
        "function_error": max(list_errors(result), default=None),
    }
