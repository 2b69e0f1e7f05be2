"""`lmc sweep FILE.toml`: a grid of requests on any executor, and its table."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from lmc_core.cli.computing import Run
from lmc_core.cli.output import check_target, print_json, table
from lmc_core.errors import BadInput, UnknownName
from lmc_core.runs.executors import Inline, Local, Queued
from lmc_core.runs.store import Store
from lmc_core.sweeps.cells import make_cells
from lmc_core.sweeps.expect import ExpectedSweep, expect
from lmc_core.sweeps.read import read_file
from lmc_core.sweeps.record import list_sweeps, read_record
from lmc_core.sweeps.result import FAILED, MISSING, STORED, SweepResult
from lmc_core.sweeps.run import sweep
from lmc_core.sweeps.spec import Sweep
from lmc_core.sweeps.tables import (
    cells_table,
    describe_cells,
    describe_errors,
    latex,
    list_cells,
    markdown,
    rows_table,
)

TARGETS = ("csv", "cells", "latex", "markdown", "figure")
REASONS = 5  # failed cells that are said one by one


def run(arguments: argparse.Namespace) -> int:
    """Run a sweep, say what it would take, or show what is stored of it."""
    for name in TARGETS:
        check_target(getattr(arguments, name), f"--{name}")
    if arguments.list:
        return list_all(arguments.json)
    if arguments.file is None:
        raise BadInput("A sweep file is expected; `lmc sweep --list` names those that were run.")
    found = obtain(arguments)
    if found is None:
        return 0
    write(found, arguments)
    if arguments.json:
        print_json(found.to_json())
    else:
        print(summarize(found, arguments.table, arguments.interval))
    for cell in found.failures[:REASONS]:
        words = f"{' → '.join(cell.models)}, {cell.method}: {cell.reason}"
        print(f"lmc: failed: {words}", file=sys.stderr)
    if len(found.failures) > REASONS:
        more = f"{len(found.failures) - REASONS} more cells failed"
        print(f"lmc: {more}; --table cells gives each reason.", file=sys.stderr)
    return 1 if found.failures else 0


def obtain(arguments: argparse.Namespace) -> SweepResult | None:
    """What came of the sweep; None where it was only asked what it would take."""
    path = Path(arguments.file)
    if path.suffix != ".toml" and not path.is_file():
        if not arguments.only_stored:
            raise BadInput(
                f"There is no sweep file {arguments.file!r}; a sweep that was run is shown by its "
                "name with --only-stored."
            )
        return read_record(arguments.file)
    spec = keep_only(read_file(path, arguments.changes), arguments.only)
    if arguments.dry_run:
        elsewhere = arguments.executor.partition(":")[0] not in (Inline.name, Local.name)
        found = expect(make_cells(spec, fetch=False, elsewhere=elsewhere), Store())
        print_json(expected_json(found)) if arguments.json else print(describe(found, spec))
        return None
    with Run(arguments) as bar:
        if isinstance(bar.executor, Queued):
            bar.executor.cancel_on_interrupt = False  # whoever asks again waits for the rest
        return sweep(
            spec, bar.executor, bar.report, fresh=bar.fresh, only_stored=arguments.only_stored
        )


def keep_only(spec: Sweep, names: list[str]) -> Sweep:
    """The sweep with some of its sets of models and methods alone.

    Args:
        spec: as its file says.
        names: of sets and methods; of each kind all stay where none is named, and the plain
            average always, as the others are compared with it.
    """
    known = {*(each.name for each in spec.sets), *(each.label for each in spec.methods)} - {""}
    for name in names:
        if name not in known:
            raise UnknownName.of("set of models or method of this sweep", name, known)
    sets = tuple(each for each in spec.sets if each.name in names) or spec.sets
    if any(each.label in names for each in spec.methods):
        chosen = [m for m in spec.methods if m.label in names or m.method == "none"]
        spec = replace(spec, methods=tuple(chosen))
    return replace(spec, sets=sets)


def describe(found: ExpectedSweep, spec: Sweep) -> str:
    """What a sweep will take, cell by cell, for people."""
    rows = [
        (
            each.cell.set,
            each.cell.label,
            ", ".join(f"{name} {each.cell.options[name]}" for name in spec.varied),
            each.words,
        )
        for each in found.cells
    ]
    return f"{_lay_out(('models', 'cell', 'with', 'state'), rows)}\n\n{spec.title}: {found.words}"


def expected_json(found: ExpectedSweep) -> dict[str, object]:
    """The same as plain values."""
    return {
        "cells": [
            {
                "set": each.cell.set,
                "models": list(each.cell.models),
                "method": each.cell.choice.label,
                "classes": each.cell.choice.classes and each.cell.choice.classes.label,
                "options": dict(each.cell.options),
                "key": each.cell.request and each.cell.request.key,
                "state": each.state,
                "reason": each.cell.problem,
                "seconds": each.time and each.time.seconds,
                "memory": each.memory,
            }
            for each in found.cells
        ],
        "seconds": found.time and found.time.seconds,
        "memory": found.memory,
    }


def summarize(found: SweepResult, chosen: str, interval: bool) -> str:
    """The table that was asked for, with what stands behind its numbers."""
    states = ", ".join(
        f"{found.count(state)} {state}" for state in (STORED, FAILED, MISSING) if found.count(state)
    )
    head = f"{found.title}: {len(found.cells)} cells, {states}."
    if chosen == "cells":
        cells = describe_cells(found)
        rows = [tuple(map(str, row)) for row in cells.rows]
        return f"{_lay_out(cells.header, rows)}\n\n{head}"
    columns, rows = list_cells(found, interval)
    if not rows:
        return head
    left = sum(column.text for column in columns)
    text = table([column.name for column in columns], rows, left=left)
    return f"{text}\n\n{head}\n{describe_errors(found, interval)}\nRecorded as {found.name}."


def _lay_out(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table of texts without the columns that say nothing."""
    kept = [k for k in range(len(header)) if any(row[k] for row in rows)]
    return table(
        [header[k] for k in kept], [[row[k] for k in kept] for row in rows], left=len(kept)
    )


def write(found: SweepResult, arguments: argparse.Namespace) -> None:
    """Write the files that were asked for."""
    texts = {
        "csv": lambda: rows_table(found).csv(),
        "cells": lambda: cells_table(found).csv(),
        "latex": lambda: latex(found, arguments.interval),
        "markdown": lambda: markdown(found, arguments.interval),
    }
    for name, make in texts.items():
        if (path := getattr(arguments, name)) is not None:
            path.write_text(make(), encoding="utf-8")
    if arguments.figure is not None:
        # plotly is loaded when something is drawn
        from lmc_core.sweeps.pictures import write_figure

        write_figure(found, arguments.figure)


def list_all(as_json: bool) -> int:
    """Print the sweeps that were run."""
    found = list_sweeps()
    if as_json:
        print_json(
            [
                {
                    "name": each.name,
                    "title": each.title,
                    "source": each.source,
                    "cells": len(each.cells),
                    "stored": each.count(STORED),
                    "failed": each.count(FAILED),
                    "written": each.written,
                }
                for each in found
            ]
        )
    elif not found:
        print("No sweep has been run yet; `lmc sweep FILE.toml` runs one.")
    else:
        rows = [
            (each.name, each.title, f"{each.count(STORED)} of {len(each.cells)}", each.written[:16])
            for each in found
        ]
        print(table(("name", "title", "stored", "written (UTC)"), rows, left=2))
    return 0
