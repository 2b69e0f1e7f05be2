"""The loss on a plane: its request, its numbers, and its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from lmc_core.errors import BadInput, UnknownName
from lmc_core.limits import require_counts, require_numbers
from lmc_core.registry import import_later
from lmc_core.runs.computation import Computation
from lmc_core.runs.kinds import BendTraining, MatcherReport, ModelsNumbers, Seconds
from lmc_core.runs.request import ModelsRequest
from lmc_core.runs.requests.bend import make_bend_request

KINDS = {"pair": 2, "bend": 2, "three": 3, "random": 1}  # kind of plane -> how many models it takes


RESOLUTIONS = (9, 17, 33, 65)  # that the app offers; each begins with the points of the one before


class PlaneSpot(TypedDict):
    """A place of the plane; ``score`` is an accuracy or a perplexity, by the task."""

    u: float
    v: float
    loss: float
    stderr: float
    score: float


class LabelledSpot(PlaneSpot):
    """A place of the plane with a name."""

    label: str
    name: str
    role: str  # "a", "b", "aligned" or "bend"


class PlaneFacts(ModelsNumbers):
    """What is known of a plane before its grid is measured, which is what a run that is not done
    has.
    """

    kind: str
    resolution: int
    span: float | None
    points: list[LabelledSpot]
    clip: float  # the loss of guessing
    bend: BendTraining | None
    found: MatcherReport
    function_error: float | None


class PlaneNumbers(PlaneFacts):
    """The numbers of a `PlaneRequest`; the grid itself is in the arrays."""

    lowest: PlaneSpot
    seconds: Seconds
    gone_on: NotRequired[int]  # points that an earlier run had measured


@dataclass(frozen=True, kw_only=True)
class PlacedRequest(ModelsRequest):
    """Something in a plane in the space of parameters.

    Attributes:
        kind: ``pair`` (A, B as it is, B aligned), ``bend`` (A, B aligned or not, and the trained
            bend of a curve between them), ``three`` (A, B, C, the last two aligned to A or not),
            ``random`` (filter-normalised directions around A).
        span: of random directions, how far to go either way, as a share of the filters' norms.
        steps: of a bend, how many train it.
    """

    kind: str = "pair"
    span: float | None = None
    steps: int | None = None

    @property
    def bends(self) -> tuple[str, ...]:
        """The ends that a bend is trained to."""
        return (self.method,) if self.steps else ()


@dataclass(frozen=True, kw_only=True)
class PlaneRequest(PlacedRequest):
    """The loss on a grid of a plane.

    Attributes:
        resolution: points along a side.
    """

    @property
    def numbers(self) -> type[PlaneNumbers]:
        """The type of its results."""
        return PlaneNumbers

    resolution: int = 25
    what: str = "plane"


def choose_plane(
    requests: Sequence[ModelsRequest],
    kind: str,
    resolution: int = 25,
    span: float = 1.0,
    steps: int = 300,
) -> PlaneRequest:
    """The plane of some checked requests.

    Args:
        requests: of A with B; for ``three`` another of A with C; for ``random`` one of A with
            itself.
        kind: of plane.
        resolution: points along a side.
        span: of random directions.
        steps: of a bend.

    Raises:
        BadInput: (or one of its kinds) for what cannot be drawn.
    """
    if kind not in KINDS:
        raise UnknownName.of("kind of plane", kind, KINDS)
    first = requests[0]
    if len(requests) != max(1, KINDS[kind] - 1):
        raise BadInput(
            f"A plane of the kind {kind!r} takes {KINDS[kind]} models; other numbers came."
        )
    if kind == "pair" and first.method == "none":
        raise BadInput(
            "The plane of A, B and aligned B needs a method that aligns; choose one, or another "
            "kind of plane."
        )
    require_counts(resolution=resolution, steps=steps)
    require_numbers(span=span)
    if not 3 <= resolution <= 129:
        raise BadInput(
            f"The resolution of a plane should lie between 3 and 129; {resolution} came."
        )
    if not 0 < span <= 10:
        raise BadInput(f"The span of random directions should lie between 0 and 10; {span} came.")
    names = first.naming(0)
    for other in requests if kind != "random" else ():
        names = {name: value + other.naming(1)[name] for name, value in names.items()}
    if kind == "three" and len(set(names["digests"])) < 3:
        raise BadInput(
            "Three different models are needed for a plane through them; choose another third."
        )
    chosen: dict[str, object] = {**names}
    if kind == "random":
        chosen |= {
            "method": "none",
            "classes": (),
            "settings": (),
            "span": float(span),
            "learn": None,
            "learn_data": "",
        }
    if kind == "bend":
        bend = make_bend_request(first, steps)
        chosen |= {"steps": bend.steps, "learn": bend.learn, "learn_data": bend.learn_data}
    return PlaneRequest.of(first, kind=kind, resolution=resolution, **chosen)


def rename(numbers: PlaneNumbers, before: Sequence[str], names: Sequence[str]) -> PlaneNumbers:
    """The names of the labelled points; see `runs.computation.Computation`."""

    def named(point: LabelledSpot) -> LabelledSpot:
        letter = "ABC".find(str(point.get("label"))[:1]) if point.get("role") != "bend" else -1
        return {**point, "name": names[letter]} if 0 <= letter < len(names) else point

    return {**numbers, "points": [named(point) for point in numbers.get("points", [])]}


COMPUTATION = Computation(
    "plane",
    PlaneRequest,
    import_later("lmc_core.runs.kinds.plane:compute"),
    passes=import_later("lmc_core.runs.kinds.plane:count_passes"),
    summarize=import_later("lmc_core.runs.kinds.plane:summarize"),
    rename=rename,
)
