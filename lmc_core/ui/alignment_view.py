"""Results on the page Alignment: overview, both matrices of a space, its element, the streams,
numbers, files.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from lmc_core.figures.alignment import (
    average,
    group_of,
    layer_title,
    overview_caption,
    overview_figure,
    points_of,
    short_table,
    spaces_table,
)
from lmc_core.figures.elements import (
    circle_figure,
    cycles_figure,
    cycles_of,
    cycles_words,
    element_words,
    pairs_figure,
    stretch_figure,
)
from lmc_core.figures.export import CONFIG, can_draw_svg, results_json, standalone_html, svg
from lmc_core.figures.heatmap import INVARIANT, Matrices, heatmap_caption, heatmap_figure
from lmc_core.figures.streams import cka_figure, streams_caption, streams_figure, streams_table
from lmc_core.figures.style import strokes
from lmc_core.figures.tables import Table
from lmc_core.figures.tables import words as cell
from lmc_core.figures.text import Result
from lmc_core.numbers import number
from lmc_core.ui import alignment_controls as controls
from lmc_core.ui.alignment_controls import Detail
from lmc_core.ui.curves import ROUNDING, theme

Arrays = Mapping[str, np.ndarray]
# pixels: of a square figure, of the words beside; four fit a wide screen, two a laptop, one a phone
SIDE, WORDS = 330, 290
PLOT = CONFIG | {"toImageButtonOptions": {"format": "svg", "filename": "alignment"}}


def show_overview(result: Result, key: str) -> None:
    """Show all spaces by layer; a click on a point chooses what is shown in detail."""
    chart, shown = f"{key}_overview", controls.selected_space(result, key)

    def clicked() -> None:
        controls.follow_click(st.session_state[chart], result, key)

    rises = [p for p in points_of(result) if p.before is not None and p.after is not None]
    best = max(rises, key=lambda p: p.after or 0.0)
    st.plotly_chart(
        overview_figure(result, theme(), shown),
        theme=None,
        config=PLOT,
        key=chart,
        on_select=clicked,
        selection_mode="points",
        alt=f"Mean cosine of matched coordinates for {len(rises)} spaces and layers, before and "
        "after the alignment; "
        f"highest {number(best.after)}, {best.group} in {layer_title(best.layer).lower()}.",
    )
    st.caption(overview_caption(result) + " A click on a point shows it below.")


def show_facts(result: Result) -> None:
    """Show what was found in three numbers."""
    rises = [p for p in points_of(result) if p.before is not None and p.after is not None]
    before, after = (
        sum(getattr(p, name) for p in rises) / len(rises) for name in ("before", "after")
    )
    left, middle, right = st.columns(3)
    left.metric("Cosine of what was matched", number(after), border=True)
    left.caption(f"Mean over all spaces and layers; {number(before)} before.")
    stream = next(iter(result["streams"].values()), None)
    if stream:
        middle.metric("Cosine of the streams", number(average(stream["after"])), border=True)
        middle.caption(
            f"{number(average(stream['before']))} before; CKA {number(average(stream['cka']))}."
        )
    error = result["function_error"]
    right.metric("Function check", number(error, digits=2), border=True)
    verdict = "rounding level" if error < ROUNDING else "more than rounding explains"
    right.caption(f"Largest relative difference of the outputs before and after: {verdict}.")


def matrices_of(result: Result, arrays: Arrays, detail: Detail) -> Matrices:
    """What the heatmaps of a space draw."""
    name, copy = detail.entry["name"], detail.copy
    return Matrices(
        arrays[f"{name}/before"][copy].astype(np.float32),
        arrays[f"{name}/after"][copy].astype(np.float32),
        result["models"],
        detail.entry["kind"] not in INVARIANT,
        _order(arrays, detail) if detail.own else None,
        detail.entry["edge"],
    )


def _order(arrays: Arrays, detail: Detail) -> np.ndarray:
    return arrays[f"{detail.entry['name']}/indices"].reshape(-1, detail.entry["size"])[detail.copy]


def show_detail(result: Result, arrays: Arrays, detail: Detail, key: str) -> None:
    """Show both matrices of a space and what the alignment did to it: in one row, or in as many as
    the screen needs.
    """
    drawn = matrices_of(result, arrays, detail)
    entry, copy = detail.entry, detail.copy
    with st.container(horizontal=True, vertical_alignment="center"):
        for panel in ("before", "after"):
            st.plotly_chart(
                heatmap_figure(drawn, (panel,), theme(), SIDE + 56),
                theme=None,
                config=PLOT,
                key=f"{key}_{panel}",
                width=SIDE,
                alt=f"Similarity of {entry['size']} coordinates of both models {panel} the "
                f"alignment, {group_of(entry)}; "
                f"mean of matched pairs {number(entry[panel][copy])}.",
            )
        _show_element(result, arrays, detail, key)
    st.caption(heatmap_caption(result, entry, copy, detail.own))


def _show_element(result: Result, arrays: Arrays, detail: Detail, key: str) -> None:
    """Show what the alignment did to the space: angles on a circle, rotary pairs, singular values,
    or cycles.
    """
    name, entry, copy = detail.entry["name"], detail.entry, detail.copy
    colour, side = strokes([result], theme())[0].colour, {"theme": theme(), "height": SIDE}
    said, about, drawn = element_words(entry, copy), "", []
    if entry["moved"] is not None and entry["moved"][copy]:
        order = _order(arrays, detail)
        told = cycles_words(cycles_of(order))
        drawn.append((cycles_figure(order, colour, theme()), f"The permutation as rings: {told}."))
        said, about = f"**As a permutation.** {said} {told[0].upper()}{told[1:]}.", CYCLES
    elif f"{name}/phases" in arrays and len(arrays[f"{name}/phases"][copy]) * 2 == entry["size"]:
        phases, lengths = arrays[f"{name}/phases"][copy], arrays[f"{name}/stretches"][copy]
        alt = (
            f"{len(phases)} rotary pairs, lengths from {number(lengths.min())} to "
            f"{number(lengths.max())}."
        )
        drawn.append((pairs_figure(phases, lengths, colour, **side), alt))
        said, about = f"**As a turn of every rotary pair.** {said}", PAIRS
    elif f"{name}/angles" in arrays:
        angles = arrays[f"{name}/angles"][copy]
        drawn.append(
            (circle_figure(angles, colour, **side), f"{len(angles)} angles on a circle. {said}")
        )
        if entry["condition"] and entry["condition"][copy] > 1.001:
            alt = f"Singular values; condition number {number(entry['condition'][copy])}."
            drawn.append((stretch_figure(arrays[f"{name}/singular"][copy], colour, theme()), alt))
        said, about = f"**As a rotation.** {said}", CIRCLE
    for index, (figure, alt) in enumerate(drawn):
        st.plotly_chart(
            figure, theme=None, config=PLOT, key=f"{key}_element_{index}", alt=alt, width=SIDE
        )
    with st.container(width=WORDS):
        st.markdown(said)
        if about:
            st.caption(about)


CIRCLE = (
    "Dots on the circle are the eigenvalues of the map (of its orthogonal factor if it "
    "stretches). Each pair of mirrored dots "
    "is a plane that is turned by that angle; bars count them for every 15 degrees. A map that "
    "does nothing has all dots at "
    "0\u00b0."
)
PAIRS = (
    "Each dot is the complex number by which one pair of coordinates is multiplied: its angle, "
    "and its distance from the "
    "centre (dotted: 1). Pair 0 turns fastest with position. Nothing else passes through rotary "
    "positions."
)
CYCLES = (
    "Each ring is a cycle, its number the coordinates in it: the coordinate at a dot went to the "
    "place of the one before. Two "
    "networks that have nothing to do with each other's numbering give long cycles, as a random "
    "permutation does."
)


def show_streams(result: Result, arrays: Arrays, key: str) -> None:
    """Show how alike the residual streams are, layer by layer."""
    colour = strokes([result], theme())[0].colour
    for name, stream in result["streams"].items():
        left, right = st.columns(2)
        left.plotly_chart(
            streams_figure(stream, colour, theme()),
            theme=None,
            config=PLOT,
            key=f"{key}_{name}_streams",
            alt="Similarity of the streams by layer: mean cosine "
            f"{number(average(stream['before']))} before, "
            f"{number(average(stream['after']))} after, CKA "
            f"{number(average(stream['cka']))}.",
        )
        right.plotly_chart(
            cka_figure(arrays[f"{name}/cka"], stream["layers"], result["models"], theme()),
            theme=None,
            config=PLOT,
            key=f"{key}_{name}_cka",
            alt="Linear CKA of every layer of one model with every layer of the other.",
        )
        st.caption(streams_caption(result, stream))


def show_tables(result: Result) -> None:
    """Show the numbers behind all figures."""
    for table in (short_table(result), streams_table(result)):
        frame = pd.DataFrame(
            [[cell(value) for value in row] for row in table.rows], columns=list(table.header)
        )
        st.table(frame.set_index(table.header[0]), border="horizontal")


def show_downloads(result: Result, arrays: Arrays, detail: Detail, key: str) -> None:
    """Offer the numbers, the full matrices, a page that opens offline, and the figures for a
    paper.
    """
    drawn = matrices_of(result, arrays, detail)
    caption = heatmap_caption(result, detail.entry, detail.copy, detail.own)

    def page() -> str:
        return standalone_html(
            heatmap_figure(drawn, theme=theme()),
            caption,
            controls.without_spaces(result, detail),
            theme(),
            "Alignment",
        )

    files: list[tuple[str, str, str, Any, str]] = [
        (
            "CSV",
            "csv",
            "text/csv",
            lambda: spaces_table(result).csv(),
            "One row for every copy of every space.",
        ),
        (
            "Matrix",
            "matrix.csv",
            "text/csv",
            partial(matrix_csv, drawn.after),
            "The second matrix above in full, as CSV.",
        ),
        (
            "JSON",
            "json",
            "application/json",
            lambda: results_json(dict(result)),
            "Everything that is known of this alignment.",
        ),
        (
            "NPZ",
            "npz",
            "application/zip",
            partial(packed, arrays),
            "All matrices and the alignment itself, for NumPy.",
        ),
        (
            "HTML",
            "html",
            "text/html",
            page,
            "Both matrices with caption and numbers in one file that opens offline.",
        ),
    ]
    if can_draw_svg():
        both = partial(lambda: svg(heatmap_figure(drawn, theme="paper")))
        files.append(("SVG", "svg", "image/svg+xml", both, "Both matrices for a paper."))
        whole = partial(lambda: svg(overview_figure(result, "paper")))
        files.append(
            (
                "SVG of the overview",
                "overview.svg",
                "image/svg+xml",
                whole,
                "All spaces by layer, for a paper.",
            )
        )
    stem = f"alignment-{'-'.join(result['models'])}"
    with st.container(horizontal=True):
        for label, ending, mime, make, about in files:
            st.download_button(
                label,
                make,
                f"{stem}.{ending}",
                mime,
                on_click="ignore",
                key=f"{key}_{ending}",
                icon=":material/download:",
                help=about,
            )


def packed(arrays: Arrays) -> bytes:
    """All arrays as one compressed NPZ file."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  (arrays by name)
    return file.getvalue()


def matrix_csv(values: np.ndarray) -> str:
    """A matrix as CSV, rows are coordinates of A."""
    return Table.of(
        ["A \\ B", *map(str, range(values.shape[1]))],
        ([i, *row.tolist()] for i, row in enumerate(values)),
    ).csv()
