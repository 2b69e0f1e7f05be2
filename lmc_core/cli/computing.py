"""What the commands that compute share: an executor, a progress bar, classes, and notes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, TypeVar

from lmc_core.cli.progress import ProgressBar
from lmc_core.errors import BadInput
from lmc_core.figures.text import same_weights
from lmc_core.matching.methods import find_method
from lmc_core.numbers import seconds, size
from lmc_core.progress import Progress, part
from lmc_core.registry import import_later
from lmc_core.runs import Executor, Queued, Request, get_executor
from lmc_core.runs.kinds import Seconds
from lmc_core.runs.remembered import Remembered, file_notes, lower_classes
from lmc_core.runs.request import ModelsRequest
from lmc_core.runs.result import Result
from lmc_core.symmetry.spaces import SymmetryClass

P = ParamSpec("P")
R = TypeVar("R")
estimate_memory = import_later("lmc_core.runs.cost:estimate_memory")


class Run(ProgressBar):
    """A context in which requests are computed by the executor that was asked for, or read from
    the store, with a progress bar on standard error.

    Args:
        arguments: with `executor` and `fresh`.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        super().__init__()
        self.fresh: bool = arguments.fresh
        self.executor: Executor = get_executor(arguments.executor)
        if isinstance(self.executor, Queued):
            self.executor.cancel_on_interrupt = True

    def make(self, maker: Callable[P, R], *args: P.args, **named: P.kwargs) -> R:
        """Make a request, or take the one that was made of the same words where its result is
        stored and wanted; says how much memory it takes where it is computed.
        """
        if not isinstance(maker, Remembered):
            return maker(*args, **named)
        return maker.again(*args, **named) if self.fresh else maker(*args, **named)

    def compute(self, request: Request, progress: Progress | None = None) -> Result:
        """Return the result of a request; Ctrl-C also cancels it in a worker."""
        return self.executor.run(request, progress or self.report, fresh=self.fresh)

    def part(self, low: float, high: float, label: str) -> Progress:
        """The progress of a part of the work, whose words follow the label."""
        told = part(self.report, low, high)
        return lambda share, words: told(share, f"{label}: {words}")


def require_used(arguments: argparse.Namespace, advice: str) -> None:
    """Refuse options of an alignment where nothing is aligned, and settings that make no sense,
    before any file of a model is looked at.

    Args:
        arguments: with `method`, `classes` and `settings`.
        advice: what to do instead.
    """
    if arguments.method == "none" and (arguments.classes or arguments.settings):
        raise BadInput(f"--class and --set have no effect with --method none; {advice}.")
    if arguments.method != "none":
        find_method(arguments.method).configured(dict(arguments.settings))


def choose_classes(reference: str, choices: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Turn repeated SPACE=CLASS into kind of space -> class; no weights are read.

    `all` lowers every space to at most its class; a space that is named wins over it, and the last
    choice over earlier ones.

    Args:
        reference: of a model whose spaces are meant.
        choices: as they were typed.
    """
    named = {space: chosen for space, chosen in choices if space != "all"}
    lowered = [SymmetryClass.parse(chosen) for space, chosen in choices if space == "all"]
    return lower_classes(reference, lowered[-1].value) | named if lowered else named


def say_memory(bar: ProgressBar, count: int) -> None:
    """Tell how many bytes a run takes at the most, before it begins."""
    bar.report(0.0, f"about {size(count)} of memory are needed")


def announce(bar: Run, requests: Sequence[ModelsRequest]) -> None:
    """Tell how many bytes the largest of some runs takes, before they begin; nothing where their
    results are stored.
    """
    store = bar.executor.store
    todo = [each for each in requests if bar.fresh or store.get(each.key) is None]
    if todo:
        say_memory(bar, max(estimate_memory(each).peak for each in todo))


def make_notes(result: Mapping[str, object], references: Sequence[str]) -> list[str]:
    """What a person should know beside the numbers: files that disagree, models that hold the same,
    how data was given.

    Args:
        result: of some models.
        references: of them, as they were asked for now.
    """
    files = [note for reference in dict.fromkeys(references) for note in file_notes(reference)]
    said = result.get("notes")
    return [*files, *same_weights(result), *(said if isinstance(said, list) else ())]


def with_notes(result: Mapping[str, object], said: Sequence[str]) -> dict[str, object]:
    """The entries of a result, and notes where there are any."""
    return {**result, **({"notes": list(said)} if said else {})}


def describe_windows(result: Mapping[str, object]) -> str:
    """How long the texts of a result are, to follow their number; "" for images."""
    if not result.get("length"):
        return ""
    # whole texts, of which the longer are cut
    most = "at most " if result.get("score") == "accuracy" else ""
    return f" of {most}{result['length']} tokens"


def describe_time(spent: Seconds) -> str:
    """Seconds to align and to evaluate, in words."""
    return f"{seconds(spent.get('align'))} to align, {seconds(spent.get('evaluate'))} to evaluate"
