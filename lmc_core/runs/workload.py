"""How much there is to do for a request, counted before it runs and in the same way after it has.

Measuring counts as forward passes of one model over one example, each as long as the model has
parameters; matching as pairs of models times parameters, times steps where it learns; a bend as
steps times parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lmc_core.matching.method import learns
from lmc_core.matching.methods import find_method
from lmc_core.runs.request import ModelsRequest


@dataclass(frozen=True)
class Facts:
    """What the work depends on besides the request.

    Attributes:
        parameters: of the largest of the models.
        examples: that are measured on.
        parts: of the network, each of which is averaged alone.
        orders: of experts that are measured.
        there: points that are measured already.
    """

    parameters: int
    examples: int
    parts: int = 0
    orders: int = 0
    there: int = 0


@lru_cache(maxsize=256)
def structure_of(references: tuple[str, ...], draws: int = 0) -> tuple[int, int, int]:
    """Parameters of the largest of some models, parts of the first, and orders of its experts that
    a fan has.

    Args:
        references: of models; their weights are not read.
        draws: orders drawn at random where not all are tried.
    """
    from lmc_core.analysis.expert_orders import MOST, mixtures, number_of_orders
    from lmc_core.analysis.parts import find_parts
    from lmc_core.models.load import configuration

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


def facts_of(request: ModelsRequest) -> Facts:
    """What the work of a request depends on, from the models' configurations and the data's
    size.
    """
    from lmc_core.runs.ask import WINDOW
    from lmc_core.tasks import TASKS

    there = (
        len(TASKS[request.task].source(request.split, request.length or WINDOW))
        if request.task in TASKS
        else 1000
    )
    parameters, parts, orders = structure_of(request.models, getattr(request, "draws", 0))
    known = 0
    if request.what == "plane":
        from lmc_core.runs.kinds.plane import points_there

        known = points_there(request)  # type: ignore[arg-type]  (of the class by its `what`)
    return Facts(parameters, min(request.examples or there, there), parts, orders, known)


def facts_in(result: Mapping[str, Any]) -> Facts:
    """The same of a finished run."""
    return Facts(
        result.get("widest", result["parameters"]),
        result["examples"],
        len(result.get("parts", ())),
        sum(len(fan["orders"]) for fan in result.get("fans", ())),
        result.get("gone_on") or 0,
    )


def memory_of_request(request: ModelsRequest) -> int:
    """Bytes that a run takes at the most."""
    from lmc_core.runs.ask import memory_of, memory_of_group

    aligned, learned = request.method != "none", request.learn is not None
    if request.what in ("merge", "group"):
        return memory_of_group(request.models, aligned, learned)
    return memory_of(request.models, getattr(request, "points", 25), aligned, learned).peak


def _paths(request: Any, facts: Facts) -> float:
    return request.points * (2 if request.method == "none" else 4)


def _merges(request: Any, facts: Facts) -> float:
    from lmc_core.runs.kinds.merge_bench import passes

    return passes(request, facts.examples)


PASSES: dict[str, Callable[[Any, Facts], float]] = {
    "barrier": lambda request, facts: request.points + request.refine,
    "layers": lambda request, facts: 1 + 2 * facts.parts,
    "alignment": lambda request, facts: 2,
    "plane": lambda request, facts: request.resolution**2 + 3 - facts.there,
    "point": lambda request, facts: 1,
    "bend": _paths,
    "merge": _merges,
    "orders": lambda request, facts: 2 + request.points + facts.orders * (request.points - 2),
}
"""Kind of computation -> forward passes over every example; of kinds that are not here, finished
runs alone tell.
"""


def measuring(request: ModelsRequest, facts: Facts) -> float:
    """Forward passes times examples times parameters; of kinds that are not in `PASSES`, examples
    times parameters.
    """
    passes = PASSES[request.what](request, facts) if request.what in PASSES else 1
    return max(passes, 0) * facts.examples * facts.parameters


def training(request: ModelsRequest, facts: Facts) -> dict[str, float]:
    """Steps times parameters of every bend that is trained, by what tells one from another."""
    steps = getattr(request, "steps", None)
    if request.what not in ("bend", "plane", "point") or not steps:
        return {}
    ends = dict.fromkeys(["none", request.method] if request.what == "bend" else [request.method])
    about = (
        request.digests,
        request.task,
        request.classes,
        request.settings,
        request.seed,
        request.learn,
        steps,
    )
    return {f"{end} {about}": float(steps * facts.parameters) for end in ends}


def aligning(request: ModelsRequest, facts: Facts, taken: int | None = None) -> dict[Path, float]:
    """Pairs times parameters (times steps, of methods that learn) of every alignment, by the folder
    in which it is kept.

    Args:
        request: what is asked for, or was.
        facts: of it.
        taken: steps that a finished run took; by default those that are asked for.
    """
    if request.method == "none":
        return {}
    from lmc_core.runs.aligned import folder_of, pair_of
    from lmc_core.runs.aligned_group import kept_in

    times = facts.parameters * (taken or steps_of(request) or 1)
    count = len(request.models)
    if request.what in ("merge", "group"):
        return {kept_in(request): times * count * (count - 1) / 2}
    return {folder_of(pair_of(request, other)): float(times) for other in range(1, count)}


def steps_of(request: ModelsRequest) -> int | None:
    """Steps of a method that learns; None for others."""
    settings = find_method(request.method).configured(dict(request.settings))
    return settings.steps if learns(settings) else None
