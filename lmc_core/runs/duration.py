"""How long runs will take, said before they start: as finished runs of the same kind and size took
on this machine where there are any, else from the count of examples, points and parameters.

What there is to do is counted by `workload`; seconds of finished runs by the same count give a
pace, of which the median over the newest is taken.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from lmc_core.errors import LmcError
from lmc_core.matching.methods import find_method
from lmc_core.runs.workload import (
    PASSES,
    Facts,
    aligning,
    facts_in,
    facts_of,
    measuring,
    steps_of,
    training,
)

if TYPE_CHECKING:
    from lmc_core.runs.request import ModelsRequest
    from lmc_core.runs.result import Result

NEAREST = 5  # finished runs at the most that a pace is taken from
ALIKE = 4.0  # parameters may differ by this factor in runs of one size
# seconds of one core for a forward pass by example (128 tokens) and parameter
PACE = {"images": 5e-10, "text": 4e-9}
STEP = {"images": 3e-7, "text": 6e-7}  # seconds for a step of learning by parameter


@dataclass(frozen=True)
class Expected:
    """How long something will take.

    Attributes:
        seconds: in all.
        measured: whether all of it is known from finished runs of the same kind and size, rather
            than counted.
    """

    seconds: float
    measured: bool


@dataclass(frozen=True)
class Finished:
    """A run that was computed on this machine.

    Attributes:
        request: what was asked.
        result: the numbers, among them seconds.
        facts: what the work depended on.
    """

    request: ModelsRequest
    result: Mapping[str, Any]
    facts: Facts

    @property
    def seconds(self) -> Mapping[str, float]:
        """By part: ``align``, ``evaluate``, ``learn``."""
        return self.result["seconds"]


def finished_runs(entries: Iterable[Result]) -> list[Finished]:
    """Those results that say how long they took here; what came with the app was computed
    elsewhere.

    Args:
        entries: of the store, newest first.
    """
    from lmc_core.runs.computations import request_from_json
    from lmc_core.runs.request import ModelsRequest

    found = []
    for entry in entries:
        try:
            request = request_from_json(entry.request)
            if (
                not entry.shipped
                and isinstance(request, ModelsRequest)
                and entry.result["seconds"]["evaluate"] > 0
            ):
                found.append(Finished(request, entry.result, facts_in(entry.result)))
        except (
            LmcError,
            KeyError,
            TypeError,
        ):  # of another version, or of a kind that measures nothing
            continue
    return found


def expected_seconds(
    requests: Sequence[ModelsRequest], finished: Sequence[Finished]
) -> Expected | None:
    """How long some requests take one after the other; None when nothing tells.

    An alignment or a bend that several of them share counts once, and one that is kept on disk not
    at all.

    Args:
        requests: of any kinds.
        finished: runs on this machine, newest first.
    """
    spans: list[Expected | None] = []
    seen: set[Any] = set()
    for request in requests:
        facts = facts_of(request)
        past = [each for each in finished if each.request.device == request.device]
        spans.append(_measuring(request, facts, past))
        for folder, units in aligning(request, facts).items():
            if folder not in seen and not folder.is_dir():
                spans.append(_aligning(request, facts, units, past))
            seen.add(folder)
        for name, units in training(request, facts).items():
            if name not in seen and not any(
                name in training(each.request, each.facts) for each in past
            ):
                spans.append(_training(request, facts, units, past))
            seen.add(name)
    known = [span for span in spans if span is not None]
    if len(known) < len(spans):
        return None
    return Expected(sum(span.seconds for span in known), all(span.measured for span in known))


def _measuring(request: ModelsRequest, facts: Facts, past: Sequence[Finished]) -> Expected | None:
    units = measuring(request, facts)

    def paces(runs: Sequence[Finished]) -> list[float]:
        return _paces(runs, "evaluate", lambda run: measuring(run.request, run.facts))

    if own := paces(
        _of_size([run for run in past if run.request.what == request.what], request, facts)
    ):
        return Expected(units * median(own), True)
    if request.what not in PASSES:
        return None
    others = [
        run for run in past if run.request.what in PASSES and _data(run.request) == _data(request)
    ]
    return _counted(units, paces(others), PACE[_data(request)], request)


def _aligning(
    request: ModelsRequest, facts: Facts, units: float, past: Sequence[Finished]
) -> Expected | None:
    settings, steps = dict(request.settings), steps_of(request)
    if settings.get("seconds"):
        return Expected(float(settings["seconds"]), True)

    def paces(runs: Sequence[Finished]) -> list[float]:
        return _paces(
            runs,
            "align",
            lambda r: sum(
                aligning(r.request, r.facts, r.result.get("found", {}).get("steps")).values()
            ),
        )

    same = [
        run
        for run in past
        if run.request.method == request.method
        and (steps_of(run.request) is None) == (steps is None)
    ]
    if own := paces(_of_size(same, request, facts)):
        return Expected(units * median(own), True)
    pace = STEP[_data(request)] if steps else find_method(request.method).pace
    return _counted(
        units, paces([run for run in same if _data(run.request) == _data(request)]), pace, request
    )


def _training(
    request: ModelsRequest, facts: Facts, units: float, past: Sequence[Finished]
) -> Expected | None:
    def paces(runs: Sequence[Finished]) -> list[float]:
        return _paces(runs, "learn", lambda run: sum(training(run.request, run.facts).values()))

    if own := paces(_of_size(past, request, facts)):
        return Expected(units * median(own), True)
    others = [run for run in past if _data(run.request) == _data(request)]
    return _counted(units, paces(others), STEP[_data(request)], request)


def _paces(runs: Sequence[Finished], part: str, count: Callable[[Finished], float]) -> list[float]:
    """Seconds by unit of the newest runs that have this part."""
    timed = ((run.seconds.get(part, 0.0), run) for run in runs)
    found = (taken / units for taken, run in timed if taken > 0 and (units := count(run)) > 0)
    return list(itertools.islice(found, NEAREST))


def _counted(
    units: float, others: Sequence[float], constant: float, request: ModelsRequest
) -> Expected | None:
    """By the pace of runs of other kinds or sizes here, else by that of one core of a processor;
    None for other devices.
    """
    if not others and request.device != "cpu":
        return None
    return Expected(units * (median(others) if others else constant), False)


def _of_size(past: Sequence[Finished], request: ModelsRequest, facts: Facts) -> list[Finished]:
    """Runs on the same kind of data by models of about the same size; those whose names differ in
    the seed alone, if any.
    """
    low, high = facts.parameters / ALIKE, facts.parameters * ALIKE
    near = [
        run
        for run in past
        if _data(run.request) == _data(request) and low <= run.facts.parameters <= high
    ]
    return [run for run in near if _stems(run.request) == _stems(request)] or near


def _stems(request: ModelsRequest) -> set[str]:
    return {name.rstrip("0123456789") for name in request.names}


def _data(request: ModelsRequest) -> str:
    return "images" if request.length is None else "text"


def rounded(seconds: float) -> str:
    """An expected duration, no more exact than it is known: "2 s", "40 s", "6 min", "2 h"."""
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    if seconds < 58:
        return f"{round(seconds, -1):.0f} s" if seconds >= 15 else f"{round(seconds)} s"
    if seconds < 3600:
        minutes = seconds / 60
        return f"{round(minutes) if minutes < 10 else round(minutes / 5) * 5} min"
    return f"{round(seconds / 3600)} h" if seconds >= 7200 else f"{seconds / 3600:.1f} h"
