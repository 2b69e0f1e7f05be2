"""`lmc align A B C ... --method universe --out DIR`: several models in one frame, and their mean,
as ordinary checkpoints.

DIR/1-NAME/, 2-NAME/, ...   each model in the common frame, with its card.json and alignment.safetensors
    merged/                 the mean of them, a model of the same class
    report.json             classes, objective, function errors, cycle error, seconds
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lmc_core.cli.align import as_written, function_words
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


def run_group(arguments: argparse.Namespace, models: Sequence[str], method: str) -> None:
    """Align, write, and say what the function checks measured."""
    out: Path = arguments.out.absolute()
    check_folder(out, arguments.force)
    check_type(arguments.dtype)
    require_apart(out, models)
    chosen = {
        "task": arguments.task,
        "length": arguments.length,
        "classes": chosen_classes(models[0], arguments.classes),
        "method": method,
        "settings": dict(arguments.settings),
        "learn": arguments.learn,
        "seed": arguments.seed,
        "device": arguments.device,
    }
    with Progress() as progress:
        group, report, outputs = align(models, chosen, progress)
        with replacing(out) as draft:
            report["folders"] = write(group, report["models"], draft, arguments.dtype)
            del group  # the check reads the files, one after the other, and needs the room
            report |= as_written(outputs, [draft / folder for folder in report["folders"]])
            write_json(draft / "report.json", report)
    if arguments.json:
        return print_json({**report, "out": str(out)})
    from lmc_core.figures.text import classes_sentence
    from lmc_core.numbers import number, seconds

    error, cycle = max(report["function_errors"]), number(report["cycle_error"], digits=2)
    print(
        facts(
            [
                ("models", ", ".join(report["models"])),
                *noted(notes(report, models)),
                ("classes", classes_sentence(report["classes"])),
                (
                    "function",
                    f"outputs changed by {function_words(error, report, ', of any model')}",
                ),
                ("cycles", f"maps around a cycle differ from the identity by {cycle} at most"),
                (
                    "objective",
                    f"{report['objective_before']:.4f} before, {report['objective'][-1]:.4f} "
                    "after (at most 1)",
                ),
                ("time", f"{seconds(report['seconds'])} to align"),
                ("written", f"{out}: {', '.join(report['folders'])}, merged"),
            ]
        )
    )


def align(
    references: Sequence[str], chosen: dict[str, Any], progress: Progress
) -> tuple[Any, dict[str, Any], Any]:
    """Align several models; returns the group, the report as plain values, and what all computed
    before.

    Args:
        references: of the models.
        chosen: arguments of `make_group_request`.
        progress: where to report.
    """
    from lmc_core import __version__
    from lmc_core.models.sameness import common_weights
    from lmc_core.models.written import Outputs
    from lmc_core.numbers import size
    from lmc_core.runs.ask import memory_of_group
    from lmc_core.runs.kinds import many as group
    from lmc_core.runs.kinds.many import make_group_request
    from lmc_core.runs.opened import CHECKED

    # the examples are for the function checks alone, so that models without a head can be aligned
    # too
    request = make_group_request(references, **chosen, examples=CHECKED, measured=False)
    progress.report(0.0, f"about {size(memory_of_group(request.models))} of memory are needed")
    models, task, examples = group.opened(request)
    same = common_weights(models)
    outputs = Outputs.of(models, examples.first(CHECKED).inputs)
    found = group.align(request, models, examples, task, progress.report)
    report = {
        "models": list(request.names),
        "references": list(request.models),
        "digests": list(request.digests),
        "same": same,
        "task": task.name,
        "notes": list(task.notes),
        "method": request.method,
        "settings": dict(request.settings),
        "classes": dict(request.classes),
        "objective": list(found.trace.objective),
        "objective_before": found.trace.before,
        "start": found.trace.start,
        "found": dict(found.trace.about),
        "function_errors": list(found.function_errors),
        "cycle_error": found.cycle_error,
        "seconds": found.seconds,
        "versions": {"lmc": __version__},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return found, report, outputs


def write(group: Any, names: Sequence[str], draft: Path, dtype: str | None) -> list[str]:
    """Write every model, and their mean; returns the names of the folders of the aligned models."""
    folders = [f"{k}-{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}" for k, name in enumerate(names, 1)]
    for model, alignment, name, folder in zip(
        group.written, group.alignments, names, folders, strict=True
    ):
        write_model(model, draft / folder, f"{name} (aligned)", dtype)
        alignment.save(draft / folder / "alignment.safetensors")
    write_model(group.centre, draft / "merged", f"mean of {', '.join(names)}", dtype)
    return folders
