"""`lmc group A B C ...`: several models in one frame, the loss of their mean, and of three the loss
over the simplex.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import cast

from lmc_core.cli.computing import (
    Run,
    announce,
    choose_classes,
    describe_time,
    describe_windows,
    make_notes,
    require_used,
    with_notes,
)
from lmc_core.cli.output import facts, list_notes, print_json, table
from lmc_core.figures.text import classes_sentence, origin_words
from lmc_core.matching.methods import MANY_METHODS
from lmc_core.numbers import describe_change, estimate, number
from lmc_core.runs.remembered import make_group_request
from lmc_core.runs.requests.many import ManyNumbers


def run(arguments: argparse.Namespace) -> None:
    """Compute, or read from the store; then print."""
    require_used(arguments, "leave them out")
    with Run(arguments) as bar:
        request = bar.make(
            make_group_request,
            arguments.models,
            task=arguments.task,
            split=arguments.split,
            examples=arguments.examples,
            seed=arguments.seed,
            length=arguments.length,
            method=arguments.method,
            classes=choose_classes(arguments.models[0], arguments.classes),
            resolution=arguments.resolution,
            settings=dict(arguments.settings),
            device=arguments.device,
            learn=arguments.learn,
        )
        announce(bar, [request])
        result = cast(ManyNumbers, bar.compute(request).result)
    said = make_notes(result, arguments.models)
    if arguments.json:
        print_json(with_notes(result, said))
    else:
        print(summarize(result, said))


def summarize(result: ManyNumbers, said: Sequence[str] = ()) -> str:
    """The result in words with units, with what a person should know beside it, and the midpoints
    of all pairs.
    """
    unit = result["unit"]
    chosen = classes_sentence(result["classes"])
    windows = describe_windows(result)
    above = estimate(result["centre_excess"], result["centre_stderr"], unit)
    method = result["method"]
    title = "plain average" if method == "none" else MANY_METHODS[method].title
    pairs = [
        ("models", ", ".join(result["models"])),
        *list_notes(said),
        (
            "task",
            f"{result['task']}, {result['split']} split, {result['examples']:,} examples{windows}",
        ),
        ("alignment", f"{title}{f' ({chosen})' if chosen else ''}"),
        (
            "centre",
            f"loss {number(result['centre_loss'], unit)}, {above} above the mean of the models",
        ),
    ]
    if simplex := result["simplex"]:
        top = estimate(simplex["maximum"], simplex["maximum_stderr"], unit)
        at = ", ".join(f"{weight:.2f}" for weight in simplex["maximum_at"])
        pairs.append(("simplex", f"at most {top} above the plane of the models, at ({at})"))
    if result["function_errors"] is not None:
        cycle = number(result["cycle_error"], digits=2)
        pairs.append(
            ("function", describe_change(max(result["function_errors"]), ", of any model"))
        )
        pairs.append(("cycles", f"maps around a cycle differ from the identity by {cycle} at most"))
    found = result.get("found") or {}
    if history := found.get("history"):
        first, best = history[0][2], min(row[2] for row in history)
        words = f"{found.get('steps', 0):,} steps; held-out loss of the centre"
        pairs.append(("learned", f"{words} {first:.3f} -> {best:.3f}"))
    pairs.append(("time", describe_time(result["seconds"]) + origin_words(result)))
    pairs.append(("key", result["key"]))
    return facts(pairs) + "\n\n" + _make_matrix(result)


def _make_matrix(result: ManyNumbers) -> str:
    """Losses of the models, and the excess half way between every two of them."""
    names = result["models"]
    header = ("", "loss", *(str(k) for k in range(1, len(names) + 1)))
    rows = [
        (
            f"{k} {name}",
            f"{loss:.4f}",
            *("" if value is None else f"{value:.4f}" for value in middles),
        )
        for k, (name, loss, middles) in enumerate(
            zip(names, result["losses"], result["midpoint_excess"], strict=True), 1
        )
    ]
    return (
        table(header, rows)
        + f"\nLoss, and excess half way between two models, in {result['unit']}."
    )
