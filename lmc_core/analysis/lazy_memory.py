"""How much memory aligning takes whose models are read one parameter at a time.

Held throughout are the outputs that the function check compares, and the maps that are found. The
most beside these is either one table in float32 beside what it was read as, or two tables as they
are stored, or the similarity of the units of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from lmc_core.errors import LmcError
from lmc_core.large_blocks import TOP
from lmc_core.matching.sparse_assignment import SMALL
from lmc_core.models.config import Config
from lmc_core.models.family import Family
from lmc_core.models.files.pickle import SUFFIXES
from lmc_core.models.forward import OUTPUTS
from lmc_core.models.lazy import PIECE
from lmc_core.models.load import configuration, find_files
from lmc_core.side_by_side import AHEAD
from lmc_core.symmetry.alignment import CHUNK
from lmc_core.symmetry.layout import Layout

LARGE = 2**30  # bytes of the files of both models above which they are read lazily
HALF, SINGLE, DOUBLE = 2, 4, 8  # bytes of a number
LIBRARIES = 25_000_000  # bytes of modules that are imported on the way
PIECES = 5 * SINGLE  # bytes of what is made of a number of a piece at once
WHOLE = 19  # and of a number of a matrix of a layer, which is not cut, on one thread
FREED = TOP // 2  # bytes that were freed and not given back beside a table
# bytes for every number of a map inside a head: in float64, in float32 while it is moved by, and
# of the canonical form two of each model in float32
MAPPED = DOUBLE + SINGLE + 4 * SINGLE
GRAMS = 5  # matrices of a stream in float64 while it is visited, beside those that wait


def can_be_lazy(references: Sequence[str]) -> bool:
    """Whether two models or more can be aligned by their weights without being held: files of
    plain tensors, one architecture, the same sizes.
    """
    found = read_plain(references)
    if len(found) < 2:
        return False
    (one, first), *others = found
    shapes = one.layout(first).shapes
    return all(
        two.name == one.name
        and config.get("architectures") == first.get("architectures")
        and two.layout(config).shapes == shapes
        for two, config in others
    )


def read_plain(references: Sequence[str]) -> list[tuple[Family, Config]]:
    """Families and configurations of models whose files hold plain tensors, which can be read one
    by one; [] where one does not, or where it has an adapter, which is held.
    """
    if any("+" in each for each in references):
        return []
    try:
        files = [path for each in references for path in find_files(each)]
        found = [configuration(each) for each in references]
    except LmcError:  # said in full where they are loaded
        return []
    return [] if any(path.suffix in SUFFIXES for path in files) else found


def is_large(references: Sequence[str]) -> bool:
    """Whether models are too large to be held without need, by the size of their files."""
    return sum(path.stat().st_size for each in references for path in find_files(each)) > LARGE


def estimate_lazy_pair(references: Sequence[str], examples: int, length: int) -> int:
    """Bytes that aligning two models by their weights takes, read lazily, and writing them.

    Args:
        references: of both.
        examples: that the function check would run on.
        length: tokens of one.
    """
    family, config = configuration(references[0])
    stored = find_stored(references, family, config)
    return estimate_lazy(family, config, stored, examples, length)


def estimate_lazy(
    family: Family, config: Config, stored: int, examples: int, length: int, write: bool = True
) -> int:
    """The same for two models of a configuration.

    Args:
        family: of both.
        config: of both.
        stored: bytes of a number in their files.
        examples: that the function check would run on.
        length: tokens of one.
        write: whether the aligned models are written, too.
    """
    layout = family.layout(config)
    outputs = SINGLE * count_outputs(family, config, examples, length)
    table = max(math.prod(shape) for shape in layout.shapes.values())
    read = table * (SINGLE + (stored if stored < SINGLE else 0))
    forward = 2 * outputs + max(read, table * SINGLE + FREED + outputs)
    side = torch.get_num_threads()  # tables that are looked at side by side, and layers
    largest = sorted(list_sizes(family, config))[-side:]
    search = 2 * outputs + max(
        estimate_stream(layout, stored, largest), estimate_units(layout, side)
    )
    # looked at once more for values that its type does not hold
    saving = read + TOP + 2 * PIECES * min(table, PIECE) // SINGLE if write else 0
    most = max(forward, search, saving)
    return LIBRARIES + count_maps(layout) + most


def estimate_lazy_group_of(
    references: Sequence[str], examples: int, length: int, onto: bool = False, write: bool = True
) -> int:
    """Bytes that bringing several models into one frame by their weights takes, read lazily, and
    writing them with their mean; for the arguments see `estimate_lazy_pair` and
    `estimate_lazy_group`.
    """
    family, config = configuration(references[0])
    stored, count = find_stored(references, family, config), len(references)
    return estimate_lazy_group(family, config, stored, count, examples, length, onto, write)


def estimate_lazy_group(
    family: Family,
    config: Config,
    stored: int,
    count: int,
    examples: int,
    length: int,
    onto: bool = False,
    write: bool = True,
) -> int:
    """The same for so many models of a configuration.

    Besides what two models take there are the maps of all, and in place of a parameter of one side
    the mean of those of the others; no outputs are kept while models are matched.

    Args:
        family: of all models.
        config: of all models.
        stored: bytes of a number in their files.
        count: of the models.
        examples: that the function checks would run on.
        length: tokens of one.
        onto: whether it is said onto which model the others are brought, so that not all pairs are
            matched.
        write: whether the models and their mean are written, too.
    """
    layout = family.layout(config)
    outputs = SINGLE * count_outputs(family, config, examples, length)
    sizes = list_sizes(family, config)
    table, side = max(sizes), torch.get_num_threads()
    read = table * (SINGLE + (stored if stored < SINGLE else 0))
    forward = outputs + max(read, table * SINGLE + FREED + outputs)
    largest = sorted(sizes)[-side:]
    visit = estimate_stream(layout, stored, largest, SINGLE + stored)
    visit = max(visit, estimate_units(layout, side))
    saving = read + TOP + 2 * PIECES * min(table, PIECE) // SINGLE if write else 0
    searched = count - 1 if onto else count * (count - 1) // 2
    matched = estimate_group_maps(layout, count, searched) + visit
    return LIBRARIES + max(matched, estimate_group_maps(layout, count) + max(forward, saving))


def estimate_group_maps(layout: Layout, count: int, pairs: int = 0) -> int:
    """Bytes of the maps of several models: of each its canonical form, and what moves it; while
    they are matched either what moves models onto each other and onto the one that is tried, or
    where each was before a round and where it is.

    Args:
        layout: of all models.
        count: of the models.
        pairs: of them that are matched; 0 once they are.
    """
    inner = stream = 0
    for space in layout.spaces.values():
        if space.within is not None and space.kind not in ("units", "queries", "experts"):
            inner += space.copies * space.size**2
        elif space.within is None and space.kind == "residual":
            stream += space.copies * space.size**2
    moved = count * DOUBLE
    if pairs:
        search = DOUBLE + SINGLE
        tried = pairs * DOUBLE + max(search, count * (DOUBLE + SINGLE))
        moved = max(tried, count * (2 * DOUBLE + SINGLE) + search)
    return (inner + stream) * moved + 2 * SINGLE * count * inner


def find_stored(references: Sequence[str], family: Family, config: Config) -> int:
    """Bytes of a number in the files of two models."""
    total = sum(path.stat().st_size for each in references for path in find_files(each))
    parameters = sum(math.prod(shape) for shape in family.layout(config).shapes.values())
    return HALF if total < 1.5 * HALF * len(references) * parameters else SINGLE


def count_outputs(family: Family, config: Config, examples: int, length: int) -> int:
    """Numbers of the outputs of one model that the function check keeps (`few_enough`)."""
    sizes = family.sizes(config)
    if "tokens" not in sizes or family.predicts(config) == "label":
        return examples * max(1, sizes.get("classes", 1))
    each = min(length, sizes.get("context", length)) * sizes["tokens"]
    return each * max(1, min(examples, OUTPUTS // each))


def count_maps(layout: Layout) -> int:
    """Bytes of the maps of all spaces."""
    total = 0
    for space in layout.spaces.values():
        inner = space.copies * space.size**2
        if space.within is not None and space.kind not in ("units", "queries", "experts"):
            total += MAPPED * inner
        elif space.within is None and space.kind == "residual":
            total += (DOUBLE + SINGLE) * inner
    return total


def list_sizes(family: Family, config: Config) -> list[int]:
    """Numbers of every parameter while models are matched."""
    shapes = family.layout(config).shapes
    sizes = [math.prod(shape) for shape in shapes.values()]
    tied = family.rewrite(config).tied
    if tied is not None and not tied.stays:  # the head is a matrix of its own then
        sizes.append(math.prod(shapes[tied.table]))
    return sizes


def estimate_stream(
    layout: Layout, stored: int, largest: Sequence[int], first: int | None = None
) -> int:
    """Bytes for a visit of the residual stream: of both models the parameters that threads read
    side by side, of which there are so many numbers, and sums.

    Args:
        layout: of both models.
        stored: bytes of a number in their files.
        largest: numbers of the largest parameters.
        first: bytes of a number of the two that are there at once; by default both as they are
            stored.
    """
    width = max((s.size for s in layout.spaces.values() if s.kind == "residual"), default=0)
    read = sum(size * (first or 2 * stored) + PIECES * min(size, CHUNK) for size in largest)
    waiting = AHEAD * len(largest) if len(largest) > 1 else 1
    return read + (GRAMS + waiting) * DOUBLE * width**2


def estimate_units(layout: Layout, side: int) -> int:
    """Bytes for the best order of the units of a layer: their similarity and its factors, or what
    an assignment of few takes, for each thread; and what is made of a matrix of the layer, which
    two threads rarely do at once.
    """
    spaces = layout.spaces.values()
    size = max((s.size for s in spaces if s.kind == "units" and s.within is None), default=0)
    width = max((s.size for s in spaces if s.kind == "residual"), default=0)
    similarity = size**2 * (SINGLE + (HALF if size > SMALL else 2 * DOUBLE))
    return side * similarity + WHOLE * size * width
