"""Matching along two training runs: the alignment of each pair of checkpoints is the start of the
next.

    g_0 = match(A_0, B_0),    g_t = match(A_t, B_t, start g_(t-1)),    the ends last

Early in training two networks that began alike are still alike; what was told apart there is
followed. An alignment acts on canonical forms. Those of the residual stream, of units and of the
order of heads change as little between two checkpoints as the networks do, so that what brought
B_(t-1) over is close to what brings B_t over. The planes inside heads are another matter: their
canonical bases are singular vectors, whose signs and order are anyone's. So the stream is visited
after everything else, and planes are found anew from it first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from lmc_core.errors import BadInput, Incompatible
from lmc_core.matching.aligned import AlignedPair
from lmc_core.matching.method import Method
from lmc_core.matching.methods import METHODS
from lmc_core.matching.pair import align_pair
from lmc_core.models.common import different_heads, require_compatible
from lmc_core.models.fits import wider
from lmc_core.models.model import Model
from lmc_core.progress import Progress, part
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import SymmetryClass
from lmc_core.tasks.learning import Learning

SHARE = 0.8  # of the progress, what the checkpoints take; of methods that go on learning, less
LEARNED_SHARE = 0.2


@dataclass(frozen=True)
class Chain:
    """What was found along two runs.

    Attributes:
        start: the alignment of the last checkpoints, from which the ends are matched.
        passed: of every pair of checkpoints its names and the objective that was reached.
        seconds: that it took, without the function checks.
    """

    start: Alignment
    passed: tuple[dict[str, object], ...]
    seconds: float

    def attach(self, pair: AlignedPair) -> AlignedPair:
        """The aligned ends with what was found on the way said in the trace."""
        trace = pair.trace
        about = {**trace.about, "through": list(self.passed)}
        return replace(pair, trace=replace(trace, about=about), seconds=pair.seconds + self.seconds)


def find_way(method: str, settings: Mapping[str, object] | None = None) -> str:
    """The name of the method that matches the checkpoints before the ends are matched.

    Args:
        method: of the ends.
        settings: of it, by name.

    Raises:
        BadInput: for one that takes no start.
    """
    chosen: Method[object] | None = METHODS[method] if method != "none" else None
    if chosen is None or chosen.on_the_way is None:
        able = [each.name for each in METHODS.values() if each.on_the_way is not None]
        raise BadInput(
            f"The method {method} does not start from an alignment that was found before; to "
            f"match through checkpoints choose {', '.join(able[:-1])} or {able[-1]}."
        )
    return chosen.on_the_way(chosen.configured(settings))


def require_run(end: Model, checkpoint: Model) -> None:
    """Raise `Incompatible` unless a checkpoint may be one of the run that led to a model."""
    if different_heads(end, checkpoint):
        raise Incompatible(f"{checkpoint.name} has another head than {end.name}, its end.")
    require_compatible(end, checkpoint)
    if wider(end, checkpoint) is not None:
        raise Incompatible(f"{checkpoint.name} has another width than {end.name}, its end.")


def require_alike(a: Model, b: Model) -> None:
    """Raise `Incompatible` unless two models can be matched from a start: of one width, with one
    kind of head.
    """
    if different_heads(a, b):
        raise Incompatible(
            f"{a.name} and {b.name} have different heads; they are matched without checkpoints."
        )
    require_compatible(a, b)
    if wider(a, b) is not None:
        raise Incompatible(
            f"{a.name} and {b.name} have different widths; they are matched without checkpoints."
        )


def require_as_many(a: int, b: int) -> None:
    """Raise `BadInput` unless two runs kept as many checkpoints, and any."""
    if a != b or not a:
        raise BadInput(
            f"Matching through checkpoints takes as many of both runs; {a} of A and {b} of B came."
        )


def follow(
    ends: tuple[Model, Model],
    checkpoints: Iterable[tuple[Model, Model]],
    count: int,
    inputs: Tensor,
    classes: Mapping[str, str | SymmetryClass] | None,
    method: str,
    settings: Mapping[str, object] | None,
    masks: Mapping[str, Tensor],
    progress: Progress,
    learning: Learning | None,
    device: str = "cpu",
    seed: int = 0,
    in_place: bool = False,
) -> Chain:
    """Match the checkpoints of two runs pair by pair, each from the alignment before; the ends are
    left to the caller.

    Args:
        ends: that the runs lead to.
        checkpoints: of both runs, the earliest first; one pair is held at a time.
        count: how many pairs.
        inputs: a few real examples for the function checks.
        classes: as of `align_pair`, like what follows.
        method: of the ends; see `find_way`.
        settings: of it, by name.
        masks: by parameter, the rows that count.
        progress: told the share done of this.
        learning: examples of the training split, for methods that use data.
        device: where to match.
        seed: of what is drawn.
        in_place: write into the tensors of the checkpoints, which are of no use afterwards.

    Raises:
        BadInput: for a method that takes no start, or no checkpoints.
        Incompatible: if a checkpoint does not fit its end, or the ends each other.
        FunctionChanged: if the outputs of a checkpoint moved by more than rounding.
    """
    way = find_way(method, settings)
    own = METHODS[way].configured(settings if way == method else None)
    given = inputs, classes, way, own, masks
    taught = learning if METHODS[way].uses_data else None
    taught = None if taught is None else replace(taught, checkpoint=None)
    require_alike(*ends)
    start, passed, spent = None, [], 0.0
    for number, (a, b) in enumerate(checkpoints, 1):
        for end, each in zip(ends, (a, b), strict=True):
            require_run(end, each)
        told = part(progress, (number - 1) / count, number / count, f"checkpoints {number}/{count}")
        pair = align_pair(
            a, b, *given, told, in_place, taught, device=device, seed=seed, start=start
        )
        start, spent = pair.alignment, spent + pair.seconds
        passed.append({"models": [a.name, b.name], "objective": pair.trace.objective[-1]})
    if start is None:
        raise BadInput("There are no checkpoints to match through.")
    return Chain(start, tuple(passed), spent)


def way_share(method: str, settings: Mapping[str, object] | None = None) -> float:
    """Of the progress of an alignment, what the checkpoints take."""
    return SHARE if find_way(method, settings) == method else LEARNED_SHARE
