"""`lmc align A B [C ...] --out DIR`: write aligned models as ordinary checkpoints.

Of two models, for a method that moves one onto another:

DIR/config.json, model.safetensors   the moved B, a model of its own class
    card.json                        what it is
    alignment.safetensors            the group element of every space
    report.json                      classes, objective, function error before and after rounding,
                                     type of the files, seconds
    reference/                       A in the same frame, so that the line between the two can be
                                     drawn

Of more models, or for a method that brings any number together:

DIR/1-NAME/, 2-NAME/, ...   each model in the common frame, with card.json, alignment.safetensors
    merged/                 the mean of them, a model of the same class
    report.json             classes, objective, function errors, cycle error, seconds
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NotRequired, TypedDict, cast

from lmc_core import __version__
from lmc_core.cli.align_lazily import open_lazily
from lmc_core.cli.barrier import list_passed
from lmc_core.cli.computing import choose_classes, make_notes, say_memory
from lmc_core.cli.folder import (
    check_folder,
    check_type,
    replacing,
    require_apart,
    write_json,
    write_model,
)
from lmc_core.cli.output import facts, list_notes, print_json
from lmc_core.cli.progress import ProgressBar
from lmc_core.errors import BadInput, UnknownName
from lmc_core.figures.text import classes_sentence
from lmc_core.matching.aligned import AlignedPair
from lmc_core.matching.many import AlignedModels
from lmc_core.matching.methods import MANY_METHODS, METHODS, find_method
from lmc_core.models.load import load
from lmc_core.models.model import Model
from lmc_core.models.sameness import common_weights
from lmc_core.models.written import Outputs
from lmc_core.numbers import describe_change, number, seconds
from lmc_core.runs import cache
from lmc_core.runs.cost import estimate_memory
from lmc_core.runs.inputs import CHECKED, open_data, open_inputs
from lmc_core.runs.kinds import MatcherReport, Scalar, SharedWeights
from lmc_core.runs.kinds.barrier import make_request
from lmc_core.runs.kinds.many import make_group_request
from lmc_core.runs.request import ModelsRequest
from lmc_core.symmetry.alignment import Alignment
from lmc_core.tasks import Task
from lmc_core.tasks.class_order import in_one_order, in_order_of


class Beginning(TypedDict):
    """What reports say first."""

    models: list[str]  # names
    references: list[str]
    digests: list[str]
    same: list[SharedWeights]
    task: str
    notes: list[str]
    method: str


class Middle(TypedDict):
    """What reports say of the matching."""

    classes: dict[str, str]
    objective: list[float]
    objective_before: float | None
    start: str | None


class End(TypedDict):
    """What reports say last."""

    seconds: float
    versions: dict[str, str]
    date: str


class Report(Beginning, Middle, End):
    """What `report.json` holds, and --json prints."""

    settings: NotRequired[dict[str, Scalar]]  # of several models
    found: NotRequired[MatcherReport]
    function_error: NotRequired[float]  # of two models
    function_errors: NotRequired[list[float]]  # of several
    cycle_error: NotRequired[float]
    folders: NotRequired[list[str]]  # of several models
    dtype: NotRequired[str]
    written_errors: NotRequired[list[float]]


@dataclass(frozen=True)
class Written:
    """A model that is written.

    Attributes:
        model: in the common frame.
        folder: in the one that was named.
        name: for its card.
        alignment: what moved it; None for a model that stayed, and for the mean.
    """

    model: Model
    folder: str
    name: str
    alignment: Alignment | None = None


def run(arguments: argparse.Namespace) -> None:
    """Align, write, and say what the function check measured."""
    models = [arguments.a, arguments.b, *arguments.more]
    method = arguments.method or ("universe" if arguments.more else "weight")
    if method in METHODS and arguments.more:
        raise BadInput(
            f"The method {method} moves one model onto another and {len(models)} came; "
            f"use {' or '.join(MANY_METHODS)}, or name two models."
        )
    if method in MANY_METHODS and arguments.through:
        raise BadInput(
            f"--through is for a method that moves one model onto another; {method} came."
        )
    if method not in (*METHODS, *MANY_METHODS):
        raise UnknownName.of("method", method, (*METHODS, *MANY_METHODS))
    find_method(method).configured(dict(arguments.settings))  # before anything is read
    out: Path = arguments.out.absolute()
    check_folder(out, arguments.force)
    check_type(arguments.dtype)
    require_apart(out, models)
    align = align_models if method in MANY_METHODS else align_two
    with ProgressBar() as bar:
        written, report, outputs = align(models, method, arguments, bar)
        with replacing(out) as draft:
            for each in written:
                write_model(each.model, draft / each.folder, each.name, arguments.dtype)
                if each.alignment is not None:
                    each.alignment.save(draft / each.folder / "alignment.safetensors")
            folders = [draft / each.folder for each in written]
            del written, each  # the check reads the files one by one, and needs the room
            checked = [
                outputs.error_as_written(k, folders[k]) for k in range(len(report["models"]))
            ]
            report["dtype"] = ", ".join(dict.fromkeys(words for _, words in checked))
            report["written_errors"] = [error for error, _ in checked]
            write_json(draft / "report.json", report)
    if arguments.json:
        return print_json({**report, "out": str(out)})
    print(summarize(report, make_notes(report, models), out))


Aligned = tuple[list[Written], Report, Outputs]


def align_two(
    references: Sequence[str], method: str, arguments: argparse.Namespace, bar: ProgressBar
) -> Aligned:
    """Align two models as `lmc barrier` does.

    Args:
        references: of A, which stays, and B.
        method: a name in `METHODS`.
        arguments: with everything else.
        bar: where to report.

    Returns:
        The models to write, the report, and what both computed before.
    """
    # the examples are for the function check alone, so that models without a head can be aligned
    # too
    opened = None
    if arguments.through is None:  # else the checkpoints are held one pair at a time, and the ends
        opened = open_lazily(references, method, arguments.device, arguments.length)
    request = make_request(
        *references,
        task=arguments.task,
        length=arguments.length,
        classes=choose_classes(arguments.b, arguments.classes),
        method=method,
        settings=dict(arguments.settings),
        learn=arguments.learn,
        seed=arguments.seed,
        device=arguments.device,
        examples=CHECKED,
        measured=False,
        models=None if opened is None else (opened.models[0], opened.models[1]),
        through=arguments.through,
    )
    say_memory(bar, estimate_memory(request).align if opened is None else opened.needed)
    if opened is None:  # not shared: written into
        first, second = (load(reference) for reference in references)
    else:
        first, second = opened.models
    models = first, in_order_of(first, second)
    same = common_weights(models)  # before the alignment writes into them
    task, examples = open_data(request, models)
    outputs = Outputs.of(models, examples.first(CHECKED).inputs)
    pair = cache.aligned_pair(request, models, examples, task, bar.report)
    report: Report = {
        **_begin(request, task, same),
        **_describe_matching(request, pair),
        "function_error": pair.function_error,
        **_end(pair),
    }
    if pair.trace.about:
        report["found"] = MatcherReport(**pair.trace.about)
    a, b = request.names
    left, right = pair.written
    written = [
        Written(left, "reference", f"{a} (reference)"),
        Written(right, ".", f"{b} onto {a}", pair.alignment),
    ]
    return written, report, outputs


def align_models(
    references: Sequence[str], method: str, arguments: argparse.Namespace, bar: ProgressBar
) -> Aligned:
    """Align any number of models; see `align_two`.

    Args:
        references: of two models or more.
        method: a name in `MANY_METHODS`.
        arguments: with everything else.
        bar: where to report.
    """
    settings = dict(arguments.settings)
    opened = open_lazily(references, method, arguments.device, arguments.length, settings)
    request = make_group_request(
        references,
        task=arguments.task,
        length=arguments.length,
        classes=choose_classes(references[0], arguments.classes),
        method=method,
        settings=settings,
        learn=arguments.learn,
        seed=arguments.seed,
        device=arguments.device,
        examples=CHECKED,
        measured=False,
        models=None if opened is None else opened.models,
    )
    say_memory(bar, estimate_memory(request).peak if opened is None else opened.needed)
    if opened is None:
        models, task, examples = open_inputs(request)
    else:
        models = in_one_order(opened.models)
        task, examples = open_data(request, models)
    same = common_weights(models)
    outputs = Outputs.of(models, examples.first(CHECKED).inputs)
    aligned = cache.align_models(request, models, examples, task, bar.report)
    report: Report = {
        **_begin(request, task, same),
        "settings": dict(request.settings),
        **_describe_matching(request, aligned),
        "found": MatcherReport(**aligned.trace.about),
        "function_errors": list(aligned.function_errors),
        "cycle_error": aligned.cycle_error,
        **_end(aligned),
    }
    written = [
        Written(model, f"{k}-{_make_name(name)}", f"{name} (aligned)", alignment)
        for k, (model, name, alignment) in enumerate(
            zip(aligned.written, request.names, aligned.alignments, strict=True), 1
        )
    ]
    report["folders"] = [each.folder for each in written]
    mean = Written(aligned.centre, "merged", f"mean of {', '.join(request.names)}")
    return [*written, mean], report, outputs


def _make_name(name: str) -> str:
    """The name of a model as that of a folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)


