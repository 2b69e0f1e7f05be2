"""A sweep on its page: its pairs beside their means, the table, matrices of barriers, and files."""

from __future__ import annotations

import json

import streamlit as st

from lmc_core.figures.redact import without_places
from lmc_core.figures.tables import Table
from lmc_core.sweeps.result import FAILED, MISSING, STORED, SweepResult
from lmc_core.sweeps.tables import (
    cells_table,
    describe_errors,
    latex,
    list_cells,
    markdown,
    rows_table,
)
from lmc_core.ui.panels import (
    File,
    show_caption,
    show_figure,
    show_files,
    show_numbers,
    show_table,
    theme,
)

EXAMPLE = """title = "Vision Transformers of the zoo"
models = "vit-fashion-s*"
examples = 500
points = 11

[methods]
plain = "none"
permutations = { method = "weight", classes = "permutations" }
weight = {}
"""
SHOWN = 8  # failed cells that are said


def explain_start() -> None:
    """Say how a sweep is begun."""
    st.markdown(
        "A sweep measures all pairs of a set of models by several methods. It is a file, such as "
        "`vit.toml`:"
    )
    st.code(EXAMPLE, language="toml")
    st.markdown(
        "One command runs it, here or on a cluster, and this page shows its table and pictures:"
    )
    st.code("lmc sweep vit.toml", language="sh")


def describe_state(found: SweepResult) -> str:
    """How many cells there are in which state."""
    states = [(found.count(state), state) for state in (STORED, FAILED, MISSING)]
    said = ", ".join(f"{count} {state}" for count, state in states if count)
    return f"{len(found.cells)} cells: {said}. Written {found.written[:16].replace('T', ' ')} UTC."


def show_sweep(found: SweepResult, key: str) -> None:
    """Show a sweep: table, pictures, cells, files.

    Args:
        found: the record of a sweep.
        key: prefix of the widgets' keys.
    """
    st.header(found.title, anchor=False)
    if not found.rows:
        st.info("No cell of this sweep is stored yet.")
    else:
        _show_spread(found, key)
        columns, rows = list_cells(found, interval=False)
        head = [column.name for column in columns]
        show_table(Table.of(head, rows), columns=max(1, sum(column.text for column in columns)))
        st.caption(describe_errors(found))
        if not found.grouped:
            _show_matrices(found, key)
    for cell in found.failures[:SHOWN]:
        words = f"{' → '.join(cell.models)}, {cell.method}: {without_places(cell.reason)}"
        st.warning(f"Failed: {words}", icon=":material/error:")
    with st.expander("Every cell"):
        show_numbers(cells_table(found), key, found.name)
    show_files(
        [
            File("CSV", "rows.csv", lambda: rows_table(found).csv(), "Every number of the table."),
            File("LaTeX", "tex", lambda: latex(found), "The table for a paper (booktabs)."),
            File("Markdown", "md", lambda: markdown(found), "The table in Markdown."),
            File(
                "JSON",
                "json",
                lambda: json.dumps(without_places(found.to_json()), indent=1),
                "Cells and table.",
            ),
        ],
        found.name,
        f"{key}_files",
    )


def _show_spread(found: SweepResult, key: str) -> None:
    """Every pair or group beside the mean of its row."""
    # plotly is loaded when something is drawn
    from lmc_core.sweeps.pictures import alternative_text, caption, finding, spread_figure

    alt = alternative_text(found)
    show_figure(spread_figure(found, theme()), f"{key}_spread", alt, file=f"{found.name}-spread")
    show_caption(finding(found), caption(found))


def _show_matrices(found: SweepResult, key: str) -> None:
    """The barriers between every two models."""
    # plotly is loaded when something is drawn
    from lmc_core.sweeps.pictures import alternative_text, matrices_figure

    alt = alternative_text(found)
    show_figure(matrices_figure(found, theme()), f"{key}_matrices", alt, file=found.name)
