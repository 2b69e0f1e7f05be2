"""Straight and curved paths between two models, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures.barrier import HEIGHT, PAPER, barrier_figure, curves_table
from lmc_core.figures.landscape import HARD, _how
from lmc_core.figures.landscape_data import Facts
from lmc_core.figures.panel import Picture, Stored, one
from lmc_core.figures.style import Theme
from lmc_core.figures.tables import Table
from lmc_core.figures.text import notes
from lmc_core.numbers import estimate, number, percent

PATHS = {
    "straight": "Straight line",
    "straight-aligned": "Straight line to aligned B",
    "bend": "Curve",
    "bend-aligned": "Curve to aligned B",
}


def path_results(facts: Facts) -> list[dict[str, object]]:
    """The paths of a bend's result, each as a barrier's result has it, for the figure of curves."""
    shared = {name: value for name, value in facts.items() if name != "paths"}
    found = []
    for path in facts["paths"]:
        curved, aligned = path["name"].startswith("bend"), path["name"].endswith("-aligned")
        how = {"method": "bend"} if curved else {} if aligned else {"method": "none", "classes": {}}
        found.append(
            {
                **shared,
                **path,
                **how,
                "aligned": aligned,
                "key": f"{facts.get('key')}-{path['name']}",
            }
        )
    return found


def path_labels(facts: Facts, short: bool = False) -> list[str]:
    """What the paths of a bend's result are called; `short` as they are at the lines of a
    figure.
    """
    names = [PATHS[path["name"]] for path in facts["paths"]]
    return (
        [name.replace(" line", "").replace(" to aligned B", ", aligned") for name in names]
        if short
        else names
    )


def paths_caption(facts: Facts) -> str:
    """Return a caption for the comparison of straight and curved paths."""
    names = facts["models"]
    trained = next((p["training"] for p in facts["paths"] if p.get("training")), {})
    parts = [
        f"Loss and {facts['score']} along paths from {names[0]} to {names[1]} on the "
        f"{facts['split']} split of {facts['task']} ({int(facts['examples']):,} examples). Curves "
        f"are quadratic Bezier curves whose bend was trained for {trained.get('steps', 0):,} steps "
        f"of {trained.get('batch', 0)} of {trained.get('examples', 0):,} training examples, "
        f"{trained.get('held_out', 0):,} further ones choosing what is kept (Garipov et al. 2018)."
    ]
    unit = str(facts["unit"])
    for path, label in zip(facts["paths"], path_labels(facts), strict=True):
        parts.append(f"{label}: barrier {estimate(path['barrier'], path['barrier_stderr'], unit)}.")
    if facts.get("method", "none") != "none":
        parts.append(
            f"Aligned by {_how(facts)}. All ends are in the canonical form of these classes, "
            "between which the straight line "
            "is another than between the checkpoints as they were saved."
        )
    if facts.get("method") == "soft":
        parts.append(HARD)
    return " ".join([*parts, *notes([facts])])


def paths_table(facts: Facts) -> Table:
    """Return one row for each path."""
    unit = str(facts["unit"]).split(" per ")[0]
    score = str(facts["score"])
    rows = []
    for path, label in zip(facts["paths"], path_labels(facts), strict=True):
        worst = int(np.argmax(path["loss"]))
        training = path.get("training") or {}
        shown = percent(path[score][worst]) if score == "accuracy" else number(path[score][worst])
        rows.append(
            (
                label,
                estimate(path["barrier"], path["barrier_stderr"]),
                number(path["mean_loss"]),
                shown,
                number(path["control"]["away"]) if path.get("control") else "\u2013",
                f"{training['steps']:,}" if training else "\u2013",
            )
        )
    return Table.of(
        (
            "Path",
            f"Barrier ({unit})",
            f"Mean loss ({unit})",
            f"{score} at worst",
            "Out of plane",
            "Steps",
        ),
        rows,
    )


def bend_headline(result: Facts) -> tuple[str, float]:
    """Return the lowest barrier of all paths."""
    best = min(result["paths"], key=lambda path: path["barrier"])
    unit = str(result.get("unit", "nats")).split(" per ")[0]
    words = estimate(best["barrier"], best.get("barrier_stderr"), unit)
    return f"lowest {words}", float(best["barrier"])


def _draw(
    found: Sequence[Stored], labels: Sequence[str], theme: Theme, height: int | None
) -> go.Figure:
    """Draw the loss along straight and curved paths."""
    facts, tall = found[0].result, height or (PAPER if theme == "paper" else HEIGHT)
    return barrier_figure(path_results(facts), theme, path_labels(facts, short=True), tall)


PICTURE = Picture(
    name="Curved paths",
    draw=_draw,
    caption=one(paths_caption),
    summary=one(paths_table),
    numbers=one(lambda facts: curves_table(path_results(facts), path_labels(facts))),
    headline=bend_headline,
)
