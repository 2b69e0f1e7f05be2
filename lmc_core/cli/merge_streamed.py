"""`lmc merge A B --method ties --frame universe --out DIR` of models that are large: brought
together by their weights, merged parameter by parameter, and measured part by part where a task is
known, without being held.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from lmc_core.analysis.lazy_memory import can_be_lazy, estimate_group_maps, estimate_lazy_group_of
from lmc_core.analysis.memory import require_room
from lmc_core.cli.arguments import STAND_INS
from lmc_core.cli.computing import choose_classes
from lmc_core.cli.merge_scores import find_tasks
from lmc_core.cli.options import Setting
from lmc_core.cli.output import facts, list_notes, print_json
from lmc_core.cli.progress import ProgressBar
from lmc_core.matching.many import AlignedModels
from lmc_core.merging.checkpoint import add_scores
from lmc_core.merging.frames import frame_settings, get_frame
from lmc_core.merging.methods import MERGES
from lmc_core.merging.streamed import estimate_streamed, is_large, write_streamed_merge
from lmc_core.models.common import in_float32
from lmc_core.models.load import load, load_folder
from lmc_core.models.model import Model
from lmc_core.numbers import describe_change, size
from lmc_core.progress import Progress, part
from lmc_core.runs import cache
from lmc_core.runs.inputs import CHECKED, find_device, make_stamp, open_data
from lmc_core.runs.kinds.many import make_group_request, require_number
from lmc_core.runs.request import WINDOW, Data
from lmc_core.tasks.class_order import in_one_order

MERGED = 0.6  # of the progress, where measuring begins


def streams(arguments: argparse.Namespace, method: str, frame: str) -> bool:
    """Whether the models are too large to be held, and neither the frame nor the way to merge
    needs that; says so where only these do.
    """
    references = _list_references(arguments)
    if not is_large(references):
        return False
    kind, what = get_frame(frame), ""
    if kind.learns:
        what = "aligned on examples"
    elif kind.method != "none" and find_device(arguments.device) != "cpu":
        what = "aligned on an accelerator"
    elif kind.method != "none" and not can_be_lazy(references):
        what = "aligned and not alike"
    elif MERGES[method].chooses is not None:
        what = "measured to choose among them"
    if what:
        print(f"These models are large, and held whole because they are {what}.", file=sys.stderr)
    return not what


def _list_references(arguments: argparse.Namespace) -> list[str]:
    """The models that are merged, and their ancestor where one is named."""
    return [*arguments.models, *([] if arguments.base in STAND_INS else [arguments.base])]


def _estimate(
    arguments: argparse.Namespace,
    models: Sequence[Model],
    ancestor: Model | None,
    method: str,
    moved: bool,
) -> int:
    """Bytes that merging takes, and where models are `moved` bringing them together before, with
    what they are moved by.
    """
    if not moved:
        return estimate_streamed(models, ancestor, method)
    base = None if ancestor is None else in_float32(ancestor)
    count = len(models) + (ancestor is not None)
    merging = estimate_streamed([in_float32(model) for model in models], base, method)
    aligning = estimate_lazy_group_of(
        _list_references(arguments), CHECKED, arguments.length or WINDOW, arguments.onto > 0
    )
    return max(merging + estimate_group_maps(models[0].layout, count), aligning)


def _bring_together(
    arguments: argparse.Namespace, frame: str, models: Sequence[Model], progress: Progress
) -> AlignedModels:
    """Lazily read models in the frame that is asked for, as `lmc align` brings them there.

    Args:
        arguments: of the command.
        frame: name of one that goes by weights.
        models: to be merged, and then their ancestor.
        progress: told the share done and a few words; may raise to stop.
    """
    kind, references = get_frame(frame), _list_references(arguments)
    request = make_group_request(
        references,
        task=arguments.task,
        length=arguments.length,
        classes=choose_classes(references[0], arguments.classes),
        method=kind.method,
        settings=frame_settings(kind, arguments.onto, 0),
        seed=arguments.seed,
        device=arguments.device,
        examples=CHECKED,
        measured=False,
        models=models,
    )
    task, examples = open_data(request, models)
    return cache.align_models(request, models, examples, task, progress)


def write_streamed(
    arguments: argparse.Namespace, method: str, settings: Mapping[str, Setting], frame: str
) -> None:
    """Bring models together where that is asked for, merge and write them parameter by parameter,
    measure them and what was merged where a task is known, and print what was done.
    """
    out: Path = arguments.out.absolute()
    named = arguments.base not in STAND_INS
    require_number(arguments.models, " besides their ancestor" if named else "", int(named))
    moves = get_frame(frame).method != "none"
    with ProgressBar() as bar:
        bar.report(0.0, "reading")
        models = [load(each, lazy=True) for each in arguments.models]
        ancestor = load(arguments.base, lazy=True) if named else None
        data = arguments.task, arguments.split, arguments.examples, arguments.seed, arguments.length
        known = find_tasks(models, Data(*data))
        memory = max(_estimate(arguments, models, ancestor, method, moves), known.estimate())
        require_room(memory, "Merging these models")
        done = f"measured on {known.words}" if known.words else "not measured"
        words = f"merged parameter by parameter in about {size(memory)} of memory; {done}"
        bar.report(0.0, words)
        originals = [*models, *([] if ancestor is None else [ancestor])]
        origin: dict[str, object] = {"frame": frame}
        merging = part(bar.report, 0.0, MERGED if known.tasks else 1.0)
        if moves:
            originals = in_one_order(originals)
            aligned = _bring_together(arguments, frame, originals, part(merging, 0.0, 0.8))
            models = list(aligned.written[: len(models)])
            ancestor = None if ancestor is None else aligned.written[-1]
            origin["function_errors"] = list(aligned.function_errors)
            origin["cycle_error"] = aligned.cycle_error
        if out.is_dir():
            out.rmdir()  # it is empty
        stamp = make_stamp()
        card = write_streamed_merge(
            models,
            out,
            method,
            weights=arguments.weights or (),
            ancestor=ancestor,
            stand_in="mean" if named else arguments.base,
            settings=settings,
            dtype=arguments.dtype,
            about={"versions": stamp["versions"], "date": stamp["date"]},
            progress=part(merging, 0.8 * moves, 1.0, words),
            frame=origin,
            originals=originals,
        )
        scores = []
        if known.tasks:  # the model is there, also where measuring is stopped
            scores = known.measure(load_folder(out, lazy=True), part(bar.report, MERGED, 1.0))
            card |= add_scores(out, known.split, scores)
    notes = [*(note for model in models for note in model.notes), *known.notes]
    if arguments.json:
        return print_json({**card, "notes": notes, "memory": memory, "out": str(out)})
    print(_summarize(card, [model.name for model in known.models], notes, memory, out, known.words))
    if scores:
        names = [*(model.name for model in known.models), f"merged: {out.name}"]
        print(f"\n{known.tabulate(names, scores)}")


def _summarize(
    card: Mapping[str, object],
    names: Sequence[str],
    notes: Sequence[str],
    memory: int,
    out: Path,
    measured: str,
) -> str:
    """What was merged, in words with units.

    Args:
        card: of the merged model.
        names: of the models.
        notes: on them.
        memory: bytes that were announced.
        out: where it was written.
        measured: on what, "" for nothing.
    """
    origin = cast(Mapping[str, str], card["merged"])
    how = f"{origin['title']}, {get_frame(origin['frame']).title}, parameter by parameter"
    errors = cast(Mapping[str, list[float]], card["merged"]).get("function_errors", [])
    pairs = [
        ("models", ", ".join(names)),
        *list_notes(notes),
        ("merged", how if measured else f"{how}; nothing was measured"),
        *([("function", describe_change(max(errors), ", of any model"))] if errors else []),
        *([("measured", measured)] if measured else []),
        ("memory", f"at most about {size(memory)}"),
        ("type", cast(Mapping[str, str], card["written"])["dtype"]),
        ("written", str(out)),
    ]
    return facts(pairs)
