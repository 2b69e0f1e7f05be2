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
from typing import Any

from lmc_core.cli.folder import check_type
from lmc_core.cli.merge_arguments import STAND_INS
from lmc_core.cli.output import facts, noted, notes, print_json, table, windows
from lmc_core.cli.pair import chosen_classes
from lmc_core.cli.progress import Progress
from lmc_core.errors import BadInput


def run(arguments: argparse.Namespace) -> None:
    """Compute, or read from the store; print, and write where that was asked for."""
    from lmc_core.merging.methods import MERGES

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
    requests = _requests(arguments, with_settings(merges, arguments.settings), frames)
    if arguments.out is not None:
        return _write(arguments, replace(requests[0], dtype=arguments.dtype or ""))
    from lmc_core.numbers import size
    from lmc_core.runs import Local, get_executor
    from lmc_core.runs.ask import memory_of_group

    executor = get_executor(arguments.executor)
    if isinstance(executor, Local):
        executor.cancel_on_interrupt = True
    results = []
    with Progress() as progress:
        moves, learns = (
            any(r.method != "none" for r in requests),
            any(r.learn is not None for r in requests),
        )
        progress.report(
            0.0,
            f"about {size(memory_of_group(requests[0].models, moves, learns))} of memory are "
            "needed",
        )
        for number, request in enumerate(requests):

            def report(
                share: float, words: str, number: int = number, request: Any = request
            ) -> None:
                progress.report((number + share) / len(requests), f"{frames[number]}: {words}")

            results.append(executor.run(request, report, fresh=arguments.fresh).result)
    said = notes(results[0], arguments.models)
    if arguments.json:
        return print_json([result | ({"notes": said} if said else {}) for result in results])
    print(summary(results, said))


def with_settings(
    merges: Sequence[str], settings: Sequence[tuple[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Give every setting to the methods that have it: density=0.5 to all that have a density,
    ties.density=0.5 to one.

    Raises:
        BadInput: for a setting that none of the methods has.
    """
    from lmc_core.merging.methods import MERGES

    found: dict[str, dict[str, Any]] = {name: {} for name in dict.fromkeys(merges)}
    for setting, value in settings:
        one, dot, name = setting.rpartition(".")
        wanted = [one] if dot else list(found)
        takers = [
            m
            for m in wanted
            if m in found and name in {field.name for field in fields(MERGES[m].settings)}
        ]
        if not takers:
            known = sorted(
                {field.name for m in wanted if m in found for field in fields(MERGES[m].settings)}
            )
            there = ", ".join(known) or "none"
            raise BadInput(
                f"None of the methods {', '.join(wanted)} has a setting {name!r}; there are: "
                f"{there}."
            )
        for taker in takers:
            found[taker][name] = value
    return found


def _requests(
    arguments: argparse.Namespace, merges: dict[str, dict[str, Any]], frames: Sequence[str]
) -> list[Any]:
    from lmc_core.runs.kinds.merge import make_merge_requests

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
        classes=chosen_classes(arguments.models[0], arguments.classes),
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
    from lmc_core.cli.folder import check_folder, require_apart

    if len(merges) != 1 or len(frames) != 1:
        raise BadInput("--out writes one model; name one --method and one --frame.")
    out: Path = arguments.out.absolute()
    check_folder(out, False)
    require_apart(out, arguments.models)


def _write(arguments: argparse.Namespace, request: Any) -> None:
    """Merge in the one way that was asked for, and write the checkpoint."""
    from lmc_core.figures.merge_rows import best_row, shown, unit_of
    from lmc_core.merging.checkpoint import write_merged
    from lmc_core.numbers import number
    from lmc_core.runs.kinds.merge_save import produce

    out: Path = arguments.out.absolute()
    with Progress() as progress:
        made = produce(request, progress.report, out.name)
        if out.is_dir():
            out.rmdir()  # it is empty
        written = write_merged(made.model, out, made.card, arguments.dtype, made.unrounded)
    result = made.result
    if arguments.json:
        return print_json({**result, "out": str(out), "written": written})
    row = best_row([result], result["task"]) if result["tasks"] else None
    first = result["rows"][0]
    loss = (
        f"{shown(row.numbers, 'loss')} {unit_of([result], result['task'])} ({result['split']} "
        "split)"
        if row
        else ""
    )
    print(
        facts(
            [
                ("models", ", ".join(result["models"])),
                *noted(notes(result, arguments.models)),
                ("merged", f"{first['title']}, {result['frame_title']}"),
                *_function(result),
                *([("loss", loss)] if loss else []),
                (
                    "rounding",
                    f"outputs changed by {number(written['rounding'], digits=2)} (relative) in "
                    f"{written['dtype']}",
                ),
                ("written", str(out)),
            ]
        )
    )


def _function(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    from lmc_core.numbers import number

    if not result["function_errors"]:
        return []
    worst = number(max(result["function_errors"]), digits=2)
    return [("function", f"outputs of the moved models changed by {worst} (relative, at most)")]


def summary(results: Sequence[Mapping[str, Any]], said: Sequence[str] = ()) -> str:
    """The results in words with units: what was merged, notes on it, a table for each task,
    barriers between pairs.
    """
    from lmc_core.figures.merge_rows import (
        MARK,
        height_words,
        kept_words,
        merged_rows,
        people_table,
        unit_of,
    )
    from lmc_core.figures.text import classes_sentence, origin_words
    from lmc_core.numbers import seconds

    first = results[0]
    weights = ", ".join(f"{weight:.2f}" for weight in first["weights"])
    chosen = next((classes_sentence(r["classes"]) for r in results if r["classes"]), "")
    base = (
        first["ancestor"]["name"]
        if first["ancestor"]
        else {"mean": "the mean of the models", "first": "the first model"}[first["stand_in"]]
    )
    assumes = any(row["ancestor"] for row in first["rows"])
    pairs = [
        ("models", ", ".join(first["models"])),
        *noted(said),
        ("weights", weights),
        ("data", f"{first['split']} split, {first['examples']:,} examples{windows(first)}"),
        *([("classes", chosen)] if chosen else []),
        *(
            [
                (
                    f"{MARK} from",
                    base if first["ancestor"] else f"{base}, which stands in for a common ancestor",
                )
            ]
            if assumes
            else []
        ),
    ]
    for result in results:
        took = (
            f"{seconds(result['seconds']['align'])} to align, "
            f"{seconds(result['seconds']['evaluate'])} to evaluate"
        )
        worst = [value for row in result["lines"]["barrier"] for value in row if value is not None]
        words = (
            f"centre {height_words(result)} above the models, barriers of pairs up to "
            f"{max(worst):.3f}; {took}"
        )
        pairs.append((result["frame_title"], words + origin_words(result)))
    parts = [facts(pairs)]
    for task in first["tasks"]:
        found = people_table(results, task["name"])
        parts.append(
            f"{task['name']}\n{table(found.header, found.rows, left=2)}\nLoss in "
            f"{unit_of(results, task['name'])}."
        )
    kept = kept_words(merged_rows(results, first["task"]))
    return "\n\n".join([*parts, *(["\n".join(kept)] if kept else [])])
