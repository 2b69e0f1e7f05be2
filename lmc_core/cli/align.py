"""`lmc align A B --out DIR`: write B in the coordinates of A as an ordinary checkpoint.

DIR/config.json, model.safetensors   the moved B, a model of its own class
    card.json                        what it is
    alignment.safetensors            the group element of every space
    report.json                      classes, objective, function error before and after rounding, type of the files, seconds
    reference/                       A in the same frame, so that the line between the two can be drawn

With more models, or a method for several, all of them are brought into one frame; see
`align_group`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lmc_core.cli.folder import (
    check_folder,
    check_type,
    replacing,
    require_apart,
    write_json,
    write_model,
)
from lmc_core.cli.output import facts, noted, notes, print_json
from lmc_core.cli.pair import chosen_classes
from lmc_core.cli.progress import Progress
from lmc_core.errors import BadInput, UnknownName


def run(arguments: argparse.Namespace) -> None:
    """Align, write, and say what the function check measured."""
    from lmc_core.matching.methods import MANY_METHODS, METHODS

    models = [arguments.a, arguments.b, *arguments.more]
    method = arguments.method or ("universe" if arguments.more else "weight")
    if method in METHODS and arguments.more:
        raise BadInput(
            f"The method {method} moves one model onto another and {len(models)} came; "
            f"use {' or '.join(MANY_METHODS)}, or name two models."
        )
    if method not in (*METHODS, *MANY_METHODS):
        raise UnknownName.of("method", method, (*METHODS, *MANY_METHODS))
    if method in MANY_METHODS:
        from lmc_core.cli.align_group import run_group

        return run_group(arguments, models, method)
    _run_pair(arguments, method)


def _run_pair(arguments: argparse.Namespace, method: str) -> None:
    out: Path = arguments.out.absolute()
    check_folder(out, arguments.force)
    check_type(arguments.dtype)
    a, b = arguments.a, arguments.b
    require_apart(out, (a, b))
    chosen = {
        "task": arguments.task,
        "length": arguments.length,
        "classes": chosen_classes(b, arguments.classes),
        "method": method,
        "settings": dict(arguments.settings),
        "learn": arguments.learn,
        "seed": arguments.seed,
        "device": arguments.device,
    }
    with Progress() as progress:
        pair, report, outputs = align(a, b, chosen, progress)
        with replacing(out) as draft:
            write(pair, report, draft, arguments.dtype)
            del pair  # the check reads the files, one after the other, and needs the room
            report |= as_written(outputs, (draft / "reference", draft))
            write_json(draft / "report.json", report)
    if arguments.json:
        return print_json({**report, "out": str(out)})
    from lmc_core.figures.text import classes_sentence
    from lmc_core.numbers import seconds

    moved = [
        ("moved", f"{report['models'][1]} onto {report['models'][0]}"),
        *noted(notes(report, (a, b))),
        ("classes", classes_sentence(report["classes"])),
        ("function", f"outputs changed by {function_words(report['function_error'], report)}"),
    ]
    if report["objective"]:
        values = report["objective_before"], report["objective"][-1]
        moved.append(("objective", "{:.4f} before, {:.4f} after (at most 1)".format(*values)))
    print(
        facts([*moved, ("time", f"{seconds(report['seconds'])} to align"), ("written", str(out))])
    )


def function_words(error: float, report: dict[str, Any], whose: str = "") -> str:
    """How much outputs changed, before and after rounding to the type of the file: two numbers, one
    beside the other.
    """
    from lmc_core.numbers import number

    written = number(max(report["written_errors"]), digits=2)
    return (
        f"{number(error, digits=2)} (relative, at most{whose}), {written} as written in "
        f"{report['dtype']}"
    )


def as_written(outputs: Any, folders: Sequence[Path]) -> dict[str, Any]:
    """The entries of a report that say what the files hold: types, and the function error of each
    as it is read again.
    """
    found = [outputs.error_as_written(number, folder) for number, folder in enumerate(folders)]
    return {
        "dtype": ", ".join(dict.fromkeys(words for _, words in found)),
        "written_errors": [error for error, _ in found],
    }


def align(
    a: str, b: str, chosen: dict[str, Any], progress: Progress
) -> tuple[Any, dict[str, Any], Any]:
    """Align two models as `lmc barrier` does; returns the pair, the report as plain values, and
    what both computed before.

    Args:
        a: reference of the model that stays.
        b: of the one that moves.
        chosen: arguments of `make_request`.
        progress: where to report.
    """
    from lmc_core import __version__
    from lmc_core.models.load import load
    from lmc_core.models.sameness import common_weights
    from lmc_core.models.written import Outputs
    from lmc_core.numbers import size
    from lmc_core.runs.aligned import aligned_pair
    from lmc_core.runs.ask import memory_of
    from lmc_core.runs.kinds.barrier import make_request
    from lmc_core.runs.opened import CHECKED, task_and_examples
    from lmc_core.tasks.class_order import in_order_of

    # the examples are for the function check alone, so that models without a head can be aligned
    # too
    request = make_request(a, b, **chosen, examples=CHECKED, measured=False)
    progress.report(0.0, f"about {size(memory_of(request.models).align)} of memory are needed")
    first, second = load(a), load(b)  # this run's own, which may be written into
    models = first, in_order_of(first, second)
    same = common_weights(models)  # before the alignment writes into them
    data, examples = task_and_examples(request, models)
    outputs = Outputs.of(models, examples.first(CHECKED).inputs)
    pair = aligned_pair(request, models, examples, data, progress.report)
    report = {
        "models": list(request.names),
        "references": list(request.models),
        "digests": list(request.digests),
        "same": same,
        "task": data.name,
        "notes": list(data.notes),
        "method": request.method,
        "classes": dict(request.classes),
        "objective": list(pair.trace.objective),
        "objective_before": pair.trace.before,
        "start": pair.trace.start,
        "function_error": pair.function_error,
        "seconds": pair.seconds,
        "versions": {"lmc": __version__},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if pair.trace.about:
        report["found"] = dict(pair.trace.about)
    return pair, report, outputs


def write(pair: Any, report: dict[str, Any], draft: Path, dtype: str | None) -> None:
    """Write both models and what moved the second."""
    a, b = report["models"]
    first, second = pair.written
    write_model(second, draft, f"{b} onto {a}", dtype)
    write_model(first, draft / "reference", f"{a} (reference)", dtype)
    pair.alignment.save(draft / "alignment.safetensors")
