"""Permutations that can move while everything else is learned.

For every space that is permuted there is a matrix of latents Z, and the permutation is the
assignment that maximises <Z, P>. Z begins as the cosine similarity of what model A and model B, as
it was brought over, have along the space, so that the start is near what matching found, and the
gap between the best and the second-best partner of a unit is what a gradient has to overcome. The
loss sees P through the matrix that it is; its derivative for every entry,

    dL / dP[i, j] = sum over blocks of <dL / d(T x)[i], x[j]>,

tells what the loss would gain, to first order, if coordinate i had what stands at j. Z follows it
by Adam's normalised steps and P is assigned anew. (Dual averaging over the permutation matrices;
with latents that begin at the identity and a rate of 3e-4, as published, no row moves within
hundreds of steps.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from lmc_core.matching.objective import layers
from lmc_core.matching.solvers import assignment
from lmc_core.symmetry.elements import Element, Monomial, Permutation, Role
from lmc_core.symmetry.layout import Layout, State
from lmc_core.symmetry.spaces import Classes, Space, SymmetryClass, class_of

MOVES = {SymmetryClass.PERMUTATION, SymmetryClass.SIGNED, SymmetryClass.SCALED}


@dataclass(frozen=True)
class Probed(Monomial):
    """A monomial map that also lets the loss see its permutation as a matrix: a zero `probe` gets
    the derivative.
    """

    probe: Tensor | None = None

    def act(self, x: Tensor, role: Role) -> Tensor:
        """Act as a `Monomial` does; backwards, the probe collects dL/dP."""
        if self.probe is None:
            return super().act(x, role)
        moved = _Reordered.apply(x, self.indices, self.probe)
        if role == "order":
            return moved
        return moved * (1 / self.scales if role == "reads" else self.scales)[..., None]


class _Context(FunctionCtx):
    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]


class _Reordered(torch.autograd.Function):
    """Rows by an index, with the derivative for the permutation matrix behind it."""

    @staticmethod
    def forward(ctx: _Context, x: Tensor, indices: Tensor, probe: Tensor) -> Tensor:
        ctx.save_for_backward(x, indices)
        return Permutation(indices).act(x, "writes")

    @staticmethod
    def backward(ctx: _Context, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, indices = ctx.saved_tensors
        (gradient,) = gradients
        back = (
            Permutation(indices.argsort(-1)).act(gradient, "writes")
            if ctx.needs_input_grad[0]
            else None
        )
        return back, None, gradient @ x.mT


class LatentsState(TypedDict):
    """What an interrupted run needs of some permutations."""

    latents: dict[str, Tensor]
    indices: dict[str, Tensor]
    adam: dict[str, object] | None


class PermutationLatents:
    """Latents and present order of every permuted space that can move by itself.

    Args:
        spaces: those that move, see `moving`.
        similarity: by name of space, cosines `[n, n]`, or `[copies, n, n]`.
        rate: Adam's, in units of a cosine.
    """

    def __init__(self, spaces: list[Space], similarity: Mapping[str, Tensor], rate: float):
        self.spaces = spaces
        self.latents = {s.name: similarity[s.name].float() for s in self.spaces}
        self.indices = {
            name: torch.arange(z.shape[-1]).expand(z.shape[:-1]).clone()
            for name, z in self.latents.items()
        }
        self.probes: dict[str, Tensor] = {}
        self._adam = (
            torch.optim.Adam(list(self.latents.values()), lr=rate, betas=(0.9, 0.98))
            if self.latents
            else None
        )

    @staticmethod
    def moving(spaces: Mapping[str, Space], classes: Classes) -> list[Space]:
        """The spaces that can move: those that are permuted, unless a space within has maps of its
        own.

        (The planes of a head would have to be matched anew for every partner.)
        """
        inner = {
            s.within for s in spaces.values() if class_of(s, classes) is not SymmetryClass.NONE
        }
        return [s for s in spaces.values() if class_of(s, classes) in MOVES and s.name not in inner]

    def elements(
        self, scales: Mapping[str, Tensor], device: str, probed: bool
    ) -> dict[str, Element]:
        """The present order of every space, with a probe for its derivative if asked for; `scales`
        of those that have some.
        """
        found: dict[str, Element] = {}
        self.probes = {}
        for space in self.spaces:
            indices = self.indices[space.name].to(device)
            by = scales.get(space.name)
            if probed:
                self.probes[space.name] = probe = torch.zeros(
                    self.latents[space.name].shape, device=device, requires_grad=True
                )
                found[space.name] = Probed(
                    indices, torch.ones_like(probe[..., 0]) if by is None else by, probe
                )
            else:
                found[space.name] = Permutation(indices) if by is None else Monomial(indices, by)
        return found

    def step(self, share: float) -> None:
        """Follow the derivatives that the last backward pass left in the probes, and assign anew;
        `share` of the full rate.
        """
        if self._adam is None:
            return
        for name, latent in self.latents.items():
            probe = self.probes.get(name)
            latent.grad = None if probe is None or probe.grad is None else probe.grad.cpu()
        for group in self._adam.param_groups:
            group["lr"], kept = group["lr"] * share, group["lr"]
            self._adam.step()
            group["lr"] = kept
        self.assign()

    def assign(self) -> None:
        """Take the best assignment of every space."""
        for name, latent in self.latents.items():
            values = latent.double()
            flat = values.flatten(0, -3) if values.ndim > 2 else values[None]
            self.indices[name] = torch.stack([assignment(each) for each in flat]).view(
                values.shape[:-1]
            )

    def moved(self) -> dict[str, int]:
        """By space, how many rows stand elsewhere than at the start."""
        return {
            name: int((i != torch.arange(i.shape[-1])).sum()) for name, i in self.indices.items()
        }

    def state(self) -> LatentsState:
        """Everything that an interrupted run needs."""
        adam = None if self._adam is None else self._adam.state_dict()
        return {"latents": self.latents, "indices": self.indices, "adam": adam}

    def restore(self, state: LatentsState) -> None:
        """Go back to what `state` returned."""
        for name, latent in state["latents"].items():
            self.latents[name].copy_(latent)
        self.indices = {name: indices.clone() for name, indices in state["indices"].items()}
        if self._adam is not None and state["adam"] is not None:
            self._adam.load_state_dict(state["adam"])


def cosines(layout: Layout, a: State, b: State, names: list[str]) -> dict[str, Tensor]:
    """Cosine similarity, along some spaces, of all that two models have there; a weight with its
    bias counts as one layer.

    Returns:
        By name of space, float64 `[n, n]`, or `[copies, n, n]` for spaces within others.
    """
    found = {}
    for name in names:
        blocks = [
            block
            for block in layout.blocks
            if not block.twice and any(axis.space == name for axis in block.axes)
        ]
        scale = {block.name: 1.0 for block in blocks}
        for members in layers(blocks).values():
            norm = (
                sum(
                    float(layout.view(a, layout.by_name[each]).double().square().sum())
                    for each in members
                )
                ** 0.5
            )
            for each in members:
                scale[each] = 1 / max(norm, 1e-300)
        sides = [
            torch.cat(
                [
                    scale[block.name] * layout.copies(layout.view(s, block).double(), block, name)
                    for block in blocks
                ],
                -1,
            )
            for s in (a, b)
        ]
        sides = [side / side.norm(dim=-1, keepdim=True).clamp_min(1e-300) for side in sides]
        found[name] = sides[0] @ sides[1].mT
    return found
