"""A panel on a page: figure, caption, and the table behind it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from lmc_core.figures.export import CONFIG
from lmc_core.figures.panel import Panel
from lmc_core.figures.tables import Table, words

SHORT = 12  # rows of a table that does not scroll
LONG = 2000  # rows that are shown; the download has all
STILL = {**CONFIG, "staticPlot": True}
DETAIL = ("barrier", "one standard error")  # traces that a small picture goes without


def show_panel(panel: Panel, key: str, numbers: bool = True) -> None:
    """Show a figure with its accessible name, its caption, one row for each result, and every
    number in a fold.
    """
    if panel.figure is not None:
        config = {**CONFIG, "toImageButtonOptions": {"format": "svg", "filename": panel.what}}
        st.plotly_chart(panel.figure, theme=None, config=config, key=f"{key}_figure", alt=panel.alt)
    st.caption(panel.caption)
    show_table(panel.summary)
    if numbers:
        with st.expander("Every number of the figure"):
            show_numbers(panel.numbers, key, panel.what)


def show_table(table: Table) -> None:
    """Show a table whose first column names the rows; a long one scrolls."""
    if len(table.rows) > SHORT:
        frame = pd.DataFrame(table.rows, columns=list(table.header))
        st.dataframe(
            frame, hide_index=True, height=320, alt=f"Summary of {len(table.rows)} results"
        )
        return
    frame = pd.DataFrame(
        [[words(value) for value in row] for row in table.rows], columns=list(table.header)
    )
    st.table(frame.set_index(table.header[0]), border="horizontal")


def show_numbers(table: Table, key: str, name: str) -> None:
    """Show a long table that scrolls, with its CSV."""
    frame = pd.DataFrame(table.rows[:LONG], columns=list(table.header))
    st.dataframe(
        frame,
        hide_index=True,
        height=320,
        key=f"{key}_numbers",
        alt=f"Every number of the figure, {len(table.rows)} rows",
    )
    st.download_button(
        "CSV",
        table.csv,
        f"{name}.csv",
        "text/csv",
        on_click="ignore",
        key=f"{key}_csv",
        icon=":material/download:",
        help="Every number in full, one row each.",
    )


def show_thumbnail(panel: Panel, key: str) -> None:
    """Show a panel's figure as the picture of a card: it stands still, and it is quick to draw."""
    if panel.figure is not None:
        st.plotly_chart(thumbnail(panel.figure), theme=None, config=STILL, key=key, alt=panel.alt)


def thumbnail(figure: go.Figure, height: int = 170) -> go.Figure:
    """Return a figure without words, brackets, bands and markers, small enough for a card."""
    whole: Any = figure
    small: Any = go.Figure(
        [trace for trace in whole.data if trace.name not in DETAIL], whole.layout
    )
    small.layout.annotations = ()
    small.update_layout(
        showlegend=False, height=height, margin={"l": 4, "r": 4, "t": 4, "b": 4}, hovermode=False
    )
    small.update_xaxes(showticklabels=False, title=None)
    small.update_yaxes(showticklabels=False, title=None)
    small.for_each_trace(_plain)
    return small


def _plain(trace: Any) -> None:
    """Take the markers off lines and the scales off colours."""
    if trace.type == "scatter" and "lines" in (trace.mode or ""):
        trace.update(mode="lines", line_width=min(trace.line.width or 2, 2))
    elif "showscale" in trace:
        trace.update(showscale=False)
