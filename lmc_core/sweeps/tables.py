"""The table of a sweep as text, CSV, LaTeX and Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lmc_core.figures.tables import Table
from lmc_core.numbers import MINUS, estimate, seconds
from lmc_core.sweeps.result import Mean, Row, SweepResult

MEAN_COLUMNS = (
    "",
    "stderr",
    "half",
    "over_models",
    "over_models_unbiased",
    "over_examples",
    "spread_of_models",
    "spread_of_pairs",
)
LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


RAISED = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"
LOWERED = str.maketrans(RAISED, "-0123456789")
SIGNS = str.maketrans({"±": r"\pm", "×": r"\times", "−": "-"})


@dataclass(frozen=True)
class Column:
    """A column of the table for people.

    Attributes:
        name: its head.
        value: of a row, as text, or as a mean that is written with its error.
        text: whether it is set flush left.
    """

    name: str
    value: Callable[[Row], str | Mean]
    text: bool = False


def list_columns(found: SweepResult) -> list[Column]:
    """The columns that this sweep has something for."""
    rows, height = found.rows, "centre" if found.grouped else "barrier"
    names = {row.score_name for row in rows}
    score = "accuracy, points" if names == {"accuracy"} else "perplexity"
    options = dict.fromkeys(name for row in rows for name in row.options)
    columns = [
        Column("models", lambda row: row.set, True),
        Column("method", lambda row: row.method, True),
        Column("classes", lambda row: row.classes, True),
        *(Column(name, lambda row, name=name: str(row.options.get(name, ""))) for name in options),
        Column(found.noun, lambda row: f"{row.units} of {row.models}"),
        Column(f"{height}, nats", lambda row: row.height),
        Column("of plain", _tell_share),
        Column(score if len(names) == 1 else "score", lambda row: row.score),
        Column("align, s", lambda row: f"{row.align_seconds:.1f}" if row.align_seconds else ""),
        Column("steps", lambda row: "" if row.steps is None else f"{row.steps:.0f}"),
        Column("moved", lambda row: "" if row.moved is None else f"{100 * row.moved:.0f} %"),
        Column(
            "function error",
            lambda row: "" if row.function_error is None else f"{row.function_error:.0e}",
        ),
        Column("missing", lambda row: str(row.missing) if row.missing else ""),
    ]
    return [column for column in columns if any(column.value(row) for row in rows)]


def _tell_share(row: Row) -> str | Mean:
    """The share of plain; 1 of the plain average itself."""
    if row.of_plain is not None:
        return row.of_plain
    return "1" if row.classes == "" else ""


def list_cells(found: SweepResult, interval: bool) -> tuple[list[Column], list[list[str]]]:
    """Columns, and the text of every row in them.

    Args:
        found: the sweep.
        interval: write half a 95 % interval behind the ± in place of the standard error.
    """
    columns = list_columns(found)
    return columns, [
        [_write(column.value(row), interval) for column in columns] for row in found.rows
    ]


def _write(value: str | Mean, interval: bool) -> str:
    if isinstance(value, str):
        return value
    error = value.half if interval else value.stderr
    if error is None or not 1e-6 < error < 1e5:
        return estimate(value.value, error)
    places = max(0, 1 - math.floor(math.log10(error)))  # two digits of the error
    return f"{value.value:.{places}f} ± {error:.{places}f}".replace("-", MINUS)


def describe_errors(found: SweepResult, interval: bool = False) -> str:
    """What stands behind the ± of the table, in a sentence."""
    what = "half a 95 % interval" if interval else "one standard error"
    over = "the other models" if found.reference else "models"
    return (
        f"± is {what} for new {over} and examples: a jackknife over models, as {found.noun} that "
        "share a model are not independent, joined with the error over the examples they share."
    )


def rows_table(found: SweepResult) -> Table:
    """Every number of the rows."""
    options = list(dict.fromkeys(name for row in found.rows for name in row.options))
    means = ("height", "of_plain", "score")
    columns = [f"{name}_{each}".strip("_") for name in means for each in MEAN_COLUMNS]
    last = ("align_seconds", "evaluate_seconds", "steps", "moved", "function_error")
    chosen_names = _tell_apart(options, last)
    head = ("models", "method", "classes", *chosen_names, found.noun, "number of models", "missing")
    lines = []
    for row in found.rows:
        numbers: list[object] = []
        for name in means:
            mean: Mean | None = getattr(row, name)
            numbers += [
                None if mean is None else getattr(mean, each or "value") for each in MEAN_COLUMNS
            ]
        chosen = [row.options.get(name) for name in options]
        first = (row.set, row.method, row.classes, *chosen, row.units, row.models, row.missing)
        lines.append(
            (*first, *numbers, row.score_name, row.unit, *(getattr(row, name) for name in last))
        )
    return Table.of((*head, *columns, "score_name", "unit", *last), lines)


def _tell_apart(asked: Sequence[str], taken: Sequence[str]) -> list[str]:
    """Names of columns for what was asked for; `steps_set` beside the `steps` that were made."""
    return [f"{name}_set" if name in taken else name for name in asked]


def cells_table(found: SweepResult) -> Table:
    """One row for each cell."""
    options = list(dict.fromkeys(name for cell in found.cells for name in cell.options))
    settings = list(dict.fromkeys(name for cell in found.cells for name in cell.settings))
    size = max((len(cell.models) for cell in found.cells), default=0)
    names = [f"model_{k + 1}" for k in range(size)]
    numbers = ("state", "height", "stderr", "of_plain", "score", "steps", "function_error")
    spent = ("align", "evaluate")
    asked = (*options, *_tell_apart(settings, (*options, *numbers)))
    head = ("models", *names, "method", "matcher", "classes", *asked)
    lines = [
        (
            cell.set,
            *cell.models,
            *[None] * (size - len(cell.models)),
            *(cell.method, cell.matcher, cell.classes),
            *(cell.options.get(name) for name in options),
            *(cell.settings.get(name) for name in settings),
            *(getattr(cell, name) for name in numbers),
            *(cell.seconds.get(name) for name in spent),
            *(cell.reason or None, cell.key),
        )
        for cell in found.cells
    ]
    last = (*numbers, "align_seconds", "evaluate_seconds", "reason", "key")
    return Table.of((*head, *last), lines)


def describe_cells(found: SweepResult) -> Table:
    """One row for each cell, for people."""
    return Table.of(
        ("models", "method", "classes", "seed", "state", "height", "align", "key"),
        [
            (
                " → ".join(cell.models),
                cell.method,
                cell.classes,
                str(cell.options.get("seed", "")),
                cell.reason or cell.state,
                "" if cell.height is None else estimate(cell.height, cell.stderr, "nats"),
                seconds(cell.seconds.get("align")) if cell.seconds.get("align") else "",
                cell.key[:12],
            )
            for cell in found.cells
        ],
    )


def latex(found: SweepResult, interval: bool = False) -> str:
    """The table for a paper, for the package booktabs.

    Args:
        found: the sweep.
        interval: see `list_cells`.
    """
    columns, rows = list_cells(found, interval)
    form = "".join("l" if column.text else "r" for column in columns)
    lines = [
        f"% {_escape(found.title)}: {_escape(describe_errors(found, interval))}",
        rf"\begin{{tabular}}{{{form}}}",
        r"\toprule",
        _join([_escape(column.name) for column in columns]),
        r"\midrule",
    ]
    before = rows[0][0] if rows else ""
    for row in rows:
        if columns[0].name == "models" and row[0] != before:  # another set of models
            lines.append(r"\midrule")
            before = row[0]
        lines.append(_join([_set(text) for text in row]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _join(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _set(text: str) -> str:
    """A cell in LaTeX; numbers with an error or a power in mathematics."""
    if not any(sign in text for sign in "±×−"):
        return _escape(text)
    powers = re.sub(f"10([{RAISED}]+)", lambda found: f"10^{{{found[1].translate(LOWERED)}}}", text)
    return f"${powers.translate(SIGNS)}$"


def _escape(text: str) -> str:
    return "".join(LATEX.get(letter, letter) for letter in text)


def markdown(found: SweepResult, interval: bool = False) -> str:
    """The table in Markdown; see `list_cells`."""
    columns, rows = list_cells(found, interval)
    lines = [[column.name for column in columns], ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)
