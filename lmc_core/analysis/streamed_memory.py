"""How much memory measuring mixtures of models takes that are read one part at a time
(`tasks.streamed_losses`): of every model the largest part, and one mixture of it, what flows
through the network, and the outputs of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lmc_core.analysis.lazy_memory import (
    LIBRARIES,
    SINGLE,
    count_maps,
    count_outputs,
    estimate_group_maps,
    estimate_lazy,
    estimate_lazy_group,
    find_stored,
)
from lmc_core.analysis.memory import Memory
from lmc_core.models.config import Config
from lmc_core.models.family import Family
from lmc_core.models.load import configuration
from lmc_core.symmetry.layout import Layout
from lmc_core.tasks.evaluator import BATCH
from lmc_core.tasks.streamed_losses import FLOW, OUTPUTS, flow_each
from lmc_core.tasks.task import PIECE as LOGITS


def estimate_curve_of(
    references: Sequence[str], aligned: bool, examples: int, length: int, pairs: int | None = None
) -> Memory:
    """What measuring a curve between two lazily read models takes, and aligning them before.

    Args:
        references: of both.
        aligned: whether they are aligned by their weights.
        examples: that the function check would run on.
        length: tokens of a window.
        pairs: of an example and a point; None for more than are held at once.
    """
    family, config = configuration(references[0])
    stored = find_stored(references, family, config)
    align = estimate_lazy(family, config, stored, examples, length, write=False) if aligned else 0
    return Memory(0, align, estimate_lazy_curve(family, config, stored, aligned, length, pairs))


def estimate_mixtures_of(
    references: Sequence[str],
    onto: bool | None,
    examples: int,
    length: int,
    pairs: int | None = None,
) -> Memory:
    """What measuring mixtures of several lazily read models takes, and bringing them into one frame
    before.

    Args:
        references: of the models.
        onto: whether it is said onto which model the others are brought; None where all stay as
            they are.
        examples: that the function checks would run on.
        length: tokens of a window.
        pairs: of an example and a mixture; None for more than are held at once.
    """
    family, config = configuration(references[0])
    stored, count, align = find_stored(references, family, config), len(references), 0
    if onto is not None:
        align = estimate_lazy_group(
            family, config, stored, count, examples, length, onto, write=False
        )
    moved = onto is not None
    losses = estimate_lazy_mixtures(family, config, stored, count, moved, length, pairs)
    return Memory(0, align, losses)


def estimate_lazy_curve(
    family: Family,
    config: Config,
    stored: int,
    aligned: bool,
    length: int,
    pairs: int | None = None,
) -> int:
    """Bytes that a curve between two models of a configuration takes; for the arguments see
    `estimate_lazy_mixtures`.
    """
    maps = count_maps(family.layout(config)) if aligned else None
    return _estimate(family, config, stored, 2, maps, length, pairs)


def estimate_lazy_mixtures(
    family: Family,
    config: Config,
    stored: int,
    count: int,
    aligned: bool,
    length: int,
    pairs: int | None = None,
) -> int:
    """Bytes that mixtures of several models of a configuration take.

    Args:
        family: of all models.
        config: of all models.
        stored: bytes of a number in their files.
        count: of the models.
        aligned: whether they were brought into one frame, so that they are read in float32.
        length: tokens of a window.
        pairs: of an example and a mixture; None for more than are held at once.
    """
    maps = estimate_group_maps(family.layout(config), count) if aligned else None
    return _estimate(family, config, stored, count, maps, length, pairs)


def _estimate(
    family: Family,
    config: Config,
    stored: int,
    count: int,
    maps: int | None,
    length: int,
    pairs: int | None,
) -> int:
    """See `estimate_lazy_mixtures`.

    Args:
        family: of all models.
        config: of all models.
        stored: bytes of a number in their files.
        count: of the models.
        maps: bytes of what they are moved by, which makes them float32; None where they stay.
        length: tokens of a window.
        pairs: of an example and a mixture.
    """
    layout, sizes = family.layout(config), family.sizes(config)
    flow = flow_each(family, config, length if "tokens" in sizes else None)
    held = max(flow, FLOW if pairs is None else min(FLOW, pairs * flow))  # one pair at least
    one = count_outputs(family, config, 1, length)
    outputs = SINGLE * max(one, min(OUTPUTS, BATCH * one))
    each = stored if maps is None else SINGLE
    part = _largest_part(layout) * (count * each + SINGLE)
    moving = 0 if maps is None else maps + SINGLE * _largest_of_experts(layout)
    return LIBRARIES + moving + part + held + outputs + SINGLE * LOGITS


def _largest_of_experts(layout: Layout) -> int:
    """Numbers of the largest parameter that all experts of a mixture share: one copy while it is
    moved. Of a network without experts 0, as its matrices are small beside a layer.
    """
    names = {
        block.parameter
        for block in layout.blocks
        for axis in block.axes
        if axis.space and layout.spaces[axis.space].kind == "experts"
    }
    return max((math.prod(layout.shapes[name]) for name in names), default=0)


def _largest_part(layout: Layout) -> int:
    """Numbers of the largest table, or of the largest layer of a stack."""
    layers: dict[str, int] = {}
    for name, shape in layout.shapes.items():
        words = name.split(".")
        at = next((i for i, word in enumerate(words) if word.isdigit()), len(words) - 1)
        key = ".".join(words[: at + 1])
        layers[key] = layers.get(key, 0) + math.prod(shape)
    return max(layers.values())
