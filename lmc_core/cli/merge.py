"""`lmc merge A B C --method ties --frame universe`: several models made one, by every method and in
every frame side by side.

With --out the one model that is asked for is written as an ordinary checkpoint, with a card.json
that says where it came from.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import cast

from lmc_core.cli.arguments import STAND_INS
from lmc_core.cli.computing import (
    Run,
    choose_classes,
    describe_time,
    describe_windows,
    make_notes,
    say_memory,
    with_notes,
)
from lmc_core.cli.folder import check_folder, check_type, require_apart
from lmc_core.cli.merge_streamed import streams, write_streamed
from lmc_core.cli.options import Setting
from lmc_core.cli.output import facts, list_notes, print_json, table
from lmc_core.cli.progress import ProgressBar
from lmc_core.errors import BadInput
from lmc_core.figures.merge_rows import (
    MARK,
    best_row,
    find_unit,
    height_words,
    kept_words,
    merged_rows,
    people_table,
    shown,
)
from lmc_core.figures.text import classes_sentence, origin_words
from lmc_core.merging.checkpoint import write_merged
from lmc_core.merging.methods import MERGES
from lmc_core.numbers import number
from lmc_core.runs.cost import estimate_memory
from lmc_core.runs.kinds.merge import make_merge_requests, produce
from lmc_core.runs.requests.merge import MergeNumbers, MergeRequest


def run(arguments: argparse.Namespace) -> None:
    """Compute, or read from the store; print, and write where that was asked for."""
    merges = arguments.methods or list(MERGES)
    frames = arguments.frames or ["none", "universe"]
    check_type(arguments.dtype)
    _require_used(arguments, frames)
    if arguments.dtype is not None and arguments.out is None:
        raise BadInput(
            "--dtype is the type of the weights that --out writes; name a folder with --out, or "
            "leave it out."
        )
    if arguments.out is not None:
        _require_one(arguments, merges, frames)
        if streams(arguments, merges[0], frames[0]):
            settings = give_settings(merges, arguments.settings)[merges[0]]
            return write_streamed(arguments, merges[0], settings, frames[0])
    requests = _make_requests(arguments, give_settings(merges, arguments.settings), frames)
    if arguments.out is not None:
        return _write(arguments, replace(requests[0], dtype=arguments.dtype or ""))
    with Run(arguments) as bar:
        say_memory(bar, max(estimate_memory(request).peak for request in requests))
        share = 1 / len(requests)
        found = [
            bar.compute(request, bar.part(k * share, (k + 1) * share, frames[k]))
            for k, request in enumerate(requests)
        ]
    results = [cast(MergeNumbers, each.result) for each in found]
    said = make_notes(results[0], arguments.models)
    if arguments.json:
        return print_json([with_notes(result, said) for result in results])
    print(summarize(results, said))


def give_settings(
    merges: Sequence[str], settings: Sequence[tuple[str, Setting]]
) -> dict[str, dict[str, Setting]]:
    """Give every setting to the methods that have it: density=0.5 to all that have a density,
    ties.density=0.5 to one.

    Raises:
        BadInput: for a setting that none of the methods has.
    """
    has = {name: {field.name for field in fields(MERGES[name].settings)} for name in merges}
    found: dict[str, dict[str, Setting]] = {name: {} for name in has}
    for setting, value in settings:
        one, dot, name = setting.rpartition(".")
        wanted = [one] if dot else list(has)
        takers = [each for each in wanted if name in has.get(each, ())]
        if not takers:
            known = sorted({each for method in wanted for each in has.get(method, ())})
            raise BadInput(
                f"None of the methods {', '.join(wanted)} has a setting {name!r}; there are: "
                f"{', '.join(known) or 'none'}."
            )
        for taker in takers:
            found[taker][name] = value
    return found


def _make_requests(
    arguments: argparse.Namespace,
    merges: Mapping[str, Mapping[str, Setting]],
    frames: Sequence[str],
) -> list[MergeRequest]:
    """One request for each frame."""
    base = arguments.base
    return make_merge_requests(
        arguments.models,
        frames=frames,
        merges=merges,
        weights=arguments.weights or (),
        ancestor=None if base in STAND_INS else base,
        stand_in=base if base in STAND_INS else "mean",
        onto=arguments.onto,
        **({} if arguments.steps is None else {"steps": arguments.steps}),
        classes=choose_classes(arguments.models[0], arguments.classes),
        task=arguments.task,
        split=arguments.split,
        examples=arguments.examples,
        seed=arguments.seed,
        length=arguments.length,
        points=arguments.points,
        resolution=arguments.resolution,
        device=arguments.device,
        learn=arguments.learn,
        measured=arguments.out is None,
    )


def _require_used(arguments: argparse.Namespace, frames: Sequence[str]) -> None:
    """Refuse options of a frame that is not asked for, which would do nothing."""
    for option, value, frame in (
        ("--steps", arguments.steps, "learned"),
        ("--learn", arguments.learn, "learned"),
        ("--onto", arguments.onto or None, "reference"),
    ):
        if value is not None and frame not in frames:
            raise BadInput(
                f"{option} is for the frame {frame}; add --frame {frame}, or leave {option} out."
            )


def _require_one(
    arguments: argparse.Namespace, merges: Sequence[str], frames: Sequence[str]
) -> None:
    """--out takes one way to merge in one frame, and a folder that can be made."""
    if len(merges) != 1 or len(frames) != 1:
        raise BadInput("--out writes one model; name one --method and one --frame.")
    out: Path = arguments.out.absolute()
    check_folder(out, False)
    require_apart(out, arguments.models)


def _write(arguments: argparse.Namespace, request: MergeRequest) -> None:
    """Merge in the one way that was asked for, and write the checkpoint."""
    out: Path = arguments.out.absolute()
    with ProgressBar() as bar:
        made = produce(request, out.name, bar.report)
        if out.is_dir():
            out.rmdir()  # it is empty
        written = write_merged(made.model, out, made.card, arguments.dtype, made.unrounded)
    result = cast(MergeNumbers, made.result)
    if arguments.json:
        return print_json({**result, "out": str(out), "written": written})
    pairs = [
        ("models", ", ".join(result["models"])),
        *list_notes(make_notes(result, arguments.models)),
        ("merged", f"{result['rows'][0]['title']}, {result['frame_title']}"),
    ]
    if result["function_errors"]:
        worst = number(max(result["function_errors"]), digits=2)
        words = f"outputs of the moved models changed by {worst} (relative, at most)"
        pairs.append(("function", words))
    if result["tasks"] and (row := best_row([result], result["task"])):
        unit = find_unit([result], result["task"])
        pairs.append(("loss", f"{shown(row.numbers, 'loss')} {unit} ({result['split']} split)"))
    rounding = number(cast("float | None", written["rounding"]), digits=2)
    words = f"outputs changed by {rounding} (relative) in {written['dtype']}"
    print(facts([*pairs, ("rounding", words), ("written", str(out))]))


def summarize(results: Sequence[MergeNumbers], said: Sequence[str] = ()) -> str:
    """The results in words with units: what was merged, notes on it, a table for each task,
    barriers between pairs.
    """
    first = results[0]
    windows = describe_windows(first)
    pairs = [
        ("models", ", ".join(first["models"])),
        *list_notes(said),
        ("weights", ", ".join(f"{weight:.2f}" for weight in first["weights"])),
        ("data", f"{first['split']} split, {first['examples']:,} examples{windows}"),
    ]
    if chosen := next((classes_sentence(r["classes"]) for r in results if r["classes"]), ""):
        pairs.append(("classes", chosen))
    if any(row["ancestor"] for row in first["rows"]):
        pairs.append((f"{MARK} from", _describe_ancestor(first)))
    pairs += [
        (result["frame_title"], _describe_frame(result) + origin_words(result))
        for result in results
    ]
    parts = [facts(pairs)]
    for task in first["tasks"]:
        found = people_table(results, task["name"])
        unit = find_unit(results, task["name"])
        rows = table(found.header, [[str(cell) for cell in row] for row in found.rows], left=2)
        parts.append(f"{task['name']}\n{rows}\nLoss in {unit}.")
    kept = kept_words(merged_rows(results, first["task"]))
    return "\n\n".join([*parts, *(["\n".join(kept)] if kept else [])])


def _describe_ancestor(result: MergeNumbers) -> str:
    """The common ancestor that some methods assume, or what stands in for it."""
    if result["ancestor"]:
        return result["ancestor"]["name"]
    names = {"mean": "the mean of the models", "first": "the first model"}
    return f"{names[result['stand_in'] or 'mean']}, which stands in for a common ancestor"


def _describe_frame(result: MergeNumbers) -> str:
    """Barriers in one frame, and what it took, in words."""
    lines = result["lines"]
    barriers = lines["barrier"] if lines else []
    worst = max((value for row in barriers for value in row if value is not None), default=0.0)
    return (
        f"centre {height_words(result)} above the models, barriers of pairs up to {worst:.3f}; "
        f"{describe_time(result.get('seconds') or {})}"
    )
