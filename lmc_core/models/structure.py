"""How a family writes its layout and its canonical rewrite down: spaces, parameters and norms in
the order of the network.

    s = Structure("gpt2") s.space("residual", "residual", 768, ROTATIONS, "LayerNorm divides by the
    length of the stream", fixes_ones=True) s.parameter("token.table", "transformer.wte.weight", "*
    +residual", (50257, 768)) s.linear("blocks.0.up", "transformer.h.0.mlp.fc", "+units.0",
    "-residual")

Blocks of parameters are named alike in every family: `blocks.3.query.weight`,
`blocks.3.norm1.gain`, `blocks.3.up.bias`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from lmc_core.symmetry.layout import Block, Layout
from lmc_core.symmetry.rewrite import LayerScale, Norm, Product, Reader, Rewrite, Tied
from lmc_core.symmetry.spaces import Pairs, Space, SymmetryClass

Parts = Iterable[tuple[str, str]]  # (name of a block, its pattern)


class Structure:
    """The spaces, blocks, norms and products of one network, as they are written down."""

    def __init__(self, family: str):
        self.family = family
        self.spaces: dict[str, Space] = {}
        self.blocks: list[Block] = []
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._rewrite = Rewrite()

    def space(
        self,
        name: str,
        kind: str,
        size: int,
        classes: tuple[SymmetryClass, ...],
        reason: str,
        within: str | None = None,
        fixes_ones: bool = False,
        pairs: Pairs | None = None,
        positive: bool = False,
    ) -> str:
        """Add a space and return its name; the number of its copies follows from the space it is
        within.
        """
        outer = self.spaces[within] if within else None
        copies = outer.copies * outer.size if outer else 1
        self.spaces[name] = Space(
            name, kind, size, classes, reason, within, copies, fixes_ones, pairs, positive
        )
        return name

    def size(self, pattern: str) -> int:
        """Number of places that the words of a pattern span; it must have no `*`."""
        words = Block("", "", pattern).view_shape(self.spaces, 0)
        return math.prod(words)

    def parameter(
        self,
        block: str,
        name: str,
        pattern: str,
        shape: tuple[int, ...],
        ignores_mean_over: int | tuple[int, ...] | None = None,
    ) -> None:
        """Add a parameter that is one block."""
        self.fused(name, shape, [(block, pattern)], ignores_mean_over)

    def fused(
        self,
        name: str,
        shape: tuple[int, ...],
        parts: Parts,
        ignores_mean_over: int | tuple[int, ...] | None = None,
    ) -> None:
        """Add a parameter that holds several blocks."""
        self.shapes[name] = tuple(shape)
        self.blocks += [Block(block, name, pattern, ignores_mean_over) for block, pattern in parts]

    def linear(
        self,
        block: str,
        name: str,
        writes: str,
        reads: str,
        bias: bool = True,
        transposed: bool = False,
        rows: int | None = None,
        ignores_mean_over: int | tuple[int, ...] | None = None,
    ) -> tuple[str, str | None]:
        """Add a linear layer `name.weight` `[out, in]` and `name.bias`; returns the names of both
        blocks.

        Args:
            block: its blocks are called `block.weight` and `block.bias`.
            name: of the layer in the state dict.
            writes: pattern of the outgoing axis; "*" with `rows` for one that no symmetry touches.
            reads: pattern of the incoming axis.
            bias: whether it has one.
            transposed: stored `[in, out]`, as `Conv1D` does.
            rows: length of an outgoing axis "*".
            ignores_mean_over: see `Block`.
        """
        out = rows if rows is not None else self.size(writes)
        shape, pattern = (out, self.size(reads)), f"{writes} {reads}"
        if transposed:
            shape, pattern = shape[::-1], f"{reads} {writes}"
        self.parameter(f"{block}.weight", f"{name}.weight", pattern, shape, ignores_mean_over)
        if bias:
            self.parameter(f"{block}.bias", f"{name}.bias", writes, (out,), ignores_mean_over)
        return f"{block}.weight", f"{block}.bias" if bias else None

    def norm(
        self,
        block: str,
        name: str,
        readers: Iterable[tuple[str, str | None]] | None,
        space: str = "residual",
        offset: bool = True,
        gain: bool = True,
        centred: bool = True,
        unit: float = 1.0,
    ) -> None:
        """Add a norm `name.weight`, `name.bias`, and what reads it; `readers` is None where others
        see its output too.

        Args:
            block: its blocks are called `block.gain` and `block.offset`.
            name: of the norm in the state dict.
            readers: every reader's weight and bias, by names of blocks.
            space: what it normalises.
            offset: whether it has one.
            gain: whether it has one.
            centred: LayerNorm; RMSNorm is not.
            unit: the stored gain that means 1.
        """
        size = (self.spaces[space].size,)
        if gain:
            self.parameter(f"{block}.gain", f"{name}.weight", f"={space}", size)
        if offset:
            # of an output's offset the mean is seen, unlike that of what is written to a stream
            # before LayerNorms
            fixed = readers is None and centred and self.spaces[space].largest is SymmetryClass.NONE
            self.parameter(f"{block}.offset", f"{name}.bias", "*" if fixed else f"+{space}", size)
        if readers is not None:
            found = f"{block}.gain" if gain else None, f"{block}.offset" if offset else None
            self.add_norm(*found, tuple(readers), space, centred, unit)

    def _append(
        self, field: str, *items: Norm | Product | LayerScale | str | tuple[object, ...]
    ) -> None:
        """Append to one of the tuples of the `Rewrite`."""
        self._rewrite = replace(self._rewrite, **{field: (*getattr(self._rewrite, field), *items)})

    def add_norm(
        self,
        gain: str | None,
        offset: str | None,
        readers: tuple[Reader, ...],
        space: str = "residual",
        centred: bool = True,
        unit: float = 1.0,
    ) -> None:
        """Say what reads a norm whose parameters, if it has any, were added before; see `Norm`."""
        self._append("norms", Norm(gain, offset, readers, space, centred, unit))

    def layer_scale(
        self, scale: str, writers: tuple[str | None, ...], space: str = "residual"
    ) -> None:
        """Say that a vector scales what a layer writes; see `LayerScale`."""
        self._append("layer_scales", LayerScale(scale, writers, space))

    def multiply(self, block: str, number: float) -> None:
        """Say that the network multiplies a table by a number that depends on its width."""
        self._append("multiplied", (block, number))

    def product(
        self,
        space: str,
        left: tuple[str, ...],
        right: tuple[str, ...],
        invisible: str | None = None,
        constant: tuple[str, str, str] | None = None,
        gate: tuple[str, ...] = (),
        scale: float = 1.0,
        unseen: tuple[str, ...] = (),
    ) -> None:
        """Say that of two sides of a space only the product is seen; both get equal norms.

        Args:
            space: between them.
            left: blocks of one side, weights and biases.
            right: blocks of the other.
            invisible: see `Product`, as the others.
            constant: a bias that reaches the output as a constant, and what takes it.
            gate: blocks of a third side.
            scale: what the network multiplies the product by.
            unseen: biases on the right of which no output sees anything.
        """
        product = Product(space, left, right, invisible, constant, gate, scale, unseen)
        self._append("products", product)

    def centre(self, *spaces: str) -> None:
        """Say that nobody sees the mean over the coordinates of spaces, as under LayerNorm."""
        self._append("centred", *spaces)

    def sum(self, *blocks: str) -> None:
        """Say that of blocks only the sum of their constants is seen."""
        self._append("sums", blocks)

    def scale(self, *phrases: str) -> None:
        """Count one positive number for each phrase that a norm undoes."""
        self._append("scales", *phrases)

    def freedom(self, phrase: str, dimension: int) -> None:
        """Count a continuous freedom that no step of the rewrite uses."""
        self._append("further", (phrase, dimension))

    def tie(self, tied: Tied) -> None:
        """Say that the head shares the token table."""
        self._rewrite = replace(self._rewrite, tied=tied)

    def rename(self, old: str, new: str) -> None:
        """Let the parameters whose names begin with `old` begin with `new`, as in another class of
        the same body.
        """

        def renamed(name: str) -> str:
            return new + name.removeprefix(old) if name.startswith(old) else name

        self.shapes = {renamed(name): shape for name, shape in self.shapes.items()}
        self.blocks = [replace(block, parameter=renamed(block.parameter)) for block in self.blocks]

    @property
    def layout(self) -> Layout:
        """The spaces and blocks."""
        return Layout(self.family, dict(self.spaces), tuple(self.blocks), dict(self.shapes))

    @property
    def rewrite(self) -> Rewrite:
        """What the canonical rewrite works on."""
        return self._rewrite
