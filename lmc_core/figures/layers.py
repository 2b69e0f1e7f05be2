"""What averaging each part of a network alone costs, as bars by layer."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from lmc_core.figures.chart import blank
from lmc_core.figures.layout import heading, legend_row
from lmc_core.figures.panel import Picture, every
from lmc_core.figures.style import GROUNDS, SMALL, Ground, Stroke, Theme, hatched, strokes
from lmc_core.figures.tables import Table
from lmc_core.figures.text import Result, label_results, notes, version_sentence
from lmc_core.numbers import number

TOP, FOOT, SIDE = 52, 104, 64  # pixels
ROW = 22  # pixels of a row of the legend, of which a phone needs one for every setting
TALL = 360  # pixels of the figure without its legend


def layers_figure(
    results: Sequence[Result],
    theme: Theme = "light",
    labels: Sequence[str] | None = None,
    height: int | None = None,
    field: str = "cost",
) -> go.Figure:
    """Draw one group of bars for every part, one bar for every setting.

    Args:
        results: of `lmc_core.runs.kinds.layers.compute`.
        theme: ``light``, ``dark`` or ``paper``.
        labels: of the settings, in the order of the results.
        height: in pixels; by default so that the bars have room beside the legend.
        field: ``cost`` of averaging a part, or ``swap`` for putting B's in its place.
    """
    ground = GROUNDS[theme]
    rows = ROW * len(results) if len(results) > 1 else 0
    tall = height or TALL + rows
    figure = blank(theme, tall)
    names = list(labels or label_results(results))
    parts = list(dict.fromkeys(part for result in results for part in result["parts"]))
    places = [list(level) for level in zip(*map(_levels, parts), strict=True)]
    for place, (result, stroke, name) in enumerate(
        zip(results, strokes(list(results), theme), names, strict=True)
    ):
        _bars(figure, result, field, ground, name, parts, place, places, stroke)
    what = "averaged with" if field == "cost" else "replaced by"
    heading(
        figure,
        f"<b>Rise of the loss</b> (nats) when one part alone<br>is {what} that of the other model",
        None,
        left=-SIDE + 8,
        up=8,
        align="left",
    )
    figure.update_xaxes(tickfont={"size": SMALL}, fixedrange=True, dividercolor=ground.grid)
    figure.update_yaxes(
        zeroline=True, zerolinecolor=ground.muted, zerolinewidth=1, nticks=6, fixedrange=True
    )
    figure.update_layout(
        barmode="group",
        bargap=0.25,
        margin={"l": SIDE, "r": 16, "t": TOP, "b": FOOT + rows},
        legend=legend_row(-FOOT / (tall - TOP - FOOT - rows), "top"),
        showlegend=len(results) > 1,
    )
    return figure


def _bars(
    figure: go.Figure,
    result: Result,
    field: str,
    ground: Ground,
    name: str,
    parts: list[str],
    place: int,
    places: list[list[str]],
    stroke: Stroke,
) -> None:
    """The bars of one setting."""
    known = {part: k for k, part in enumerate(result["parts"])}
    values = [result[field][known[part]] if part in known else 0.0 for part in parts]
    errors = [result[f"{field}_stderr"][known[part]] if part in known else 0.0 for part in parts]
    figure.add_bar(
        x=places,
        y=values,
        name=name,
        marker=hatched(stroke.colour, place, ground),
        error_y={"type": "data", "array": errors, "color": ground.ink, "thickness": 1, "width": 2},
        customdata=list(zip(parts, errors, strict=True)),
        hovertemplate=f"<b>{name}</b><br>%{{customdata[0]}}: %{{y:.3f}} ± "
        f"%{{customdata[1]:.3f}} nats<extra></extra>",
    )


def _levels(part: str) -> tuple[str, str]:
    """Layer and part, for an axis of two levels: ("layer 0", "attention"); what is in no layer
    stands alone.
    """
    what, _, layer = part.rpartition(" ")
    return (f"layer {layer}", what) if what else (part, "all of it")


def layers_caption(results: Sequence[Result], labels: Sequence[str] | None = None) -> str:
    """Return a caption for the bars that would stand in a paper, in plain text."""
    if not results:
        return "No result yet."
    first, names = results[0], list(labels or label_results(results))
    a, b = first["models"]
    sentences = [
        f"Loss of {a} with one part of its parameters at a time averaged with {b}, above its own "
        f"loss of {number(first['loss'])} {first['unit']}, on {first['examples']:,} examples of "
        f"the {first['split']} split of {first['task']}; bars show one standard error over "
        "examples (after Adilova et al. 2024, layer-wise linear mode connectivity)."
    ]
    for name, result in zip(names, results, strict=True):
        worst = max(range(len(result["cost"])), key=lambda k: result["cost"][k])
        sentences.append(
            f"{name}: most for {result['parts'][worst]} ({number(result['cost'][worst])}), "
            f"all parts together {number(sum(result['cost']))}."
        )
    written = version_sentence(first, with_torch=False)
    return " ".join(filter(None, [*sentences, *notes(results), written]))


def layers_table(results: Sequence[Result], labels: Sequence[str]) -> Table:
    """Return one row for every part, one column for every setting."""
    costs = [dict(zip(r["parts"], r["cost"], strict=True)) for r in results]
    rows = [
        (part, *(cost.get(part) for cost in costs))
        for part in dict.fromkeys(part for r in results for part in r["parts"])
    ]
    return Table.of(("part", *(f"{label} (nats)" for label in labels)), rows)


def layers_headline(result: Result) -> tuple[str, float]:
    """Return the part that costs most."""
    worst = max(range(len(result["cost"])), key=lambda k: result["cost"][k])
    value = float(result["cost"][worst])
    return f"{result['parts'][worst]} {number(value)} nats", value


PICTURE = Picture(
    name="Cost of each part",
    draw=lambda found, labels, theme, height: layers_figure(
        [each.result for each in found], theme, labels
    ),
    caption=every(layers_caption),
    summary=every(layers_table),
    numbers=every(layers_table),
    headline=layers_headline,
    together=True,
)
