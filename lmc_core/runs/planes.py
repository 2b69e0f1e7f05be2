"""Where the models of a `PlacedRequest` lie: which three span the plane, and what they are
called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lmc_core.runs.request import ModelsRequest

if TYPE_CHECKING:
    from lmc_core.models.model import Model
    from lmc_core.paths.plane import Plane
    from lmc_core.runs.plane import PlacedRequest
    from lmc_core.tasks import Examples, Task

Report = Callable[[float, str], None]
Label = tuple[str, str, str]  # what is written at the point, the name of the model, its role


@dataclass(frozen=True)
class Placed:
    """Models in a plane.

    Attributes:
        plane: that they span.
        labels: of its corners.
        seconds: what alignments took.
        function_error: largest relative difference of the outputs of an aligned model; None where
            nothing was aligned.
        about: what the matcher says.
        bend: what is said of the training of a bend, where there is one.
    """

    plane: Plane
    labels: list[Label]
    seconds: float = 0.0
    function_error: float | None = None
    about: dict[str, Any] = field(default_factory=dict)
    bend: dict[str, Any] | None = None


@dataclass(frozen=True)
class Ends:
    """Two models in one frame, before and after an alignment.

    Attributes:
        a: the first, in canonical form where there was an alignment.
        b: the second in the same form, where it was.
        moved: the second where the alignment brought it; None without one.
        seconds: of the alignment.
        function_error: of both models; None without an alignment.
    """

    a: Model
    b: Model
    moved: Model | None
    seconds: float = 0.0
    function_error: float | None = None

    @property
    def end(self) -> Model:
        """The aligned second model, or where nothing was aligned the second model."""
        return self.b if self.moved is None else self.moved


def ends_of(
    request: ModelsRequest,
    models: Sequence[Model],
    examples: Examples,
    task: Task,
    report: Report,
    second: int = 1,
) -> Ends:
    """The first model of a request and another one, before and after the alignment that it asks
    for.

    Args:
        request: what was asked.
        models: of the request.
        examples: of the request.
        task: of the request.
        report: called with the share done and a few words; may raise to stop.
        second: number of the other model.
    """
    from lmc_core.matching.common_form import common_form
    from lmc_core.matching.pair import canonical
    from lmc_core.models.common import in_float32
    from lmc_core.models.rows import restricted, shared_rows
    from lmc_core.runs.aligned import aligned_pair, pair_of
    from lmc_core.runs.model_cache import load_warm
    from lmc_core.symmetry.spaces import choose_classes

    chosen = models[0], models[second]
    rows = shared_rows(models)
    if request.method == "none":
        a, b = (restricted(model, rows) for model in common_form(*chosen))
        return Ends(a, b, None)
    asked = pair_of(request, second)
    pair = aligned_pair(asked, chosen, examples, task, report)
    # Large models were aligned in place; what is kept warm comes back at once.
    a, b = common_form(*(load_warm(reference) for reference in asked.models))
    still = in_float32(canonical(b, choose_classes(a.layout.spaces, dict(request.classes))))
    # a head that was untied for the sake of the alignment alone
    if still.state.keys() != pair.b.state.keys():
        from lmc_core.models.common import untied

        still = untied(still)
    first, still, moved = (restricted(model, rows) for model in (pair.a, still, pair.b))
    return Ends(first, still, moved, pair.seconds, pair.function_error)


def placed(
    request: PlacedRequest, models: Sequence[Model], task: Task, examples: Examples, report: Report
) -> Placed:
    """Bring the models of a request into one frame, and span the plane."""
    return {"pair": _pair, "bend": _bend, "three": _three, "random": _random}[request.kind](
        request, models, task, examples, report
    )


def _pair(
    request: PlacedRequest, models: Sequence[Model], task: Task, examples: Examples, report: Report
) -> Placed:
    from lmc_core.paths.plane import Plane

    ends = ends_of(request, models, examples, task, report)
    a, b = request.names
    labels = [("A", a, "a"), ("B aligned", b, "aligned"), ("B", b, "b")]
    return Placed(
        Plane.through(ends.a, ends.end, ends.b), labels, ends.seconds, ends.function_error
    )


def _bend(
    request: PlacedRequest, models: Sequence[Model], task: Task, examples: Examples, report: Report
) -> Placed:
    from lmc_core.paths.plane import Plane
    from lmc_core.runs.bend import trained

    ends = ends_of(request, models, examples, task, lambda share, words: report(0.5 * share, words))
    curve, about = trained(
        request, ends.a, ends.end, task, lambda share, words: report(0.5 + 0.5 * share, words)
    )
    second = ("B", "b") if ends.moved is None else ("B aligned", "aligned")
    labels = [
        ("A", request.names[0], "a"),
        (second[0], request.names[1], second[1]),
        ("bend", "bend", "bend"),
    ]
    bend = ends.a.with_state(curve.bend, name="the bend")
    return Placed(
        Plane.through(ends.a, ends.end, bend), labels, ends.seconds, ends.function_error, bend=about
    )


def _three(
    request: PlacedRequest, models: Sequence[Model], task: Task, examples: Examples, report: Report
) -> Placed:
    from lmc_core.paths.plane import Plane

    found = [
        ends_of(
            request,
            models,
            examples,
            task,
            lambda share, words, k=k: report((k - 1 + share) / 2, words),
            k,
        )
        for k in (1, 2)
    ]
    aligned = found[0].moved is not None
    tail, role = (" aligned", "aligned") if aligned else ("", "b")
    labels = [
        ("A", request.names[0], "a"),
        (f"B{tail}", request.names[1], role),
        (f"C{tail}", request.names[2], role),
    ]
    errors = [ends.function_error for ends in found if ends.function_error is not None]
    seconds = sum(ends.seconds for ends in found)
    plane = Plane.through(found[0].a, found[0].end, found[1].end)
    return Placed(plane, labels, seconds, max(errors, default=None))


def _random(
    request: PlacedRequest, models: Sequence[Model], task: Task, examples: Examples, report: Report
) -> Placed:
    from lmc_core.models.rows import usable
    from lmc_core.paths.directions import random_plane

    return Placed(random_plane(usable(models[0]), request.seed), [("A", request.names[0], "a")])
