"""`lmc align A B --out DIR`: write B in the coordinates of A as an ordinary checkpoint.

DIR/config.json, model.safetensors   the moved B, a model of its own class
    card.json                        what it is
    alignment.safetensors            the group element of every space
    report.json                      classes, objective, function error, seconds
    reference/                       A in the same frame, so that the line between the two can be drawn
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lmc_core.cli.output import facts, print_json
from lmc_core.cli.pair import chosen_classes
from lmc_core.cli.progress import Progress
from lmc_core.errors import BadInput


def run(arguments: argparse.Namespace) -> None:
    """Align, write, and say what the function check measured."""
    out: Path = arguments.out.absolute()
    check_folder(out, arguments.force)
    from lmc_core.models.load import folder_of

    a, b = arguments.a, arguments.b
    if any(folder_of(model).resolve().is_relative_to(out.resolve()) for model in (a, b)):
        raise BadInput(f"--out {str(arguments.out)!r} would replace a model that is read; choose another folder.")
    with Progress() as progress:
        pair, report = align(a, b, arguments.task, arguments.length, chosen_classes(a, arguments.classes), progress)
        write(pair, report, out)
    if arguments.json:
        return print_json({**report, "out": str(out)})
    from lmc_core.figures.numbers import number, seconds
    from lmc_core.figures.words import classes_sentence

    print(
        facts(
            [
                ("moved", f"{report['models'][1]} onto {report['models'][0]}"),
                ("classes", classes_sentence(report["classes"])),
                ("function", f"outputs changed by {number(report['function_error'], digits=2)} (relative, at most)"),
                ("objective", f"{report['objective_before']:.4f} before, {report['objective'][-1]:.4f} after (at most 1)"),
                ("time", f"{seconds(report['seconds'])} to align"),
                ("written", str(out)),
            ]
        )
    )


def check_folder(out: Path, force: bool) -> None:
    """Raise `BadInput` unless `out` can be written: absent or empty, or `force` and a folder that this command wrote."""
    if out.exists() and not out.is_dir():
        raise BadInput(f"--out expects a folder; {str(out)!r} is a file.")
    if out.is_dir() and any(out.iterdir()):
        if not force:
            raise BadInput(f"The folder {str(out)!r} is not empty; choose another, or replace it with --force.")
        if not (out / "alignment.safetensors").is_file():
            raise BadInput(f"--force replaces only what `lmc align` wrote, and {str(out)!r} holds something else.")
    above = next(parent for parent in out.parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise BadInput(f"--out {str(out)!r} cannot be made, because {str(above)!r} is not a folder that can be written.")


def align(
    a: str, b: str, task: str | None, length: int | None, classes: dict[str, str], progress: Progress
) -> tuple[Any, dict[str, Any]]:
    """Align two models as `lmc barrier` does; returns the pair and the report as plain values."""
    from lmc_core import __version__
    from lmc_core.figures.numbers import size
    from lmc_core.matching.pair import align_pair
    from lmc_core.matching.problem import HELD
    from lmc_core.models.load import load
    from lmc_core.runs.ask import make_request, memory_of
    from lmc_core.runs.barrier import CHECKED, seen_rows, task_and_examples

    # the examples are for the function check alone, so that models without a head can be aligned too
    chosen = {"task": task, "length": length, "classes": classes, "examples": CHECKED}
    request = make_request(a, b, **chosen, device="cpu", measured=False)
    progress.report(0.0, f"about {size(memory_of(request.models[0]).align)} of memory are needed")
    models = load(a), load(b)
    data, examples = task_and_examples(request, models)
    pair = align_pair(
        *models,
        examples.inputs,
        dict(request.classes),
        masks=seen_rows(*models),
        progress=progress.report,
        in_place=models[0].parameters > HELD,
    )
    report = {
        "models": list(request.names),
        "references": list(request.models),
        "digests": list(request.digests),
        "task": data.name,
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
    return pair, report


def write(pair: Any, report: dict[str, Any], out: Path) -> None:
    """Write everything into a folder beside `out` and rename it, so that `out` is whole or as it was."""
    from lmc_core.models.companions import carry_over

    a, b = report["models"]
    draft = out.with_name(f".{out.name}-{secrets.token_hex(4)}")
    aside = draft.with_name(draft.name + "-old")
    try:
        draft.mkdir(parents=True)
        for model, folder, name in ((pair.b, draft, f"{b} onto {a}"), (pair.a, draft / "reference", f"{a} (reference)")):
            model.save(folder)
            carry_over(model.folder, folder)
            card = {"name": name, "family": model.family.name, "parameters": model.parameters}
            if trained := model.card.get("task"):
                card["task"] = trained
            (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        pair.alignment.save(draft / "alignment.safetensors")
        (draft / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        if out.exists():
            out.rename(aside)
        draft.rename(out)
    except BaseException:
        if aside.exists() and not out.exists():
            aside.rename(out)
        raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)