def _begin(request: ModelsRequest, task: Task, same: Sequence[Mapping[str, object]]) -> Beginning:
    return {
        "models": list(request.names),
        "references": list(request.models),
        "digests": list(request.digests),
        "same": cast(list[SharedWeights], same),
        "task": task.name,
        "notes": list(task.notes),
        "method": request.method,
    }


def _describe_matching(request: ModelsRequest, aligned: AlignedPair | AlignedModels) -> Middle:
    return {
        "classes": dict(request.classes),
        "objective": list(aligned.trace.objective),
        "objective_before": aligned.trace.before,
        "start": aligned.trace.start,
    }


def _end(aligned: AlignedPair | AlignedModels) -> End:
    return {
        "seconds": aligned.seconds,
        "versions": {"lmc": __version__},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def summarize(report: Report, said: Sequence[str], out: Path) -> str:
    """The report in words with units.

    Args:
        report: that was written.
        said: what a person should know beside it.
        out: the folder.
    """
    names, folders = report["models"], report.get("folders")
    errors = report.get("function_errors") or [report.get("function_error", 0.0)]
    change = describe_change(max(errors), ", of any model" if folders else "")
    rounded = number(max(report.get("written_errors") or [0.0]), digits=2)
    pairs = [
        ("models", ", ".join(names)) if folders else ("moved", f"{names[1]} onto {names[0]}"),
        *list_notes(said),
        ("classes", classes_sentence(report["classes"])),
        ("function", f"{change}, {rounded} as written in {report.get('dtype')}"),
    ]
    if folders:
        cycle = number(report.get("cycle_error"), digits=2)
        pairs.append(("cycles", f"maps around a cycle differ from the identity by {cycle} at most"))
    before, objective = report["objective_before"], report["objective"]
    if objective and before is not None:
        words = f"{before:.4f} before, {objective[-1]:.4f} after (at most 1)"
        pairs.append(("objective", words))
    pairs += list_passed(report.get("found") or {})
    pairs.append(("time", f"{seconds(report['seconds'])} to align"))
    pairs.append(("written", f"{out}: {', '.join(folders)}, merged" if folders else str(out)))
    return facts(pairs)
