"""`lmc plane A [B [C]]`: the loss on a plane through models or around one, and curved paths beside
straight ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import cast

import numpy as np

from lmc_core.cli.barrier import describe_alignment
from lmc_core.cli.computing import (
    Run,
    choose_classes,
    describe_time,
    describe_windows,
    make_notes,
    require_used,
)
from lmc_core.cli.output import check_target, facts, list_notes, print_json, table
from lmc_core.errors import BadInput
from lmc_core.figures.bend import paths_table
from lmc_core.figures.export import standalone_html
from lmc_core.figures.landscape import KINDS, contour_figure, grid_table, landscape_caption
from lmc_core.figures.landscape_data import Landscape, routes
from lmc_core.figures.text import origin_words
from lmc_core.numbers import describe_change, estimate, number, percent, seconds
from lmc_core.runs.remembered import make_plane_request, make_request
from lmc_core.runs.requests.bend import BendNumbers, make_bend_request
from lmc_core.runs.requests.plane import PlaneNumbers


def run(arguments: argparse.Namespace) -> None:
    """Compute, or read from the store; then print and write what was asked for."""
    check_target(arguments.csv, "--csv")
    check_target(arguments.html, "--html")
    kind = _choose_kind(arguments)
    words = {
        "task": arguments.task,
        "split": arguments.split,
        "examples": arguments.examples,
        "seed": arguments.seed,
        "length": arguments.length,
        "method": arguments.method,
        "device": arguments.device,
        "learn": arguments.learn,
        "classes": choose_classes(arguments.models[0], arguments.classes),
        "settings": dict(arguments.settings),
    }
    with Run(arguments) as bar:
        request = bar.make(
            make_plane_request,
            arguments.models,
            kind=kind,
            resolution=arguments.resolution,
            span=arguments.span,
            steps=arguments.steps,
            **({**words, "learn": None} if kind == "random" else words),
        )
        found = bar.compute(request)
        curves = None
        if arguments.curves:
            pair = bar.make(make_request, *arguments.models[:2], points=3, refine=0, **words)
            curves = cast(BendNumbers, bar.compute(make_bend_request(pair, arguments.steps)).result)
    numbers, arrays = cast(PlaneNumbers, found.result), found.arrays()
    numbers["notes"] = make_notes(numbers, arguments.models)
    grid = {name: array.tolist() for name, array in arrays.items()}
    content = {**numbers, "grid": grid, "curves": curves}
    if arguments.csv is not None or arguments.html is not None:
        _write(arguments, content, numbers, arrays, curves)
    if arguments.json:
        print_json(content)
    else:
        print(summarize(numbers, curves))


def _choose_kind(arguments: argparse.Namespace) -> str | None:
    """The kind of plane that the switches ask for; None for the one that takes so many models."""
    if arguments.random and arguments.bend:
        raise BadInput("--random and --bend are different planes; leave one of them out.")
    alone = arguments.random or len(arguments.models) == 1
    if alone and (
        arguments.classes or arguments.settings or arguments.curves or arguments.learn is not None
    ):
        raise BadInput(
            "Around one model nothing is aligned and no curve leads anywhere; leave --class, "
            "--set, --learn and --curves out."
        )
    require_used(arguments, "leave them out")
    if arguments.curves and len(arguments.models) != 2:
        raise BadInput(
            "Curves lead from one model to another; --curves takes two models and "
            f"{len(arguments.models)} came."
        )
    return "random" if arguments.random else "bend" if arguments.bend else None


def _write(
    arguments: argparse.Namespace,
    content: Mapping[str, object],
    numbers: PlaneNumbers,
    arrays: Mapping[str, np.ndarray],
    curves: BendNumbers | None,
) -> None:
    """Write every point as a table, and the map as a page that holds `content`."""
    scene = Landscape.of(numbers, arrays)
    if arguments.csv is not None:
        arguments.csv.write_text(grid_table(scene).csv(), encoding="utf-8")
    if arguments.html is not None:
        paths = routes(numbers, curves)
        figure, caption = contour_figure(scene, paths=paths), landscape_caption(scene, paths)
        page = standalone_html(figure, caption, content, title="Loss landscape")
        arguments.html.write_text(page, encoding="utf-8")


def summarize(result: PlaneNumbers, curves: BendNumbers | None = None) -> str:
    """The result in words with units, the models in the plane, and the paths."""
    unit, n, lowest = result["unit"], result["resolution"], result["lowest"]
    windows = describe_windows(result)
    pairs = [
        ("models", ", ".join(result["models"])),
        ("plane", KINDS[result["kind"]]),
        (
            "task",
            f"{result['task']}, {result['split']} split, {result['examples']:,} examples{windows}",
        ),
        *list_notes(result.get("notes") or ()),
    ]
    if result["kind"] != "random":
        pairs.append(("alignment", describe_alignment(result)))
    if result["function_error"] is not None:
        pairs.append(("function", describe_change(result["function_error"])))
    loss = estimate(lowest["loss"], lowest["stderr"], unit)
    at = f"({number(lowest['u'])}, {number(lowest['v'])}) of {n} × {n} points"
    pairs.append(("lowest", f"{loss} at {at}"))
    pairs.append(("time", describe_time(result["seconds"]) + origin_words(result)))
    pairs.append(("key", result["key"]))
    rows = [
        (
            f"{p['label']} {p['name']}",
            f"{p['u']:.2f}",
            f"{p['v']:.2f}",
            f"{p['loss']:.4f}",
            percent(p["score"]) if result["score"] == "accuracy" else f"{p['score']:.3f}",
        )
        for p in result["points"]
    ]
    text = facts(pairs) + "\n\n" + table(("", "u", "v", "loss", result["score"]), rows)
    if curves is None:
        return text
    found = paths_table(curves)
    paths = table(found.header, [[str(cell) for cell in row] for row in found.rows])
    return f"{text}\n\n{paths}\n{seconds(curves['seconds'].get('learn'))} to train the bends."
