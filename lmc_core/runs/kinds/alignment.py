"""What an alignment found: the request, and its computation.

Arrays, by name of space S (copies lie one after the other; see `matching.found` and
`matching.facts`):

    S/before, S/after                how alike every pair of coordinates is: float16
                                     `[copies, m, m]`; block means if m < n
    S/indices, S/scales, S/values    the element of the alignment, as `symmetry.elements` stores it
    S/angles, S/singular             degrees and singular values, float32 `[copies, n]`
    S/phases, S/stretches            of rotary pairs, degrees and factors, float32 `[copies, pairs]`
    S/cka                            of a stream, float32 `[layers, layers]`
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmc_core.analysis.block_means import block_edge, block_means
from lmc_core.analysis.element_summary import ElementSummary, summarise_element
from lmc_core.analysis.similarity import SpaceSimilarity, compare_spaces
from lmc_core.analysis.streams import compare_streams
from lmc_core.errors import BadInput
from lmc_core.matching.aligned import AlignedPair
from lmc_core.models.fits import wider
from lmc_core.progress import Part, Progress, ignore, part
from lmc_core.runs.cache import aligned_pair
from lmc_core.runs.computation import Arrays, Entries
from lmc_core.runs.inputs import (
    describe_request,
    describe_size,
    make_stamp,
    open_inputs,
    read_tensor,
)
from lmc_core.runs.kinds.curve_facts import pair_facts
from lmc_core.runs.request import RequestJson
from lmc_core.runs.requests.alignment import (
    AlignmentNumbers,
    AlignmentRequest,
    SpaceNumbers,
    StreamNumbers,
)
from lmc_core.symmetry.elements import Element
from lmc_core.symmetry.spaces import choose_classes, class_of
from lmc_core.tasks import Examples
from lmc_core.tasks.seen_rows import find_seen_rows

KEPT = 2**20  # numbers of one matrix over all copies; larger ones are kept as means over blocks
DRAWN = 512  # rows and columns of these at the most
# numbers of a matrix that mixes, over all copies; larger ones are left out, their angles stay
ELEMENT = 2**22


def compute(
    request: AlignmentRequest, progress: Progress = ignore, refresh: bool = False
) -> tuple[AlignmentNumbers, Arrays]:
    """Align, then look at what was found.

    Args:
        request: what to do.
        progress: told the share done and a few words; may raise `Cancelled`.
        refresh: align also what was aligned before.

    Returns:
        The numbers, and the arrays that the module's docstring names.

    Raises:
        BadInput: for the method ``none``, or if the models are no longer those of the request.
        FunctionChanged: if the alignment moved the outputs by more than rounding.
    """
    if request.method == "none":
        raise BadInput(
            "Without a method nothing is aligned, so there is nothing to look at; choose a method."
        )
    progress(0.0, "loading the models")
    (a, b), task, examples = open_inputs(request)
    aligning = part(progress, 0.0, 0.7)
    pair = aligned_pair(request, (a, b), examples, task, aligning, refresh)
    begin = perf_counter()
    classes = choose_classes(pair.a.layout.spaces, dict(request.classes))
    second = wider(a, b)
    spaces: list[SpaceNumbers] = []
    arrays: dict[str, np.ndarray] = {}
    comparing = part(progress, 0.7, 0.9, "comparing coordinates")
    for found in compare_spaces(pair, classes, find_seen_rows(a, b), bool(second), comparing):
        element = pair.alignment.elements[found.space.name]
        facts = summarise_element(found.space, element, class_of(found.space, classes))
        spaces.append(_entry(found, facts, class_of(found.space, classes).value))
        arrays |= _matrices(found) | _element(found.space.name, element, facts)
    words = "comparing the residual streams"
    streams, matrices = _streams(request, pair, examples, part(progress, 0.9, 1.0, words))
    numbers: AlignmentNumbers = {
        **describe_request(request, task, len(examples)),
        "spaces": spaces,
        "streams": streams,
        "wider": None if second is None else request.names[int(second)],
        **pair_facts(pair),
        **describe_size((a, b)),
        "seconds": {"align": pair.seconds, "evaluate": perf_counter() - begin},
        **make_stamp(),
    }
    return numbers, arrays | matrices


def _streams(
    request: AlignmentRequest, pair: AlignedPair, examples: Examples, progress: Part
) -> tuple[dict[str, StreamNumbers], dict[str, np.ndarray]]:
    """How alike the residual streams are on real examples, by space, and the matrices of their
    similarity.
    """
    streams: dict[str, StreamNumbers] = {}
    matrices = {}
    for space in pair.a.layout.spaces.values():
        if space.kind == "residual":
            alike = compare_streams(
                pair.a,
                pair.b,
                space.name,
                pair.alignment.elements[space.name],
                examples,
                request.tokens,
                request.device,
                request.seed,
                progress,
            )
            matrices[f"{space.name}/cka"] = alike.matrix.float().numpy()
            streams[space.name] = {
                "layers": list(alike.layers),
                "tokens": list(alike.tokens),
                "before": _plain(alike.before),
                "after": _plain(alike.after),
                "cka": _plain(alike.cka),
                "unbiased": _plain(alike.unbiased),
            }
    return streams, matrices


def _entry(found: SpaceSimilarity, facts: ElementSummary, chosen: str) -> SpaceNumbers:
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
        "before": _plain(before.tolist()),
        "after": _plain(after.tolist()),
        "by_layer": {
            name: [_number(value) for value in pair] for name, pair in found.by_layer.items()
        },
        "owned": int((~found.matched.isnan()).sum()),
        "distance": _plain(facts.distance.tolist()),
        "moved": _list(facts.moved),
        "flipped": _list(facts.flipped),
        "angle": _list(angles),
        "condition": _list(facts.condition),
    }


def _edge(found: SpaceSimilarity) -> int:
    """Coordinates that share a row of the matrices that are kept."""
    n, most = found.space.size, math.isqrt(KEPT // found.space.copies)
    return 1 if n <= most else block_edge(n, min(DRAWN, most))


def _matrices(found: SpaceSimilarity) -> dict[str, np.ndarray]:
    rows = -(-found.space.size // _edge(found))
    return {
        f"{found.space.name}/{name}": block_means(values.numpy(), rows).astype(np.float16)
        for name, values in (("before", found.before), ("after", found.after))
    }


def _element(name: str, element: Element, facts: ElementSummary) -> dict[str, np.ndarray]:
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


def _list(values: Tensor | None) -> list[Any] | None:
    """A list without NaN; None for None."""
    return None if values is None else _plain(values.tolist())


def _plain(values: Iterable[Any]) -> list[Any]:
    """A list without NaN, which JSON does not know."""
    return [_number(value) if isinstance(value, float) else value for value in values]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def summarize(request: RequestJson, numbers: AlignmentNumbers, arrays: Arrays) -> Entries:
    """Angles, condition and what changed places; the cosines need all coordinates, of which blocks
    are kept. See `runs.computation.summarize`.
    """

    def space(said: SpaceNumbers) -> dict[str, object]:
        found: dict[str, object] = {**said}
        name, size = said["name"], int(said["size"])
        if f"{name}/angles" in arrays:
            angles = read_tensor(arrays, f"{name}/angles", 2)
            found["angle"] = angles.double().abs().mean(-1).tolist()
        if f"{name}/singular" in arrays:
            singular = read_tensor(arrays, f"{name}/singular", 2).double()
            found["condition"] = _plain((singular[:, 0] / singular[:, -1]).tolist())
        if f"{name}/indices" in arrays:
            places = torch.from_numpy(arrays[f"{name}/indices"].copy()).reshape(-1, size)
            found["moved"] = (places != torch.arange(size)).sum(-1).tolist()
        if f"{name}/scales" in arrays:
            scales = torch.from_numpy(arrays[f"{name}/scales"].copy()).reshape(-1, size)
            found["flipped"] = (scales < 0).sum(-1).tolist()
        return found

    def stream(name: str, said: StreamNumbers) -> dict[str, object]:
        own = read_tensor(arrays, f"{name}/cka", 2).double().diagonal().tolist()
        return {**said, "cka": _plain(own)}

    return {
        "spaces": [space(each) for each in numbers["spaces"]],
        "streams": {name: stream(name, said) for name, said in numbers["streams"].items()},
    }
