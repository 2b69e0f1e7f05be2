"""What an alignment found: the request, and its computation.

Arrays, by name of space S (copies lie one after the other; see `matching.found` and
`matching.facts`):

    S/before, S/after                how alike every pair of coordinates is: float16 `[copies, m, m]`; block means if m < n
    S/indices, S/scales, S/values    the element of the alignment, as `symmetry.elements` stores it
    S/angles, S/singular             degrees and singular values, float32 `[copies, n]`
    S/phases, S/stretches            of rotary pairs, degrees and factors, float32 `[copies, pairs]`
    S/cka                            of a stream, float32 `[layers, layers]`
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from lmc_core.errors import BadInput
from lmc_core.runs.aligned import aligned_pair
from lmc_core.runs.kinds import ModelsNumbers, PairNumbers, Seconds
from lmc_core.runs.request import PairRequest

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from lmc_core.analysis.element_summary import ElementSummary
    from lmc_core.analysis.similarity import SpaceSimilarity
    from lmc_core.matching.aligned import AlignedPair
    from lmc_core.symmetry.elements import Element
    from lmc_core.tasks import Examples

KEPT = 2**20  # numbers of one matrix over all copies; larger ones are kept as means over blocks
DRAWN = 512  # rows and columns of these at the most
# numbers of a matrix that mixes, over all copies; larger ones are left out, their angles stay
ELEMENT = 2**22


_SpaceClass = TypedDict("_SpaceClass", {"class": str})


class SpaceNumbers(_SpaceClass):
    """What the alignment did in one space; lists are over its copies, None where there is no number
    (of maps that mix, nothing is moved; of those that reorder, nothing is turned).
    """

    name: str
    kind: str
    largest: str  # admissible class
    size: int
    copies: int
    within: str | None
    layers: list[str]
    edge: int  # coordinates that share a row of the matrices that are kept
    before: list[float | None]  # mean cosine of matched coordinates before the alignment
    after: list[float | None]
    by_layer: dict[str, list[float | None]]  # before, after
    owned: int  # coordinates that are matched
    distance: list[float | None]
    moved: list[int] | None
    flipped: list[int] | None
    angle: list[float | None] | None  # mean, in degrees
    condition: list[float | None] | None


class StreamNumbers(TypedDict):
    """How alike two residual streams are, layer by layer."""

    layers: list[str]
    tokens: list[int]
    before: list[float | None]
    after: list[float | None]
    cka: list[float | None]
    unbiased: list[float | None]


class AlignmentNumbers(ModelsNumbers, PairNumbers):
    """The numbers of an `AlignmentRequest`."""

    spaces: list[SpaceNumbers]
    streams: dict[str, StreamNumbers]
    wider: NotRequired[str | None]  # name of the wider model
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class AlignmentRequest(PairRequest):
    """What an alignment matched: matrices of every space, what its elements do, and the streams of
    both models.

    Attributes:
        tokens: on which the streams are compared, the same number of each example.
    """

    tokens: int = 1024
    what: str = "alignment"


def compute(
    request: AlignmentRequest, report: Callable[[float, str], None] = lambda share, words: None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Align, then look at what was found.

    Returns:
        The result as plain JSON values, and the arrays that the module's docstring names.

    Raises:
        BadInput: for the method ``none``, or if the models are no longer those of the request.
        FunctionChanged: if the alignment moved the outputs by more than rounding.
    """
    from lmc_core.analysis.element_summary import summarise_element
    from lmc_core.analysis.similarity import compare_spaces
    from lmc_core.models.fits import wider
    from lmc_core.runs.kinds.barrier import pair_facts
    from lmc_core.runs.opened import asked, opened, size_of, stamped
    from lmc_core.symmetry.spaces import choose_classes, class_of
    from lmc_core.tasks.seen_rows import find_seen_rows

    if request.method == "none":
        raise BadInput(
            "Without a method nothing is aligned, so there is nothing to look at; choose a method."
        )
    report(0.0, "loading the models")
    (a, b), task, examples = opened(request)
    pair = aligned_pair(
        request, (a, b), examples, task, lambda share, words: report(0.7 * share, words)
    )
    begin = perf_counter()
    classes = choose_classes(pair.a.layout.spaces, dict(request.classes))
    second = wider(a, b)
    spaces: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    for found in compare_spaces(
        pair,
        classes,
        find_seen_rows(a, b),
        bool(second),
        lambda share: report(0.7 + 0.2 * share, "comparing coordinates"),
    ):
        element = pair.alignment.elements[found.space.name]
        facts = summarise_element(found.space, element, class_of(found.space, classes))
        spaces.append(_entry(found, facts, class_of(found.space, classes).value))
        arrays |= _matrices(found) | _element(found.space.name, element, facts)
    streams, matrices = _streams(
        request, pair, examples, lambda share, words: report(0.9 + 0.1 * share, words)
    )
    arrays |= matrices
    result = {
        **asked(request, task, len(examples)),
        "spaces": spaces,
        "streams": streams,
        "wider": None if second is None else request.names[int(second)],
        **pair_facts(pair),
        **size_of((a, b)),
        "seconds": {"align": pair.seconds, "evaluate": perf_counter() - begin},
        **stamped(),
    }
    return result, arrays


