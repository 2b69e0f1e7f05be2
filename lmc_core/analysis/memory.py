"""How much memory a run will take, and whether there is that much: said before it begins.

Aligning holds the weights of both models, with a head of its own where it shared the token table,
and one layer in float64 with what is compared of it; for small models copies of both in float64.
The curve holds the parameters of one more point at least.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from lmc_core.analysis.lazy_memory import LIBRARIES, count_outputs, find_stored
from lmc_core.errors import BadInput
from lmc_core.matching.learned.by_layer import half_precision
from lmc_core.matching.learned.charts import SMOOTH
from lmc_core.matching.learned.learner import LARGE, LATENTS, count_latents
from lmc_core.matching.objective import HELD
from lmc_core.models.config import Config
from lmc_core.models.family import Family
from lmc_core.models.load import configuration, find_files
from lmc_core.numbers import size
from lmc_core.symmetry.alignment import CHUNK
from lmc_core.symmetry.layout import Layout
from lmc_core.tasks import evaluator
from lmc_core.tasks.streamed_losses import flow_each
from lmc_core.tasks.task import PIECE as LOGITS

HALF, SINGLE, DOUBLE = 2, 4, 8  # bytes of a number
# numbers for each of a map's: parameter, slope and SOAP's six; all but the slope again for the best
OF_A_MAP = 8 + 7
SCRATCH = 300_000_000  # bytes that forward passes and temporaries take beside the outputs
CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


@dataclass(frozen=True)
class Memory:
    """What a run takes, in bytes.

    Attributes:
        weights: of both models as they are held.
        align: at the most while they are aligned.
        measure: at the most while the loss is measured.
    """

    weights: int
    align: int
    measure: int

    @property
    def peak(self) -> int:
        """The larger of both."""
        return max(self.align, self.measure)


def estimate_many(references: Sequence[str], aligned: bool = True, learned: bool = False) -> Memory:
    """What a run on several models takes: what two take, for every two of them, and of large ones
    at least what is held while they are matched; for the arguments see `estimate_pair`.
    """
    pairs = (len(references) + 1) // 2
    most = max(
        (estimate_pair(each, 3, aligned, learned) for each in references),
        key=lambda memory: memory.peak,
    )
    align = max(pairs * most.align, _held_together(references)) if aligned else 0
    return Memory(pairs * most.weights, align, pairs * most.measure)


def estimate_group(
    references: Sequence[str], aligned: bool, learned: bool, examples: int | None, length: int
) -> Memory:
    """What measuring mixtures of several held models takes, where they stay as they are; where they
    are brought together, that takes more, as `estimate_many` says.

    Args:
        references: of the models.
        aligned: whether they are brought into one frame.
        learned: whether by a method that follows gradients.
        examples: to measure on; None for as many as are run at once, or more.
        length: tokens of a window.
    """
    if aligned:
        return estimate_many(references, aligned, learned)
    found = max(map(configuration, references), key=lambda each: _count(*each))
    stored = find_stored(references, *found)
    read = sum(path.stat().st_size for name in references for path in find_files(name))
    return Memory(
        read, 0, read + measure_mixtures(*found, stored, len(references), examples, length)
    )


def measure_mixtures(
    family: Family, config: Config, stored: int, count: int, examples: int | None, length: int
) -> int:
    """Bytes that measuring mixtures of held models takes beside these (`tasks.evaluator`).

    There is a module in float32. While a mixture is written into it, the largest parameter is there
    of all models in float32, where it is stored in half precision, and twice of their running mean
    (`models.mixing`), and the outputs of the batch before; those are there as well while the next
    batch runs.

    Args:
        family: of all models.
        config: of all models.
        stored: bytes of a number in their files.
        count: of the models.
        examples: to measure on; None for as many as are run at once, or more.
        length: tokens of a window.
    """
    layout, sizes = family.layout(config), family.sizes(config)
    largest = max(map(math.prod, layout.shapes.values()))
    copies = min(2, count - 1) + (count if stored < SINGLE else 0)
    one = count_outputs(family, config, 1, length)
    batch = max(1, min(evaluator.BATCH, evaluator.OUTPUTS // one, examples or evaluator.BATCH))
    outputs = SINGLE * batch * one
    flow = flow_each(family, config, length if "tokens" in sizes else None)
    width, units = (
        max((space.size for space in layout.spaces.values() if space.kind == kind), default=1)
        for kind in ("residual", "units")
    )
    # a stream and what it began as; units before, in and after what is not linear
    running = batch * flow * (1 + 1.5 * units / width) + outputs + SINGLE * LOGITS
    module = SINGLE * _count(family, config)
    return LIBRARIES + module + outputs + max(copies * SINGLE * largest, round(running))


def _count(family: Family, config: Config) -> int:
    """Parameters of a model."""
    return sum(map(math.prod, family.layout(config).shapes.values()))


def _held_together(references: Sequence[str]) -> int:
    """Bytes of several large models while they are matched: each as it was read, in float64, and
    in float32 as it is compared and where it stands; the mean of the others; a step of matching;
    modules that are imported on the way.
    """
    family, config = configuration(references[0])
    layout = family.layout(config)
    if sum(map(math.prod, layout.shapes.values())) <= HELD:
        return 0
    each = _count_untied(family, config)
    read = sum(path.stat().st_size for name in references for path in find_files(name))
    held = each * (len(references) * (DOUBLE + 2 * SINGLE) + SINGLE)
    return read + held + largest_layer(layout) + SCRATCH + LIBRARIES


def estimate_pair(
    references: str | Sequence[str], points: int = 25, aligned: bool = True, learned: bool = False
) -> Memory:
    """What a run on two models takes, before anything of their weights is read.

    Args:
        references: of both, or of one where the other is alike; a narrower one is widened first.
        points: of the curve.
        aligned: whether they are aligned first.
        learned: whether by a method that follows gradients.
    """
    found = [
        configuration(each)
        for each in ([references] if isinstance(references, str) else references)
    ]
    sizes = [
        {name: space.size for name, space in family.layout(config).spaces.items()}
        for family, config in found
    ]
    if found[0][0].name != found[-1][0].name:  # refused a moment later, for that reason
        found = found[:1]
    unequal = sizes[0] != sizes[-1]
    most = max(
        (estimate(*each, points, aligned, unequal, learned) for each in found),
        key=lambda memory: memory.peak,
    )
    counts = sorted(_count_untied(*each) for each in found)
    if aligned and unequal and counts[-1] > HELD:
        # the narrow one: its canonical form, as it is seen from the wide one twice, and a copy of
        # it that is being widened
        most = replace(most, align=most.align + 4 * DOUBLE * counts[0])
    return most


def _count_untied(family: Family, config: Config) -> int:
    """Parameters of a model with a head of its own."""
    structure = family.structure(config)
    shapes, tied = structure.layout.shapes, structure.rewrite.tied
    return sum(map(math.prod, shapes.values())) + (math.prod(shapes[tied.table]) if tied else 0)


def estimate(
    family: Family,
    config: Config,
    points: int = 25,
    aligned: bool = True,
    widened: bool = False,
    learned: bool = False,
) -> Memory:
    """Estimate the memory that a run on two models of a configuration takes, their weights in
    float32.

    Args:
        family: of both models.
        config: of both models.
        points: of the curve.
        aligned: whether they are aligned first.
        widened: whether one of them is narrower and has to be widened to that configuration.
        learned: whether the method follows gradients.
    """
    structure = family.structure(config)
    shapes, tied = structure.layout.shapes, structure.rewrite.tied
    numbers = [math.prod(shape) for shape in shapes.values()]
    parameters, largest = sum(numbers), max(numbers)
    each = parameters + (math.prod(shapes[tied.table]) if tied and aligned else 0)
    held = 2 * SINGLE * each
    align = held + largest_layer(structure.layout) + SCRATCH
    if parameters <= HELD:
        # the originals stay; working copies, and what matching holds of them
        align += 2 * SINGLE * each + 4 * DOUBLE * each
    elif widened:
        # the wide one where it was and where it is, the narrow one as it was widened, and twice
        # while it is widened anew, before and after its planes are stretched
        align += 5 * DOUBLE * each
    if learned:
        align += learning(structure.layout, each)
    sizes = family.sizes(config)
    outputs = evaluator.BATCH * (
        sizes["tokens"] * min(sizes["context"], 128)
        if "tokens" in sizes
        else sizes.get("classes", 1)
    )
    measure = held + SINGLE * (each + largest) + SINGLE * min(outputs, evaluator.OUTPUTS) + SCRATCH
    return Memory(held, align if aligned else 0, measure)


def learning(layout: Layout, each: int) -> int:
    """Bytes that a method which follows gradients takes beside both models.

    Args:
        layout: of both.
        each: parameters of one with a head of its own.
    """
    sizes = {name: math.prod(shape) for name, shape in layout.shapes.items()}
    if sum(sizes.values()) >= LARGE:  # they run layer by layer
        number, largest = SINGLE if half_precision("cpu") is None else HALF, max(sizes.values())
        # what is mixed of all layers is kept in half precision; two tables are no layers
        formed = max(0, each - 2 * largest) if number == HALF else 0
        maps = sum(
            space.copies * space.size**2
            for space in layout.spaces.values()
            if space.largest in SMOOTH
        )
        # both ends, the largest table mixed; maps with their gradients and averages, and the best;
        # B while it is brought over
        held = number * (2 * each + formed + largest) + OF_A_MAP * SINGLE * maps
        return held + SINGLE * each
    # copies that are moved, their mixture, and the gradients of both; latents with theirs and two
    # averages
    kinds = ("residual", "units")
    latents = count_latents([space for space in layout.spaces.values() if space.kind in kinds])
    held = SINGLE * (5 * latents if latents <= LATENTS else 0)
    return 2 * DOUBLE * each + 6 * SINGLE * each + held


def largest_layer(layout: Layout) -> int:
    """Bytes of the largest block in float64 with its Gram matrices, as one step of matching holds
    them.
    """
    most = 0
    for block in layout.blocks:
        size = math.prod(layout.shapes[block.parameter])
        free = any(axis.space is None for axis in block.axes)
        spaces = [layout.spaces[axis.space].size for axis in block.axes if axis.space]
        most = max(
            most,
            DOUBLE * (3 * (min(size, CHUNK) if free else size) + 2 * max(spaces, default=0) ** 2),
        )
    return most


def available() -> int:
    """Bytes that a new process can still have: of the machine, or of the container it runs in if
    that is less.
    """
    found = psutil.virtual_memory().available
    for limit, used in CGROUPS:
        try:
            most, now = Path(limit).read_text().strip(), Path(used).read_text().strip()
        except OSError:
            continue
        if most.isdigit() and now.isdigit():
            found = min(found, max(0, int(most) - int(now)))
    return found


def require_room(needed: int, what: str) -> None:
    """Refuse what does not fit.

    Raises:
        BadInput: when there is less memory than is needed.
    """
    there = available()
    if needed > there:
        raise BadInput(
            f"{what} takes about {size(needed)} of memory and {size(there)} are free; "
            "close other programs, choose smaller models, or use a machine with more memory."
        )
