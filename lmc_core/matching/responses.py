"""What two models compute on the same inputs, as blocks of a layout: Gram matrices between their
activations.

Activations transform like parameters. What a linear layer reads from a space, x, becomes T x once
the space is moved by T, so the matrix X `[tokens, n]` of all of them is a block "* +space"; what
the layer makes of it, y = W x + b, has the other axes of W in their own roles (keys become T^-T k).
All that matching asks of two such matrices is their Gram matrix,

    M = X_A^T X_B,      <X_A, X_B T^T> = sum_ij M[i, j] T[i, j] = <I, M T^T>,

so the pair of blocks (I, M) stands for (X_A, X_B) however many tokens there are.

A layer reads along the last axis of its weight when all spaces there are read, else along the first
(layers stored `[in, out]`). Inputs are caught at the module; outputs are computed from the block,
so that fused projections, routers and stacked experts need nothing of their own: every expert
answers every token. Queries and keys are seen before rotary positions turn them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from lmc_core.models.model import Model
from lmc_core.models.texts import as_long_as_all
from lmc_core.symmetry.arithmetic import precise
from lmc_core.symmetry.layout import Axis, Block, Layout
from lmc_core.tasks.task import Examples

SIGNS = {"writes": "+", "reads": "-", "order": "="}
LARGEST = 2**24  # entries of a Gram matrix, 128 MB; wider activations are left out
BATCH = 32  # examples


@dataclass(frozen=True)
class Site:
    """A place of the network whose activations live in known spaces.

    Attributes:
        name: unique, e.g. ``blocks.0.up.output``.
        module: whose input is caught.
        block: of the layer's weight.
        reading: axes of the block that the layer reads along.
        axes: of one token's activation.
        shape: their sizes.
    """

    name: str
    module: str
    block: Block
    reading: tuple[int, ...]
    axes: tuple[Axis, ...]
    shape: tuple[int, ...]

    @property
    def made(self) -> bool:
        """Whether it is what the layer makes, not what it reads."""
        return self.name.endswith(".output")

    @property
    def pattern(self) -> str:
        """Of the Gram matrix: model A's coordinates, on which nothing acts, then B's axes."""
        return " ".join(
            ["*", *(f"{SIGNS[axis.role]}{axis.space}" if axis.space else "*" for axis in self.axes)]
        )


@dataclass(frozen=True)
class Response:
    """Sums over the same tokens of both models at one site, float64 (`symmetry.arithmetic`), where
    the models ran.

    Attributes:
        gram: X_A^T X_B `[n, n]`.
        totals: sums of X_A and of X_B, `[2, n]`.
        squares: sums of their squares, `[2, n]`.
        count: number of tokens.
    """

    gram: Tensor
    totals: Tensor
    squares: Tensor
    count: int

    @classmethod
    def of(cls, x: Tensor, y: Tensor) -> Response:
        """The sums over some tokens, `[tokens, n]` of each model."""
        x, y = precise(x), precise(y)
        totals, squares = (
            torch.stack([x.sum(0), y.sum(0)]),
            torch.stack([x.square().sum(0), y.square().sum(0)]),
        )
        return cls(x.mT @ y, totals, squares, len(x))

    def __add__(self, other: Response) -> Response:
        """The sums over the tokens of both."""
        return Response(
            self.gram + other.gram,
            self.totals + other.totals,
            self.squares + other.squares,
            self.count + other.count,
        )

    def centred(self) -> Response:
        """The same sums about the means."""
        gram = self.gram - self.totals[0][:, None] * self.totals[1] / self.count
        squares = (self.squares - self.totals.square() / self.count).clamp_min(0)
        return Response(gram, torch.zeros_like(self.totals), squares, self.count)


def sites(layout: Layout) -> list[Site]:
    """All places of a layout whose activations can be seen."""
    found: dict[str, Site] = {}
    for block in layout.blocks:
        reading = reading_axes(layout, block)
        if not reading:
            continue
        module = block.parameter.rpartition(".")[0]
        sizes = _sizes(layout, block)
        entry = tuple(Axis(block.axes[i].space) for i in reading)
        name = f"{module}.input"
        found.setdefault(
            name, Site(name, module, block, reading, entry, tuple(sizes[i] for i in reading))
        )
        others = [i for i in range(len(sizes)) if i not in reading]
        if any(block.axes[i].space for i in others):
            name = f"{block.name.removesuffix('.weight')}.output"
            axes, shape = tuple(block.axes[i] for i in others), tuple(sizes[i] for i in others)
            found[name] = Site(name, module, block, reading, axes, shape)
    return [site for site in found.values() if math.prod(site.shape) ** 2 <= LARGEST]


def reading_axes(layout: Layout, block: Block) -> tuple[int, ...]:
    """Which axes of a block its layer reads its input along; none for tables, biases, gains, and
    the inner side of experts.
    """
    shape = layout.shapes[block.parameter]
    for last in (True, False) if len(shape) > 1 else ():
        group = _axes_at(layout, block, last)
        axes = [block.axes[i] for i in group]
        names = {axis.space for axis in axes}
        if axes and all(
            axis.space and axis.role == "reads" and {*layout.path(axis.space)} <= names
            for axis in axes
        ):
            return group
    return ()


def _axes_at(layout: Layout, block: Block, last: bool) -> tuple[int, ...]:
    """The axes of a block that the last (or first) axis of its parameter is cut into; none where
    the cut goes across it.
    """
    shape = layout.shapes[block.parameter]
    sizes = block.view_shape(layout.spaces, math.prod(shape))
    numbers = [word for word, index in enumerate(block.slices) if not isinstance(index, int)]
    wanted, length = shape[-1 if last else 0], 1
    found: list[int] = []
    for word in reversed(range(len(sizes))) if last else range(len(sizes)):
        if length == wanted:
            break
        length *= sizes[word]
        if word in numbers:
            found.append(numbers.index(word))
    return tuple(sorted(found)) if length == wanted else ()


def _sizes(layout: Layout, block: Block) -> tuple[int, ...]:
    whole = block.view_shape(layout.spaces, math.prod(layout.shapes[block.parameter]))
    cut = zip(whole, block.slices, strict=True)
    return tuple(len(range(size)[index]) for size, index in cut if not isinstance(index, int))


def responses(
    a: Model,
    b: Model,
    wanted: Sequence[Site],
    examples: Examples,
    tokens: int,
    device: str = "cpu",
    seed: int = 0,
    batch: int = BATCH,
    progress: Callable[[float], None] = lambda share: None,
) -> dict[Site, Response]:
    """Run both models on the same examples and add up what every site needs.

    Args:
        a: the first model.
        b: the second, of the same layout.
        wanted: sites to look at; of inputs that are one tensor only the first is kept.
        examples: whose inputs are taken.
        tokens: how many are looked at, the same number of each example and at least one; drawn by
            `seed`.
        device: where the models run.
        seed: of the draw.
        batch: examples at once; it does not matter for the result.
        progress: called with the share done; may raise to stop.

    Returns:
        The sums by site. Sites that no forward pass reached are left out.
    """
    watched = [Watched(model, wanted, device) for model in (a, b)]
    sums: dict[Site, Response] = {}
    draw = Draw(len(examples), tokens, seed)
    done = 0
    for part in examples.batches(batch):
        one, two = (
            model.run(part.inputs, partial(draw.rows, done, len(part))) for model in watched
        )
        for site in [site for site in one if site in two]:
            found = Response.of(one[site], two[site])
            sums[site] = sums[site] + found if site in sums else found
        done += len(part)
        progress(done / len(examples))
    return sums


class Draw:
    """Which tokens of some examples are looked at: the same number of each, at least one.

    Args:
        examples: how many there are.
        tokens: how many are looked at in all.
        seed: of the draw.
    """

    def __init__(self, examples: int, tokens: int, seed: int):
        self.examples, self.each, self.seed = examples, max(1, tokens // examples), seed
        self._drawn: dict[int, Tensor] = {}

    def rows(self, start: int, count: int, places: int) -> Tensor:
        """Rows of an activation `[count * places, n]` that are kept, with the same places of an
        example at every site.
        """
        if places <= self.each:
            return torch.arange(count * places)
        if places not in self._drawn:
            scores = torch.rand(
                self.examples, places, generator=torch.Generator().manual_seed(self.seed)
            )
            self._drawn[places] = scores.topk(self.each).indices.sort().values
        return (
            self._drawn[places][start : start + count] + places * torch.arange(count)[:, None]
        ).flatten()


class Watched:
    """A model whose modules' inputs are caught."""

    def __init__(self, model: Model, wanted: Sequence[Site], device: str):
        self.model, self.wanted, self.device = model, wanted, device
        self.module = model.module(device=device)
        self.caught: dict[str, Tensor] = {}
        for name in {site.module: None for site in wanted}:
            self.module.get_submodule(name).register_forward_pre_hook(
                self._hook(name), with_kwargs=True
            )

    def _hook(
        self, name: str
    ) -> Callable[[nn.Module, tuple[object, ...], dict[str, object]], None]:
        def catch(module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
            found = next(
                (value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None
            )
            if found is not None:
                self.caught.setdefault(name, found)

        return catch

    @torch.no_grad()
    def run(self, inputs: Tensor, rows: Callable[[int], Tensor]) -> dict[Site, Tensor]:
        """One batch: `[rows, n]` for every site."""
        self.caught.clear()
        inputs = as_long_as_all(inputs)
        self.model.family.outputs(self.module, inputs.to(self.device))
        found: dict[Site, Tensor] = {}
        seen: set[tuple[int, str]] = set()
        for site in self.wanted:
            length = math.prod(_sizes(self.model.layout, site.block)[i] for i in site.reading)
            caught = self.caught.get(site.module)
            if caught is None or caught.shape[-1] != length:
                continue
            same = caught.data_ptr(), site.pattern
            if not site.made and same in seen:
                continue
            seen.add(same)
            tall = caught.reshape(-1, length)
            kept = tall[rows(len(tall) // len(inputs)).to(self.device)]
            found[site] = self._made(site, kept) if site.made else kept
        return found

    def _made(self, site: Site, x: Tensor) -> Tensor:
        """W x + b, `[rows, n]`."""
        layout, state = self.model.layout, self.model.state
        weight = layout.view(state, site.block)
        x = x.view(len(x), *(weight.shape[i] for i in site.reading))
        both = [*range(1, x.ndim)], [*site.reading]
        made = torch.tensordot(x, weight.to(x), both)  # pyright: ignore[reportArgumentType]
        bias = layout.by_name.get(f"{site.block.name.removesuffix('.weight')}.bias")
        if bias is not None:
            made = made + layout.view(state, bias).to(x)
        return made.flatten(1)
