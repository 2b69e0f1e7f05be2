"""How much there is to do for a request, and how long and how much memory it will take, said before
it starts: as finished runs of the same kind and size took on this machine where there are any, else
from the count of examples, points and parameters.

Measuring counts as forward passes of one model over one example, each as long as the model has
parameters; matching as pairs of models times parameters, times steps where it learns; a bend as
steps times parameters. It is counted before a run and in the same way after it: seconds of finished
runs by that count give a pace, of which the median over the newest is taken.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any

from lmc_core.analysis.expert_orders import MOST, mixtures, number_of_orders
from lmc_core.analysis.memory import SINGLE, Memory, estimate_group, estimate_many, estimate_pair
from lmc_core.analysis.parts import find_parts
from lmc_core.errors import LmcError
from lmc_core.locks import holder
from lmc_core.matching.method import learns
from lmc_core.matching.methods import find_method
from lmc_core.models.load import configuration
from lmc_core.runs.cache import frame_folder, pair_folder
from lmc_core.runs.computation import COMPUTATIONS, Workload, request_from_json
from lmc_core.runs.expected import Expected
from lmc_core.runs.jobs import lock_path
from lmc_core.runs.large_models import estimate_unheld, holds_nothing
from lmc_core.runs.request import WINDOW, ManyRequest, ModelsRequest
from lmc_core.runs.requests.many import GroupRequest
from lmc_core.runs.result import Result
from lmc_core.runs.store import Store
from lmc_core.tasks import TASKS

NEWEST = 200  # results that are looked through for finished runs
KEPT = 30.0  # seconds for which what was found there is good enough
NEAREST = 5  # finished runs at the most that a pace is taken from
ALIKE = 4.0  # parameters may differ by this factor in runs of one size
# seconds of one core for a forward pass by example (128 tokens) and parameter
PACE = {"images": 5e-10, "text": 4e-9}
STEP = {"images": 3e-7, "text": 6e-7}  # seconds for a step of learning by parameter
START = 5.0  # seconds until a worker is there and has imported what computes
FIXED = 0.5  # seconds to open the inputs of a run and to store its result


_FINISHED: dict[Path, tuple[float, list[Finished]]] = {}  # root of a store -> when read, runs


@dataclass(frozen=True)
class Finished:
    """A run that was computed on this machine.

    Attributes:
        request: what was asked.
        result: the numbers, among them seconds.
        workload: what the work depended on.
    """

    request: ModelsRequest
    result: Mapping[str, Any]
    workload: Workload

    @property
    def seconds(self) -> Mapping[str, float]:
        """By part: ``align``, ``evaluate``, ``learn``."""
        return self.result["seconds"]


@lru_cache(maxsize=256)
def read_structure(references: tuple[str, ...], draws: int = 0) -> tuple[int, int, int]:
    """Parameters of the largest of some models, parts of the first, and orders of its experts that
    a fan has.

    Args:
        references: of models; their weights are not read.
        draws: orders drawn at random where not all are tried.
    """
    layouts = [
        family.layout(config) for family, config in map(configuration, dict.fromkeys(references))
    ]
    parameters = max(sum(map(math.prod, layout.shapes.values())) for layout in layouts)
    tried = [number_of_orders(layouts[0], root) for root in mixtures(layouts[0])]
    named = 6  # at the most; see `paths.fans`
    orders = sum(each if each <= MOST else draws + named for each in tried) + (draws + named) * (
        len(tried) > 1
    )
    return parameters, len(find_parts(layouts[0])), orders


def find_workload(request: ModelsRequest) -> Workload:
    """What the work of a request depends on, from the models' configurations and the data's
    size.
    """
    there = (
        len(TASKS[request.task].source(request.split, request.length or WINDOW))
        if request.task in TASKS
        else 1000
    )
    parameters, parts, orders = read_structure(request.models, getattr(request, "draws", 0))
    return Workload(parameters, min(request.examples or there, there), parts, orders)


def read_workload(numbers: Mapping[str, Any]) -> Workload:
    """The same of a finished run, from its numbers."""
    return Workload(
        numbers.get("widest", numbers["parameters"]),
        numbers["examples"],
        len(numbers.get("parts", ())),
        sum(len(fan["orders"]) for fan in numbers.get("fans", ())),
        numbers.get("gone_on") or 0,
    )


def find_passes(what: str) -> Callable[[Any, Workload], float] | None:
    """What counts the forward passes of a kind; None where only finished runs tell."""
    return COMPUTATIONS[what].passes if what in COMPUTATIONS else None


def count_measuring(request: ModelsRequest, workload: Workload) -> float:
    """Forward passes times examples times parameters; of kinds that do not count passes, examples
    times parameters.
    """
    count = find_passes(request.what)
    passes = 1 if count is None else count(request, workload)
    return max(passes, 0) * workload.examples * workload.parameters


def count_training(request: ModelsRequest, workload: Workload) -> dict[str, float]:
    """Steps times parameters of every bend that is trained, by what tells one from another."""
    steps = getattr(request, "steps", None) or getattr(request, "bend", None) or 0
    about = (
        request.digests,
        request.task,
        request.classes,
        request.settings,
        request.seed,
        request.learn,
        steps,
    )
    return {f"{end} {about}": float(steps * workload.parameters) for end in request.bends}


def count_aligning(
    request: ModelsRequest, workload: Workload, taken: int | None = None
) -> dict[Path, float]:
    """Pairs times parameters (times steps, of methods that learn) of every alignment, by the folder
    in which it is kept.

    Args:
        request: what is asked for, or was.
        workload: of it.
        taken: steps that a finished run took; by default those that are asked for.
    """
    if request.method == "none":
        return {}
    times = workload.parameters * (taken or find_steps(request) or 1)
    if isinstance(request, ManyRequest):
        count = len(request.models)
        return {frame_folder(request): times * count * (count - 1) / 2}
    return {pair_folder(request.pair(other)): float(times) for other in request.partners}


def find_steps(request: ModelsRequest) -> int | None:
    """Steps of a method that learns; None for others."""
    if request.method == "none":
        return None
    settings = find_method(request.method).configured(dict(request.settings))
    return getattr(settings, "steps", None) if learns(settings) else None


def finished_runs(entries: Iterable[Result]) -> list[Finished]:
    """Those results that say how long they took here; what came with the app was computed
    elsewhere.

    Args:
        entries: of the store, newest first.
    """
    found = []
    for entry in entries:
        try:
            request = request_from_json(entry.request)
            if (
                not entry.shipped
                and isinstance(request, ModelsRequest)
                and entry.result["seconds"]["evaluate"] > 0
            ):
                found.append(Finished(request, entry.result, read_workload(entry.result)))
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
    seen: set[Path | str] = set()
    for request in requests:
        workload = find_workload(request)
        past = [each for each in finished if each.request.device == request.device]
        spans.append(_expect_measuring(request, workload, past))
        for folder, units in count_aligning(request, workload).items():
            if folder not in seen and not folder.is_dir():
                spans.append(_expect_aligning(request, workload, units, past))
            seen.add(folder)
        for name, units in count_training(request, workload).items():
            if name not in seen and not any(
                name in count_training(each.request, each.workload) for each in past
            ):
                spans.append(_expect_training(request, workload, units, past))
            seen.add(name)
    known = [span for span in spans if span is not None]
    if len(known) < len(spans):
        return None
    return Expected(sum(span.seconds for span in known), all(span.measured for span in known))


def _expect_measuring(
    request: ModelsRequest, workload: Workload, past: Sequence[Finished]
) -> Expected | None:
    units = count_measuring(request, workload)

    def paces(runs: Sequence[Finished]) -> list[float]:
        return _paces(runs, "evaluate", lambda run: count_measuring(run.request, run.workload))

    if own := paces(
        _alike([run for run in past if run.request.what == request.what], request, workload)
    ):
        return Expected(units * median(own), True)
    if find_passes(request.what) is None:
        return None
    others = [
        run
        for run in past
        if find_passes(run.request.what) is not None and _data(run.request) == _data(request)
    ]
    return _counted(units, paces(others), PACE[_data(request)], request)


def _expect_aligning(
    request: ModelsRequest, workload: Workload, units: float, past: Sequence[Finished]
) -> Expected | None:
    settings, steps = dict(request.settings), find_steps(request)
    if isinstance(limit := settings.get("seconds"), int | float) and limit:
        return Expected(float(limit), True)

    def paces(runs: Sequence[Finished]) -> list[float]:
        return _paces(
            runs,
            "align",
            lambda r: sum(
                count_aligning(
                    r.request, r.workload, r.result.get("found", {}).get("steps")
                ).values()
            ),
        )

    same = [
        run
        for run in past
        if run.request.method == request.method
        and (find_steps(run.request) is None) == (steps is None)
    ]
    if own := paces(_alike(same, request, workload)):
        return Expected(units * median(own), True)
    pace = STEP[_data(request)] if steps else find_method(request.method).pace
    return _counted(
        units, paces([run for run in same if _data(run.request) == _data(request)]), pace, request
    )


def _expect_training(
    request: ModelsRequest, workload: Workload, units: float, past: Sequence[Finished]
) -> Expected | None:
    def paces(runs: Sequence[Finished]) -> list[float]:
        return _paces(
            runs, "learn", lambda run: sum(count_training(run.request, run.workload).values())
        )

    if own := paces(_alike(past, request, workload)):
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


def _alike(past: Sequence[Finished], request: ModelsRequest, workload: Workload) -> list[Finished]:
    """Runs on the same kind of data by models of about the same size; those whose names differ in
    the seed alone, if any.
    """
    low, high = workload.parameters / ALIKE, workload.parameters * ALIKE
    near = [
        run
        for run in past
        if _data(run.request) == _data(request) and low <= run.workload.parameters <= high
    ]
    return [run for run in near if _stems(run.request) == _stems(request)] or near


def _stems(request: ModelsRequest) -> set[str]:
    return {name.rstrip("0123456789") for name in request.names}


def _data(request: ModelsRequest) -> str:
    return "images" if request.length is None else "text"


def forecast(requests: Sequence[ModelsRequest]) -> tuple[Expected | None, int]:
    """How long some requests take one after the other, as finished runs of the store tell, and the
    bytes of the largest; see `expected_seconds`.
    """
    expected = expected_seconds(requests, _read_finished())
    if expected is not None:
        fixed = FIXED * len(requests) + _expect_start({each.device for each in requests})
        expected = replace(expected, seconds=expected.seconds + fixed)
    return expected, max(estimate_memory(request).peak for request in requests)


def forecast_each(requests: Sequence[Mapping[str, object]]) -> list[float | None]:
    """The seconds that each of some requests takes alone, once a worker is there; None where
    nothing tells.

    Args:
        requests: as JSON values.
    """
    finished, found = _read_finished(), list[float | None]()
    for content in requests:
        request = request_from_json(content)
        alone = isinstance(request, ModelsRequest) and expected_seconds([request], finished)
        found.append(alone.seconds + FIXED if alone else None)
    return found


def _read_finished() -> list[Finished]:
    store = Store()
    now, (then, finished) = monotonic(), _FINISHED.get(store.root, (-math.inf, []))
    if now - then > KEPT:
        finished = finished_runs(store.list(limit=NEWEST))
        _FINISHED[store.root] = now, finished
    return finished


def _expect_start(devices: Iterable[str]) -> float:
    """Seconds until there are workers of some kinds of device."""
    return START * sum(holder(lock_path(device)) is None for device in devices)


def estimate_memory(request: ModelsRequest) -> Memory:
    """The memory that a run takes, before anything of the weights is read."""
    if holds_nothing(request):
        return estimate_unheld(request)
    aligned, learned = request.method != "none", request.learn is not None
    if isinstance(request, GroupRequest):
        length = request.length or WINDOW
        return estimate_group(request.models, aligned, learned, request.examples, length)
    if isinstance(request, ManyRequest):
        return estimate_many(request.models, aligned, learned)
    found = estimate_pair(request.models, getattr(request, "points", 25), aligned, learned)
    if request.through:  # the ends are held while checkpoints are aligned
        more = SINGLE * 2 * read_structure(request.models)[0]
        found = replace(found, align=found.align + more)
    if copies := getattr(request, "copies", 0):  # of the parameters, in float32
        more = SINGLE * copies * read_structure(request.models)[0]
        return replace(found, measure=found.measure + more)
    return found
