"""`lmc group A B C ...`: several models in one frame, the loss of their mean, and of three the loss
over the simplex.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from lmc_core.cli.output import facts, noted, notes, print_json, table, windows
from lmc_core.cli.pair import chosen_classes
from lmc_core.cli.progress import Progress
from lmc_core.errors import BadInput


def run(arguments: argparse.Namespace) -> None:
    """Compute, or read from the store; then print."""
    if arguments.method == "none" and (arguments.classes or arguments.settings):
        raise BadInput("--class and --set have no effect with --method none; leave them out.")
    from lmc_core.numbers import size
    from lmc_core.runs import Local, get_executor
    from lmc_core.runs.ask import memory_of_group
    from lmc_core.runs.kinds.many import make_group_request

    executor = get_executor(arguments.executor)
    if isinstance(executor, Local):
        executor.cancel_on_interrupt = True
    with Progress() as progress:
        request = make_group_request(
            arguments.models,
            task=arguments.task,
            split=arguments.split,
            examples=arguments.examples,
            seed=arguments.seed,
            length=arguments.length,
            method=arguments.method,
            classes=chosen_classes(arguments.models[0], arguments.classes),
            resolution=arguments.resolution,
            settings=dict(arguments.settings),
            device=arguments.device,
            learn=arguments.learn,
        )
        memory = memory_of_group(request.models, request.method != "none")
        progress.report(0.0, f"about {size(memory)} of memory are needed")
        result = executor.run(request, progress.report, fresh=arguments.fresh).result
    said = notes(result, arguments.models)
    print_json(result | ({"notes": said} if said else {})) if arguments.json else print(
        summary(result, said)
    )


def summary(result: Mapping[str, Any], said: Sequence[str] = ()) -> str:
    """The result in words with units, with what a person should know beside it, and the midpoints
    of all pairs.
    """
    from lmc_core.figures.text import classes_sentence, origin_words
    from lmc_core.numbers import estimate, number, seconds

    unit = result["unit"]
    chosen = classes_sentence(result["classes"])
    above = estimate(result["centre_excess"], result["centre_stderr"], unit)
    pairs = [
        ("models", ", ".join(result["models"])),
        *noted(said),
        (
            "task",
            f"{result['task']}, {result['split']} split, {result['examples']:,} "
            f"examples{windows(result)}",
        ),
        ("alignment", f"{method_title(result['method'])}{f' ({chosen})' if chosen else ''}"),
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
        error, cycle = (
            number(value, digits=2)
            for value in (max(result["function_errors"]), result["cycle_error"])
        )
        pairs.append(("function", f"outputs changed by {error} (relative, at most, of any model)"))
        pairs.append(("cycles", f"maps around a cycle differ from the identity by {cycle} at most"))
    if history := (result.get("found") or {}).get("history"):
        first, best = history[0][2], min(row[2] for row in history)
        pairs.append(
            (
                "learned",
                f"{result['found']['steps']:,} steps; held-out loss of the centre {first:.3f} -> "
                f"{best:.3f}",
            )
        )
    spent = result["seconds"]
    took = f"{seconds(spent['align'])} to align, {seconds(spent['evaluate'])} to evaluate"
    pairs += [("time", took + origin_words(result)), ("key", result["key"])]
    return facts(pairs) + "\n\n" + _matrix(result)


def method_title(method: str) -> str:
    """What a method for several models is called."""
    from lmc_core.matching.methods import MANY_METHODS

    return "plain average" if method == "none" else MANY_METHODS[method].title


def _matrix(result: Mapping[str, Any]) -> str:
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
