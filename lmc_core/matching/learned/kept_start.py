"""The alignment that a learned one goes on from, kept beside its checkpoint: an interrupted run
does not search for it again.

    <checkpoint>.start.safetensors     the alignment
    <checkpoint>.start.json            what the search said, and what it was about

It is small beside the models, and of large ones takes minutes to find.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from lmc_core.atomic import new_file
from lmc_core.errors import LmcError
from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.trace import Trace
from lmc_core.symmetry.alignment import Alignment
from lmc_core.tasks.task import InMemory

Found = tuple[Alignment, Trace]


def kept_start(given: MatcherInput, method: str, find: Callable[[], Found]) -> Found:
    """Return the start of a run: what an interrupted one found, or what is found now, which is then
    kept.

    Args:
        given: that is learned from; without a checkpoint nothing is kept.
        method: by which the start is found.
        find: does so.
    """
    if given.checkpoint is None:
        return find()
    place, said = _places(given.checkpoint)
    known = _known(given, method)
    # missing, damaged, or of another version
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, LmcError):
        content = json.loads(said.read_text(encoding="utf-8"))
        if content.pop("known") == known:
            return Alignment.load(place), Trace(
                **{**content, "objective": tuple(content["objective"])}
            )
    start, trace = find()
    with contextlib.suppress(OSError):  # no space: then it is found again
        said.unlink(missing_ok=True)
        for path, write in (
            (place, start.save),
            (said, lambda path: _write(path, {**asdict(trace), "known": known})),
        ):
            with new_file(path) as draft:
                write(draft)
    return start, trace


def forget_start(given: MatcherInput) -> None:
    """Remove what `kept_start` kept, once what was learned from there is whole."""
    for path in _places(given.checkpoint) if given.checkpoint is not None else ():
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _places(checkpoint: Path) -> tuple[Path, Path]:
    return checkpoint.with_suffix(".start.safetensors"), checkpoint.with_suffix(".start.json")


def _known(given: MatcherInput, method: str) -> list[object]:
    """What tells this start from others that could lie at the same place."""
    named = {kind: chosen.value for kind, chosen in given.classes.items()}
    seen = (
        None
        if given.train is None
        else InMemory(given.train).digest(torch.arange(len(given.train)))
    )
    known: list[object] = [method, given.a.digest, given.b.digest, named, given.seed, seen]
    return known if given.start is None else [*known, given.start.digest]


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
