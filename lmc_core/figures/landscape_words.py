"""What is said of a plane and of the paths in it: captions that would stand in a paper, and tables
behind the pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmc_core.figures.landscape_data import Landscape, Route, routes
from lmc_core.figures.tables import Table
from lmc_core.figures.text import MATCHERS, classes_sentence, imported_sentence, notes
from lmc_core.numbers import estimate, number, percent

Facts = Mapping[str, Any]
KINDS = {
    "pair": "A, B and aligned B",
    "bend": "A, B and the bend of a curve",
    "three": "Three models",
    "random": "Random directions around A",
}
PATHS = {
    "straight": "Straight line",
    "straight-aligned": "Straight line to aligned B",
    "bend": "Curve",
    "bend-aligned": "Curve to aligned B",
}

HARD = (
    "Soft matching is drawn at its hard end: every soft match has become an assignment there, so "
    "that B aligned computes what "
    "B does. The line to the soft end, which is another function, is on the page Barrier."
)

UNREADABLE = (
    "None of the losses measured here is a finite number, so the colours say nothing: what the "
    "networks compute overflows. "
    "Choose a smaller span, or other models."
)


def landscape_caption(scene: Landscape, paths: Sequence[Route] = ()) -> str:
    """Return a caption for a plane that would stand in a paper, in plain text.

    Args:
        scene: what was measured.
        paths: that are drawn on it.
    """
    facts = scene.facts
    n = len(scene.u)
    sentences = [_what(facts)]
    data = f"{facts['split']} split of {facts['task']} ({int(facts['examples']):,} examples)"
    sentences.append(f"Mean loss on the {data} at {n} × {n} points.")
    if scene.share < 1:
        sentences.append(
            f"{int(scene.measured.sum()):,} of {n * n:,} are measured; between them it is "
            "interpolated."
        )
    if not scene.readable:
        sentences.append(UNREADABLE)
    low, high = scene.limits
    if float(np.nanmax(scene.loss, initial=0.0)) > high:
        guess = (
            " (the loss of guessing)" if abs(high - float(facts.get("clip") or 0)) < 1e-9 else ""
        )
        sentences.append(
            f"Colours are logarithmic in the loss and end at {number(high, facts['unit'])}{guess}."
        )
    else:
        sentences.append("Colours are logarithmic in the loss.")
    sentences += [*_places(facts), *notes([facts])]
    if facts.get("method") == "soft":
        sentences.append(HARD)
    sentences += [
        f"The {route.label} lies outside of this plane, its bend {number(route.away)} from it; "
        "drawn is its projection."
        for route in paths
        if route.away
    ]
    if facts.get("function_error") is not None:
        sentences.append(
            "Aligned models give the same outputs as the originals: largest relative difference "
            f"{number(facts['function_error'], digits=2)}."
        )
    if origin := imported_sentence([facts]):
        sentences.append(origin)
    versions = facts.get("versions") or {}
    if versions:
        sentences.append(
            f"LMC Explorer {versions.get('lmc', '')}, {str(facts.get('date', ''))[:10]}."
        )
    return " ".join(sentences)


def _how(facts: Facts) -> str:
    method = str(facts.get("method", "none"))
    if method == "none":
        return "nothing aligned"
    return f"{MATCHERS.get(method, method)}; {classes_sentence(facts.get('classes'))}"


def _what(facts: Facts) -> str:
    names = list(facts["models"])
    size = f" ({facts['parameters']:,} parameters each)" if facts.get("parameters") else ""
    kind = facts.get("kind")
    if kind == "random":
        span = number(facts.get("span") or 1.0)
        return (
            f"Two random directions around {names[0]}{size.replace(' each', '')}, each filter as "
            "long as the model's own "
            f"(Li et al. 2018), up to {span} times that length; biases and gains of norms stay."
        )
    if kind == "three":
        three = f"{names[0]} (A), {names[1]} (B) and {names[2]} (C){size}"
        return f"The plane through {three} in the space of parameters ({_how(facts)})."
    if kind == "bend":
        return (
            f"The plane of the quadratic Bezier curve from {names[0]} (A) to {names[1]} (B){size} "
            "with trained bend "
            f"(Garipov et al. 2018; {_how(facts)}). Its height is stretched."
        )
    return (
        f"The plane through {names[0]} (A), {names[1]} (B) as it is and aligned{size} in the "
        "space of parameters "
        f"({_how(facts)}), all in the canonical form of these classes."
    )


def _places(facts: Facts) -> list[str]:
    points = facts.get("points", [])
    if len(points) < 2:
        return []
    first, others = points[0], points[1:]
    away = ", ".join(
        f"{p['label']} {number(((p['u'] - first['u']) ** 2 + (p['v'] - first['v']) ** 2) ** 0.5)}"
        for p in others
    )
    return [f"Distances from {first['label']}: {away}."]


def landscape_alt(scene: Landscape | None, picture: str = "Map") -> str:
    """Return what the picture of a plane shows, in a sentence for those who do not see it."""
    if scene is None:
        return "Empty axes of a plane between models."
    points = "; ".join(f"{p['label']} {number(p['loss'])}" for p in scene.facts.get("points", []))
    if not scene.readable:
        return f"{picture} of the loss on a plane. {UNREADABLE}"
    low, high = scene.limits
    return (
        f"{picture} of the loss on a plane, from {number(low)} to {number(high)} nats. Losses "
        f"of the models: {points}."
    )


def points_table(scene: Landscape) -> Table:
    """Return the labelled points, and the lowest of the grid, with their losses."""
    facts, unit = scene.facts, str(scene.facts.get("unit", "nats"))
    rows = [
        (p["label"], p["name"], p["u"], p["v"], p["loss"], p["stderr"], p["score"])
        for p in facts.get("points", [])
    ]
    if lowest := facts.get("lowest"):
        rows.append(
            ("lowest of the grid", "", *(lowest[k] for k in ("u", "v", "loss", "stderr", "score")))
        )
    return Table.of(
        ("point", "model", "u", "v", f"loss ({unit})", "standard error", scene.score_name), rows
    )


def grid_table(scene: Landscape) -> Table:
    """Return every measured point, row by row."""
    header = (
        "u",
        "v",
        f"loss ({scene.facts.get('unit', 'nats')})",
        "standard error",
        scene.score_name,
    )
    rows = (
        (
            float(scene.u[j]),
            float(scene.v[i]),
            float(scene.loss[i, j]),
            float(scene.stderr[i, j]),
            float(scene.score[i, j]),
        )
        for i, j in np.argwhere(scene.measured)
    )
    return Table.of(header, rows)


def path_results(facts: Facts) -> list[dict[str, Any]]:
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
        f"{facts['split']} split of {facts['task']} "
        f"({int(facts['examples']):,} examples). Curves are quadratic Bezier curves whose bend "
        "was trained for "
        f"{trained.get('steps', 0):,} steps of {trained.get('batch', 0)} of "
        f"{trained.get('examples', 0):,} training examples, "
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


__all__ = [
    "KINDS",
    "PATHS",
    "grid_table",
    "landscape_alt",
    "landscape_caption",
    "path_labels",
    "path_results",
    "paths_caption",
    "paths_table",
    "points_table",
    "routes",
]
