"""Results on the page Alignment: overview, both matrices of a space, its element, the streams,
numbers, files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from lmc_core.figures.alignment import (
    average,
    layer_title,
    overview_caption,
    overview_figure,
    overview_finding,
    overview_points,
    short_table,
    space_title,
    spaces_table,
)
from lmc_core.figures.elements import (
    circle_figure,
    cycles_figure,
    cycles_words,
    element_words,
    find_cycles,
    pairs_figure,
    stretch_figure,
)
from lmc_core.figures.export import results_json, standalone_html, svg
from lmc_core.figures.heatmap import INVARIANT, Matrices, heatmap_caption, heatmap_figure
from lmc_core.figures.streams import cka_figure, streams_caption, streams_figure, streams_table
from lmc_core.figures.style import strokes
from lmc_core.figures.tables import Table
from lmc_core.numbers import number
from lmc_core.ui import alignment_controls as controls
from lmc_core.ui.alignment_controls import Detail
from lmc_core.ui.panels import (
    File,
    pack,
    show_caption,
    show_check,
    show_figure,
    show_files,
    show_table,
    svg_files,
    theme,
)

if TYPE_CHECKING:
    from lmc_core.runs.requests.alignment import AlignmentNumbers

Arrays = Mapping[str, np.ndarray]
# pixels: of a square figure, of the words beside; four fit a wide screen, two a laptop, one a phone
SIDE, WORDS = 330, 290
FILE = "alignment"  # name of a picture that a reader saves


def show_overview(result: AlignmentNumbers, key: str) -> None:
    """Show all spaces by layer; a click on a point chooses what is shown in detail."""
    chart, shown = f"{key}_overview", controls.selected_space(result, key)

    def clicked() -> None:
        controls.follow_click(st.session_state[chart], result, key)

    rises = [p for p in overview_points(result) if p.before is not None and p.after is not None]
    best = max(rises, key=lambda p: p.after or 0.0)
    show_figure(
        overview_figure(result, theme(), shown),
        chart,
        f"Mean cosine of matched coordinates for {len(rises)} spaces and layers, before and "
        "after the alignment; "
        f"highest {number(best.after)}, {best.group} in {layer_title(best.layer).lower()}.",
        file=FILE,
        on_click=clicked,
    )
    show_caption(overview_finding(result), f"{overview_caption(result)} Click a point for details.")


def show_facts(result: AlignmentNumbers) -> None:
    """Show what was found in three numbers."""
    rises = [p for p in overview_points(result) if p.before is not None and p.after is not None]
    before, after = (
        sum(getattr(p, name) for p in rises) / len(rises) for name in ("before", "after")
    )
    left, middle, right = st.columns(3)
    left.metric("Cosine of matched coordinates", number(after), border=True)
    left.caption(f"Mean over all spaces and layers; {number(before)} before.")
    stream = next(iter(result["streams"].values()), None)
    if stream:
        middle.metric("Cosine of the streams", number(average(stream["after"])), border=True)
        middle.caption(
            f"{number(average(stream['before']))} before; CKA {number(average(stream['cka']))}."
        )
    show_check(
        right,
        result["function_error"],
        "rounding level",
        "more than rounding explains",
        "Largest relative difference of the outputs before and after: {}.",
    )


def make_matrices(result: AlignmentNumbers, arrays: Arrays, detail: Detail) -> Matrices:
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


def show_detail(result: AlignmentNumbers, arrays: Arrays, detail: Detail, key: str) -> None:
    """Show both matrices of a space and what the alignment did to it: in one row, or in as many as
    the screen needs.
    """
    drawn = make_matrices(result, arrays, detail)
    entry, copy = detail.entry, detail.copy
    with st.container(horizontal=True, vertical_alignment="center"):
        for panel in ("before", "after"):
            show_figure(
                heatmap_figure(drawn, (panel,), theme(), SIDE + 56),
                f"{key}_{panel}",
                f"Similarity of {entry['size']} coordinates of both models {panel} the "
                f"alignment, {space_title(entry)}; "
                f"mean of matched pairs {number(entry[panel][copy])}.",
                file=FILE,
                width=SIDE,
            )
        _show_element(result, arrays, detail, key)
    show_caption("", heatmap_caption(result, entry, copy, detail.own))


def _show_element(result: AlignmentNumbers, arrays: Arrays, detail: Detail, key: str) -> None:
    """Show what the alignment did to the space: angles on a circle, rotary pairs, singular values,
    or cycles.
    """
    name, entry, copy = detail.entry["name"], detail.entry, detail.copy
    colour, side = strokes([result], theme())[0].colour, {"theme": theme(), "height": SIDE}
    said, about, drawn = element_words(entry, copy), "", []
    if entry["moved"] is not None and entry["moved"][copy]:
        order = _order(arrays, detail)
        told = cycles_words(find_cycles(order))
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
        condition = entry["condition"][copy] if entry["condition"] else None
        if condition is not None and condition > 1.001:
            alt = f"Singular values; condition number {number(condition)}."
            drawn.append((stretch_figure(arrays[f"{name}/singular"][copy], colour, theme()), alt))
        said, about = f"**As a rotation.** {said}", CIRCLE
    for index, (figure, alt) in enumerate(drawn):
        show_figure(figure, f"{key}_element_{index}", alt, file=FILE, width=SIDE)
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


def show_streams(result: AlignmentNumbers, arrays: Arrays, key: str) -> None:
    """Show how alike the residual streams are, layer by layer."""
    colour = strokes([result], theme())[0].colour
    for name, stream in result["streams"].items():
        left, right = st.columns(2)
        show_figure(
            streams_figure(stream, colour, theme()),
            f"{key}_{name}_streams",
            "Similarity of the streams by layer: mean cosine "
            f"{number(average(stream['before']))} before, "
            f"{number(average(stream['after']))} after, CKA "
            f"{number(average(stream['cka']))}.",
            left,
            file=FILE,
        )
        show_figure(
            cka_figure(arrays[f"{name}/cka"], stream["layers"], result["models"], theme()),
            f"{key}_{name}_cka",
            "Linear CKA of every layer of one model with every layer of the other.",
            right,
            file=FILE,
        )
        show_caption("", streams_caption(result, stream))


def show_tables(result: AlignmentNumbers) -> None:
    """Show the numbers behind all figures."""
    for table in (short_table(result), streams_table(result)):
        show_table(table)


def show_downloads(result: AlignmentNumbers, arrays: Arrays, detail: Detail, key: str) -> None:
    """Offer the numbers, the full matrices, a page that opens offline, and the figures for a
    paper.
    """
    drawn = make_matrices(result, arrays, detail)
    caption = heatmap_caption(result, detail.entry, detail.copy, detail.own)

    def page() -> str:
        return standalone_html(
            heatmap_figure(drawn, theme=theme()),
            caption,
            controls.without_spaces(result, detail),
            theme(),
            "Alignment",
        )

    files = [
        File(
            "CSV",
            "csv",
            lambda: spaces_table(result).csv(),
            "One row for every copy of every space.",
        ),
        File(
            "Matrix",
            "matrix.csv",
            lambda: matrix_csv(drawn.after),
            "The second matrix above in full, as CSV.",
        ),
        File(
            "JSON",
            "json",
            lambda: results_json(dict(result)),
            "Everything that is known of this alignment.",
        ),
        File(
            "NPZ", "npz", lambda: pack(arrays), "All matrices and the alignment itself, for NumPy."
        ),
        File(
            "HTML",
            "html",
            page,
            "Both matrices with caption and numbers in one file that opens offline.",
        ),
        *svg_files(
            File(
                "SVG",
                "svg",
                lambda: svg(heatmap_figure(drawn, theme="paper")),
                "Both matrices for a paper.",
            ),
            File(
                "SVG of the overview",
                "overview.svg",
                lambda: svg(overview_figure(result, "paper")),
                "All spaces by layer, for a paper.",
            ),
        ),
    ]
    show_files(files, f"alignment-{'-'.join(result['models'])}", key)


def matrix_csv(values: np.ndarray) -> str:
    """A matrix as CSV, rows are coordinates of A."""
    return Table.of(
        ["A \\ B", *map(str, range(values.shape[1]))],
        ([i, *row.tolist()] for i, row in enumerate(values)),
    ).csv()