def _streams(
    request: AlignmentRequest,
    pair: AlignedPair,
    examples: Examples,
    report: Callable[[float, str], None],
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """How alike the residual streams are on real examples, by space, and the matrices of their
    similarity.
    """
    from lmc_core.analysis.streams import compare_streams

    streams, matrices = {}, {}
    for space in pair.a.layout.spaces.values():
        if space.kind == "residual":
            element = pair.alignment.elements[space.name]
            alike = compare_streams(
                pair.a,
                pair.b,
                space.name,
                element,
                examples,
                request.tokens,
                request.device,
                request.seed,
                lambda share: report(share, "comparing the residual streams"),
            )
            matrices[f"{space.name}/cka"] = alike.matrix.float().numpy()
            streams[space.name] = {
                name: _plain(getattr(alike, name))
                for name in ("layers", "tokens", "before", "after", "cka", "unbiased")
            }
    return streams, matrices


def _entry(found: SpaceSimilarity, facts: ElementSummary, chosen: str) -> dict[str, Any]:
    """What the result says of one space; lists are over its copies."""
    space, (before, after) = found.space, found.means
    angles = None if facts.angles is None else facts.angles.abs().mean(-1)
    return {
        "name": space.name,
        "kind": space.kind,
        "class": chosen,
        "largest": space.largest.value,
        "size": space.size,
        "copies": space.copies,
        "within": space.within,
        "layers": list(found.layers),
        "edge": _edge(found),
        "before": _plain(before),
        "after": _plain(after),
        "by_layer": {
            name: [_number(value) for value in pair] for name, pair in found.by_layer.items()
        },
        "owned": int((~found.matched.isnan()).sum()),
        "distance": _plain(facts.distance),
        "moved": _plain(facts.moved),
        "flipped": _plain(facts.flipped),
        "angle": _plain(angles),
        "condition": _plain(facts.condition),
    }


def _edge(found: SpaceSimilarity) -> int:
    """Coordinates that share a row of the matrices that are kept."""
    from lmc_core.analysis.block_means import block_edge

    n, most = found.space.size, math.isqrt(KEPT // found.space.copies)
    return 1 if n <= most else block_edge(n, min(DRAWN, most))


def _matrices(found: SpaceSimilarity) -> dict[str, np.ndarray]:
    import numpy as np

    from lmc_core.analysis.block_means import block_means

    rows = -(-found.space.size // _edge(found))
    return {
        f"{found.space.name}/{name}": block_means(values.numpy(), rows).astype(np.float16)
        for name, values in (("before", found.before), ("after", found.after))
    }


def _element(name: str, element: Element, facts: ElementSummary) -> dict[str, np.ndarray]:
    import torch

    tensors = {
        key: value for key, value in element.tensors().items() if key in ("indices", "scales")
    }
    tensors |= {
        key: v for key, v in element.tensors().items() if key == "values" and v.numel() <= ELEMENT
    }
    tensors |= {"angles": facts.angles} if facts.angles is not None else {}
    tensors |= {"singular": facts.singular} if facts.singular is not None else {}
    if facts.factors is not None:
        tensors |= {"phases": facts.factors.angle().rad2deg(), "stretches": facts.factors.abs()}
    small = {
        key: value.to(torch.float32 if value.is_floating_point() else torch.int32)
        for key, value in tensors.items()
    }
    return {f"{name}/{key}": value.contiguous().numpy() for key, value in small.items()}


def _plain(values: Tensor | tuple[Any, ...] | None) -> list[Any] | None:
    """A list without NaN, which JSON does not know."""
    if values is None:
        return None
    listed = list(values) if isinstance(values, tuple) else values.tolist()
    return [_number(value) if isinstance(value, float) else value for value in listed]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
