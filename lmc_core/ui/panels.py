"""What every page shows in the same way: figures, tables, panels, files to take away."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import streamlit as st

from lmc_core.figures.export import CONFIG, can_draw_svg
from lmc_core.figures.margin import narrowed
from lmc_core.figures.tables import Table, words
from lmc_core.numbers import number

if TYPE_CHECKING:  # they load plotly, which a page without a figure does not need
    import plotly.graph_objects as go
    from streamlit.delta_generator import DeltaGenerator

    from lmc_core.figures.panel import Panel
    from lmc_core.figures.style import Theme

ROUNDING = 1e-5  # relative difference of the outputs that float32 arithmetic explains
SHORT = 12  # rows of a table that does not scroll
LONG = 2000  # rows that are shown; the download has all
MIME = {
    "csv": "text/csv",
    "json": "application/json",
    "html": "text/html",
    "npz": "application/zip",
    "tex": "application/x-tex",
    "md": "text/markdown",
    "svg": "image/svg+xml",
    "zip": "application/zip",
    "safetensors": "application/octet-stream",
}
# what a small picture goes without
DETAIL = ("barrier", "one standard error", "95 % band of the whole curve", "leader")
WIDEST = 1100  # pixels of curves: wider, a hill looks flat


def theme() -> Theme:
    """The theme that the reader looks at."""
    return "dark" if st.context.theme.type == "dark" else "light"


def phone() -> bool:
    """Whether the reader holds a phone, whose browsers say "Mobi"; a square picture is then as low
    as it is narrow.
    """
    return "Mobi" in st.context.headers.get("User-Agent", "")


def show_figure(
    figure: go.Figure,
    key: str,
    alt: str,
    where: DeltaGenerator | None = None,
    *,
    file: str = "",
    width: int | Literal["stretch"] = "stretch",
    height: int | Literal["content"] = "content",
    bar: bool = True,
    still: bool = False,
    on_click: Callable[[], None] | None = None,
) -> None:
    """Show a figure.

    Args:
        figure: to show.
        key: of the chart.
        alt: what it shows, in a sentence.
        where: a part of the page; default where the page is being written.
        file: name of the picture that a reader saves; default Plotly's own.
        width: in pixels; default that of the page.
        height: in pixels; default that of the figure.
        bar: whether it has Plotly's buttons.
        still: whether it does not answer to a pointer.
        on_click: called when a point is clicked on; what was, is in the session under `key`.
    """
    config = {**CONFIG}
    if file:
        config["toImageButtonOptions"] = {"format": "svg", "filename": file}
    if not bar:
        config["displayModeBar"] = False
    if still:
        config["staticPlot"] = True
    (where if where is not None else st).plotly_chart(
        narrowed(figure) if phone() else figure,
        theme=None,
        config=config,
        key=key,
        alt=alt,
        width=width,
        height=height,
        on_select="ignore" if on_click is None else on_click,
        selection_mode="points",
    )


def start_charts() -> None:
    """Let the browser start the code that draws, a second of its work, while a person still reads a
    page without a figure: it draws a dot that nobody sees.
    """
    name = "charts_started"
    st.html(f"<style>.st-key-{name} {{ position: absolute; visibility: hidden; }}</style>")
    with st.container(key=name):
        dot = {"data": [{"type": "scatter", "x": [0], "y": [0]}], "layout": {"height": 40}}
        st.plotly_chart(dot, theme=None, config={"staticPlot": True}, key=f"{name}_dot", width=40)


def show_check(
    where: DeltaGenerator,
    error: float | None,
    passed: str,
    failed: str,
    said: str = "{}",
    nothing: str = "",
    help: str | None = None,
) -> None:
    """Show by how much an alignment changed the outputs.

    Args:
        where: a part of the page.
        error: largest relative difference; None where nothing was aligned.
        passed: what is said where rounding explains it.
        failed: what is said where it does not.
        said: the sentence that this stands in.
        nothing: what is said where there was nothing to check.
        help: what a person reads who asks.
    """
    where.metric("Function check", number(error, digits=2), border=True, help=help)
    if error is None:
        where.caption(nothing)
    else:
        where.caption(said.format(passed if error < ROUNDING else failed))


def show_panel(panel: Panel, key: str, where: DeltaGenerator | None = None) -> None:
    """Show a figure with its accessible name, its caption, one row for each result, and every
    number in a fold.

    Args:
        panel: to show.
        key: prefix of the widgets' keys.
        where: the figure and its caption go; default where the page is being written.
    """
    with where if where is not None else contextlib.nullcontext():
        if panel.figure is not None:
            wide: int | Literal["stretch"] = WIDEST if panel.what == "barrier" else "stretch"
            show_figure(panel.figure, f"{key}_figure", panel.alt, file=panel.what, width=wide)
        show_caption(panel.finding, panel.caption)
    show_summary(panel.summary)
    if panel.numbers.rows:
        with st.expander("Every number of the figure"):
            show_numbers(panel.numbers, key, panel.what)


def show_caption(finding: str, method: str) -> None:
    """Show what a picture says as one sentence in bold; how it was measured is folded below it.

    Args:
        finding: plain text; may be empty.
        method: plain text, the caption of a paper.
    """
    if finding:
        for sign in "\\`*_[]<$~":
            finding = finding.replace(sign, f"\\{sign}")
        st.markdown(f"**{finding}**")
    with st.expander("How this was measured"):
        st.caption(method)


def show_summary(table: Table) -> None:
    """Show a table whose first column names the rows; a long one scrolls."""
    if len(table.rows) <= SHORT:
        show_table(table)
        return
    frame = pd.DataFrame(table.rows, columns=list(table.header))
    st.dataframe(frame, hide_index=True, height=320, alt=f"Summary of {len(table.rows)} results")


def whole_number(text: str) -> str:
    """Return a text in which no line ends between a number and its error, as on a phone."""
    return re.sub(r" ?\u00b1 ?", "\u00a0\u00b1\u00a0", text)


def show_names(frame: pd.DataFrame, key: str) -> None:
    """Show a table whose rows have the names of models, which are not broken at their hyphens."""
    st.html(f"<style>.st-key-{key}.st-key-{key} th p {{ white-space: nowrap; }}</style>")
    with st.container(key=key):
        st.table(frame, border="horizontal")


def show_table(table: Table, columns: int = 1) -> None:
    """Show a whole table whose first columns name the rows."""
    rows = [[whole_number(words(value)) for value in row] for row in table.rows]
    frame = pd.DataFrame(rows, columns=list(table.header))
    st.table(frame.set_index(list(table.header[:columns])), border="horizontal")


@dataclass(frozen=True)
class File:
    """Something to take away.

    Attributes:
        label: on the button.
        ending: of its name; the part behind the last dot says what it is.
        make: its content, made when it is asked for.
        help: what it holds.
    """

    label: str
    ending: str
    make: Callable[[], str | bytes]
    help: str


def svg_files(*files: File) -> list[File]:
    """Return files that a browser has to draw; none where there is no browser."""
    return list(files) if can_draw_svg() else []


def show_files(files: Sequence[File], name: str, key: str, disabled: bool = False) -> None:
    """Offer files in a row.

    Args:
        files: to offer.
        name: of them all, without ending.
        key: prefix of the widgets' keys.
        disabled: whether they are shown and cannot be had.
    """
    with st.container(horizontal=True):
        for file in files:
            st.download_button(
                file.label,
                file.make,
                f"{name}.{file.ending}"[:120],
                MIME[file.ending.rpartition(".")[2]],
                on_click="ignore",
                key=f"{key}_{file.ending}",
                icon=":material/download:",
                disabled=disabled,
                help=file.help,
            )


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return arrays as one compressed NPZ file."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  (arrays by name)
    return file.getvalue()


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
        show_figure(thumbnail(panel.figure), key, panel.alt, still=True)


def thumbnail(figure: go.Figure, height: int = 170) -> go.Figure:
    """Return a figure without words, brackets, bands and markers, small enough for a card."""
    small = type(figure)(
        [trace for trace in figure.select_traces() if trace.name not in DETAIL], figure.layout
    )
    small.layout["annotations"] = ()
    small.update_layout(
        showlegend=False, height=height, margin={"l": 4, "r": 4, "t": 4, "b": 4}, hovermode=False
    )
    small.update_xaxes(showticklabels=False, title=None)
    small.update_yaxes(showticklabels=False, title=None)
    for trace in small.select_traces():
        if trace.type == "scatter" and "lines" in (trace.mode or ""):
            trace.update(mode="lines", line_width=min(trace.line.width or 2, 2))
        elif "showscale" in trace:
            trace.update(showscale=False)
    return small
