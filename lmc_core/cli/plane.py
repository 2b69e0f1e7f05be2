"""`lmc plane A [B [C]]`: the loss on a plane through models or around one, and curved paths beside
straight ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from lmc_core.cli.output import check_target, facts, notes, print_json, table, windows
from lmc_core.cli.pair import chosen_classes
from lmc_core.cli.progress import Progress
from lmc_core.errors import BadInput


def run(arguments: argparse.Namespace) -> None:
    """Compute, or read from the store; then print and write what was asked for."""
    check_target(arguments.csv, "--csv")
    check_target(arguments.html, "--html")
    kind = _kind(arguments)
    from lmc_core.runs import Local, get_executor
    from lmc_core.runs.kinds.barrier import make_request
    from lmc_core.runs.kinds.bend import bend_of
    from lmc_core.runs.kinds.plane import make_plane_request

    executor = get_executor(arguments.executor)
    if isinstance(executor, Local):
        executor.cancel_on_interrupt = True
    words = {
        "task": arguments.task,
        "split": arguments.split,
        "examples": arguments.examples,
        "seed": arguments.seed,
        "length": arguments.length,
        "method": arguments.method,
        "device": arguments.device,
        "learn": arguments.learn,
        "classes": chosen_classes(arguments.models[0], arguments.classes),
        "settings": dict(arguments.settings),
    }
    with Progress() as progress:
        request = make_plane_request(
            arguments.models,
            kind,
            arguments.resolution,
            arguments.span,
            arguments.steps,
            **({**words, "learn": None} if kind == "random" else words),
        )
        found = executor.run(request, progress.report, fresh=arguments.fresh)
        curves = None
        if arguments.curves:
            asked = make_request(*arguments.models[:2], points=3, refine=0, **words)
            bends = bend_of(asked, arguments.steps)
            curves = executor.run(bends, progress.report, fresh=arguments.fresh).result
    result, arrays = (
        {**found.result, "notes": notes(found.result, arguments.models)},
        found.arrays(),
    )
    if arguments.csv is not None or arguments.html is not None:
        _write(arguments, result, arrays, curves)
    if arguments.json:
        print_json(
            {
                **result,
                "grid": {name: array.tolist() for name, array in arrays.items()},
                "curves": curves,
            }
        )
    else:
        print(summary(result, curves))


def _kind(arguments: argparse.Namespace) -> str | None:
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
    if arguments.method == "none" and (arguments.classes or arguments.settings):
        raise BadInput("--class and --set have no effect with --method none; leave them out.")
    if arguments.curves and len(arguments.models) != 2:
        raise BadInput(
            "Curves lead from one model to another; --curves takes two models and "
            f"{len(arguments.models)} came."
        )
    return "random" if arguments.random else "bend" if arguments.bend else None


def _write(
    arguments: argparse.Namespace,
    result: Mapping[str, Any],
    arrays: Any,
    curves: Mapping[str, Any] | None,
) -> None:
    from lmc_core.figures.export import standalone_html
    from lmc_core.figures.landscape import contour_figure, grid_table, landscape_caption
    from lmc_core.figures.landscape_data import Landscape, routes

    scene = Landscape.of(result, arrays)
    if arguments.csv is not None:
        arguments.csv.write_text(grid_table(scene).csv(), encoding="utf-8")
    if arguments.html is not None:
        paths = routes(result, curves)
        data = {
            **result,
            "grid": {name: array.tolist() for name, array in arrays.items()},
            "curves": curves,
        }
        page = standalone_html(
            contour_figure(scene, paths=paths),
            landscape_caption(scene, paths),
            data,
            title="Loss landscape",
        )
        arguments.html.write_text(page, encoding="utf-8")


def summary(result: Mapping[str, Any], curves: Mapping[str, Any] | None = None) -> str:
    """The result in words with units, the models in the plane, and the paths."""
    from lmc_core.figures.bend import paths_table
    from lmc_core.figures.landscape import KINDS
    from lmc_core.figures.text import classes_sentence, origin_words, setting_label
    from lmc_core.numbers import estimate, number, percent, seconds

    setting = setting_label(result["method"], result["classes"], result.get("largest"))
    chosen = classes_sentence(result["classes"])
    unit, n = result["unit"], result["resolution"]
    pairs = [
        ("models", ", ".join(result["models"])),
        ("plane", KINDS[result["kind"]]),
        (
            "task",
            f"{result['task']}, {result['split']} split, {result['examples']:,} "
            f"examples{windows(result)}",
        ),
        *(("note", note) for note in result.get("notes") or ()),
    ]
    if result["kind"] != "random":
        pairs.append(("alignment", f"{setting} ({chosen})" if chosen else setting))
    if result["function_error"] is not None:
        pairs.append(
            (
                "function",
                f"outputs changed by {number(result['function_error'], digits=2)} (relative, at "
                "most)",
            )
        )
    lowest = result["lowest"]
    loss = estimate(lowest["loss"], lowest["stderr"], unit)
    pairs.append(
        ("lowest", f"{loss} at ({number(lowest['u'])}, {number(lowest['v'])}) of {n} × {n} points")
    )
    spent = result["seconds"]
    took = f"{seconds(spent['align'])} to align, {seconds(spent['evaluate'])} to evaluate"
    pairs += [("time", took + origin_words(result)), ("key", result["key"])]
    rows = [
        (
            f"{p['label']} {p['name']}",
            *(f"{p[axis]:.2f}" for axis in ("u", "v")),
            f"{p['loss']:.4f}",
            percent(p["score"]) if result["score"] == "accuracy" else f"{p['score']:.3f}",
        )
        for p in result["points"]
    ]
    text = facts(pairs) + "\n\n" + table(("", "u", "v", "loss", result["score"]), rows)
    if curves is not None:
        found = paths_table(curves)
        took = f"{seconds(curves['seconds']['learn'])} to train the bends"
        text += (
            "\n\n"
            + table(found.header, [[str(cell) for cell in row] for row in found.rows])
            + f"\n{took}."
        )
    return text
