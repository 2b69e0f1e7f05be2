"""The residual streams of two models on the same tokens, as every layer reads them, and how alike
they are.

A stream is taken where the first part of a layer reads it: behind its norm, if it has one. What
block 1 reads is the stream after block 0, what the head reads is the stream after the last block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from lmc_core.analysis.cka import FEWEST, cka_matrix, linear_cka, mean_cosine
from lmc_core.analysis.similarity import order_layers
from lmc_core.matching.responses import BATCH, Draw, Site, Watched, sites
from lmc_core.models.model import Model
from lmc_core.symmetry.elements import Element
from lmc_core.symmetry.layout import Layout
from lmc_core.tasks.task import Examples

Tell = Callable[[float], None]
NUMBERS = 2**26  # of all streams together that are held, 256 MB


@dataclass(frozen=True)
class StreamSimilarity:
    """How alike the streams of two models are, layer by layer.

    Attributes:
        layers: that read them, in the order of the network.
        tokens: that each was seen on; fewer where a model keeps one token of each example.
        before: mean cosine of both streams before the alignment, by layer.
        after: the same after it.
        cka: linear CKA of A and B at each layer; no orthogonal map changes it, so it is the same
            before and after.
        unbiased: the same by the unbiased estimator.
        matrix: linear CKA of every layer of A (rows) with every layer of B, float64
            `[layers, layers]`; NaN between layers that see different tokens.
    """

    layers: tuple[str, ...]
    tokens: tuple[int, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    cka: tuple[float, ...]
    unbiased: tuple[float, ...]
    matrix: Tensor


def stream_sites(layout: Layout, space: str) -> dict[str, Site]:
    """Layer -> the first place where it reads a stream, in the order of the network."""
    layers = order_layers(layout)
    found: dict[str, Site] = {}
    for site in sites(layout):
        if not site.made and [axis.space for axis in site.axes] == [space]:
            found.setdefault(layers[site.block.name], site)
    return {layer: found[layer] for layer in dict.fromkeys(layers.values()) if layer in found}


def compare_streams(
    a: Model,
    b: Model,
    space: str,
    element: Element,
    examples: Examples,
    tokens: int,
    device: str = "cpu",
    seed: int = 0,
    progress: Tell = lambda share: None,
) -> StreamSimilarity:
    """Run both models on the same examples and compare their streams.

    Args:
        a: the model that stayed.
        b: the model that moved, where it was brought.
        space: name of the stream's space.
        element: what moved it, so that it is also known as it was.
        examples: whose inputs are taken.
        tokens: how many are looked at, the same number of each example; drawn by `seed`.
        device: where the models run.
        seed: of the draw.
        progress: called with the share done; may raise to stop.
    """
    places = stream_sites(a.layout, space)
    size = a.layout.spaces[space].size
    tokens = max(FEWEST, min(tokens, NUMBERS // max(1, 2 * size * len(places))))
    few = examples.first(tokens)
    seen = _seen(a, b, list(places.values()), few, Draw(len(few), tokens, seed), device, progress)
    layers = [layer for layer, site in places.items() if site in seen]
    ours, theirs = ([seen[places[layer]][side] for layer in layers] for side in (0, 1))
    back = element.inverse()
    return StreamSimilarity(
        tuple(layers),
        tuple(len(x) for x in ours),
        tuple(
            mean_cosine(x, back.act(y.double().mT, "writes").mT)
            for x, y in zip(ours, theirs, strict=True)
        ),
        tuple(mean_cosine(x, y) for x, y in zip(ours, theirs, strict=True)),
        tuple(linear_cka(x, y) for x, y in zip(ours, theirs, strict=True)),
        tuple(linear_cka(x, y, unbiased=True) for x, y in zip(ours, theirs, strict=True)),
        _matrix(ours, theirs),
    )


def _seen(
    a: Model,
    b: Model,
    wanted: list[Site],
    examples: Examples,
    draw: Draw,
    device: str,
    progress: Tell,
) -> dict[Site, tuple[Tensor, Tensor]]:
    """The streams of A and B at every site that both reach, `[tokens, n]`."""
    watched = [Watched(model, wanted, device) for model in (a, b)]
    parts: dict[Site, list[tuple[Tensor, Tensor]]] = {}
    done = 0
    for part in examples.batches(BATCH):
        one, two = (
            model.run(part.inputs, partial(draw.rows, done, len(part))) for model in watched
        )
        for site in one.keys() & two.keys():
            parts.setdefault(site, []).append((one[site].float().cpu(), two[site].float().cpu()))
        done += len(part)
        progress(done / len(examples))
    return {
        site: (torch.cat([x for x, _ in each]), torch.cat([y for _, y in each]))
        for site, each in parts.items()
    }


def _matrix(ours: list[Tensor], theirs: list[Tensor]) -> Tensor:
    """CKA of all pairs of layers that see the same tokens."""
    matrix = torch.full((len(ours), len(ours)), torch.nan, dtype=torch.float64)
    for count in {len(x) for x in ours}:
        at = torch.tensor([i for i, x in enumerate(ours) if len(x) == count])
        matrix[at[:, None], at] = cka_matrix([ours[i] for i in at], [theirs[i] for i in at])
    return matrix
