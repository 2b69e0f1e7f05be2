"""How much memory aligning two models of unequal widths takes whose models are read one parameter
at a time.

Held throughout are the outputs that the function check compares, and maps: what brings both models
into canonical form, what balances the planes of the narrow one as the wide one sees them, how its
spaces lie in those of the wide one, and what moves one of them. The most beside these is a table of
the widened model in float32 beside what it is made of, the tables of both models as they are
stored; or both of these while threads visit the residual stream; or the similarity of the units of
a layer, or the costs that its places are given away by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lmc_core.analysis.lazy_memory import (
    DOUBLE,
    FREED,
    GRAMS,
    LIBRARIES,
    PIECES,
    SINGLE,
    WHOLE,
    count_outputs,
    estimate_units,
    find_stored,
    list_sizes,
    read_plain,
)
from lmc_core.errors import Incompatible
from lmc_core.large_blocks import TOP
from lmc_core.models.common import different_heads
from lmc_core.models.config import Config
from lmc_core.models.family import Family
from lmc_core.models.fits import REPEATED, require_fits, wider
from lmc_core.models.lazy import PIECE
from lmc_core.models.model import Model
from lmc_core.side_by_side import AHEAD
from lmc_core.symmetry.alignment import CHUNK
from lmc_core.symmetry.layout import Layout
from lmc_core.symmetry.spaces import Space, SymmetryClass

# bytes for a number of a map that moves the wide model: what was found and the step that is tried,
# in float64, and each in float32 while it moves a block
MOVED = 2 * (DOUBLE + SINGLE)
# and of a matrix that embeds a stream: E and F in float64, and in float32 in the three models that
# are widened at once
EMBEDDED = 2 * DOUBLE + 3 * 2 * SINGLE
# for a place: its owner and both factors, as often
PLACE = 2 * (3 * DOUBLE) + 3 * (DOUBLE + 2 * SINGLE)
# bytes for a number of a piece: that of the wide model before and after it moves, in float64, and
# that of the widened one with what it is made of
FILLED = 2 * DOUBLE + 2 * SINGLE


@dataclass(frozen=True)
class Sizes:
    """A model as its files say, without its weights.

    Attributes:
        family: of the model.
        config: of the model.
        stored: bytes of a number in its files.
    """

    family: Family
    config: Config
    stored: int

    @property
    def layout(self) -> Layout:
        """Its spaces and blocks."""
        return self.family.layout(self.config)


def can_be_widened_lazily(references: Sequence[str]) -> bool:
    """Whether two models can be brought to one width and aligned by their weights without being
    held: files of plain tensors, one architecture, one with room for the other.
    """
    found = read_plain(references)
    if len(found) != 2:
        return False
    one, two = (Model(name, *each, state={}) for name, each in zip(references, found, strict=True))
    if one.family.name != two.family.name or different_heads(one, two):
        return False
    try:
        second = wider(one, two)
        if second is None:
            return False
        require_fits(*((one, two) if second else (two, one)))
    except Incompatible:  # said in full where they are loaded
        return False
    return True


def estimate_lazy_widths(references: Sequence[str], examples: int, length: int) -> int:
    """Bytes that aligning two models of unequal widths by their weights takes, read lazily, and
    writing them.

    Args:
        references: of both.
        examples: that the function check would run on.
        length: tokens of one.
    """
    both = []
    for reference, (family, config) in zip(references, read_plain(references), strict=True):
        both.append(Sizes(family, config, find_stored([reference], family, config)))
    narrow, wide = sorted(both, key=lambda each: sum(list_sizes(each.family, each.config)))
    return estimate_widened(narrow, wide, examples, length)


def estimate_widened(narrow: Sizes, wide: Sizes, examples: int, length: int) -> int:
    """The same for a narrow and a wide model, whichever of them moves."""
    side = torch.get_num_threads()  # tables that are looked at side by side, and layers
    outputs = SINGLE * count_outputs(wide.family, wide.config, examples, length)
    sizes = zip(*(list_sizes(each.family, each.config) for each in (wide, narrow)), strict=True)
    tables = sorted(sizes, reverse=True)
    large, small = tables[0]
    stored = large * wide.stored + small * narrow.stored
    filled = large * SINGLE + stored + FILLED * min(large, CHUNK)
    forward = max(filled, large * SINGLE + FREED + outputs)
    visit = _visit(narrow, wide, tables[:side])
    units = _units(narrow.layout, wide.layout, side)
    given = _give_away(narrow.layout, wide.layout)
    # looked at once more for values that its type does not hold
    saving = large * (SINGLE + wide.stored) + TOP + 2 * PIECES * min(large, PIECE) // SINGLE
    most = max(forward, visit, units, given, saving)
    return LIBRARIES + 2 * outputs + count_widened_maps(narrow, wide) + most


def count_widened_maps(narrow: Sizes, wide: Sizes) -> int:
    """Bytes of the maps of both models, and of how one lies in the other."""
    total = count_balancing(wide) + 2 * count_balancing(narrow)  # as it is, and as it is seen
    spaces = narrow.layout.spaces
    for name, space in wide.layout.spaces.items():
        inner = space.within is not None and space.kind not in (*REPEATED, "experts")
        if inner or (space.within is None and space.kind == "residual"):
            total += MOVED * space.copies * space.size**2
        if space.size == spaces[name].size:
            continue
        if space.fixes_ones:
            total += EMBEDDED * space.size * spaces[name].size
        else:
            total += PLACE * space.copies * space.size
    return total


def count_balancing(model: Sizes) -> int:
    """Bytes of the maps that give both sides of every plane equal shares in the canonical form: a
    matrix in float32 for every block of a side, but for a bias that is held itself.
    """
    spaces, total = model.layout.spaces, 0
    for product in model.family.rewrite(model.config).products:
        space = spaces[product.space]
        if _has_matrices(space):
            blocks = {*product.left, *product.right} - {product.invisible}
            total += SINGLE * len(blocks) * space.copies * space.size**2
    return total


def _has_matrices(space: Space) -> bool:
    """Whether what balances a space is a matrix for each of its copies, not a number for each
    coordinate.
    """
    rotated = 0 if space.pairs is None else space.pairs.rotated
    return space.largest is SymmetryClass.INVERTIBLE or (
        space.largest is SymmetryClass.ROTARY and rotated < space.size
    )


def _visit(narrow: Sizes, wide: Sizes, tables: Sequence[tuple[int, int]]) -> int:
    """Bytes for a visit of the residual stream: of both models the tables that threads read side by
    side, as they are stored, and sums.

    Args:
        narrow: one model.
        wide: the other.
        tables: numbers of each in the wide and in the narrow model.
    """
    width = max((s.size for s in wide.layout.spaces.values() if s.kind == "residual"), default=0)
    read = sum(
        large * wide.stored + small * narrow.stored + 2 * PIECES * min(large, CHUNK)
        for large, small in tables
    )
    waiting = AHEAD * len(tables) if len(tables) > 1 else 1
    return read + (GRAMS + waiting) * DOUBLE * width**2


def _units(narrow: Layout, wide: Layout, side: int) -> int:
    """Bytes for the best order of the units of a layer, for each thread: their similarity in
    float32 and its costs in float64; and what is made of a matrix of the layer.

    Rows of copies have their largest entries in one column, too few columns for an assignment from
    a few candidates of each row.
    """
    size = max(
        (
            space.size
            for name, space in wide.spaces.items()
            if space.kind == "units" and space.within is None
            if narrow.spaces[name].size < space.size
        ),
        default=0,
    )
    width = max((s.size for s in wide.spaces.values() if s.kind == "residual"), default=0)
    repeated = side * (size**2 * (SINGLE + DOUBLE) + FREED) + WHOLE * size * width
    return max(estimate_units(wide, side), repeated)


def _give_away(narrow: Layout, wide: Layout) -> int:
    """Bytes for giving away the places of the largest space: the worth of each for every unit in
    float32, costs in float64 with as many columns as a unit may have places, and blocks of both
    models.
    """
    most = 0
    for name, space in wide.spaces.items():
        n, m = narrow.spaces[name].size, space.size
        if space.kind in REPEATED and n < m:
            worth = SINGLE * n * m * (space.copies if space.within is not None else 1)
            costs = DOUBLE * m * (n * -(-m // n) + m - n)
            most = max(most, worth + costs)
    largest = max(
        (
            math.prod(wide.shapes[block.parameter])
            for block in wide.blocks
            if all(axis.space is not None for axis in block.axes)
        ),
        default=0,
    )
    return most + 2 * SINGLE * largest + FREED
