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
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from lmc_core.matching.objective import layers
from lmc_core.matching.solvers import assignment
from lmc_core.symmetry.elements import Element, Monomial, Permutation
from lmc_core.symmetry.layout import Layout, State
from lmc_core.symmetry.spaces import Classes, Space, SymmetryClass, class_of

ROUNDS = 3  # towards prices; more cost what they save
MOVES = {SymmetryClass.PERMUTATION, SymmetryClass.SIGNED, SymmetryClass.SCALED}


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
        self._prices = {
            name: np.zeros((z[..., 0, 0].numel(), z.shape[-1])) for name, z in self.latents.items()
        }
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

    def elements(self, scales: Mapping[str, Tensor], device: str) -> dict[str, Element]:
        """The present order of every space; with the `scales` of those that have some."""
        found: dict[str, Element] = {}
        for space in self.spaces:
            indices = self.indices[space.name].to(device)
            by = scales.get(space.name)
            found[space.name] = Permutation(indices) if by is None else Monomial(indices, by)
        return found

    def step(self, probes: Mapping[str, Tensor], share: float) -> None:
        """Follow the derivatives dL / dP of some spaces, and assign anew; `share` of the full
        rate.
        """
        if self._adam is None:
            return
        for name, latent in self.latents.items():
            latent.grad = probes[name].cpu() if name in probes else None
        for group in self._adam.param_groups:
            group["lr"], kept = group["lr"] * share, group["lr"]
            self._adam.step()
            group["lr"] = kept
        self.assign()

    def assign(self) -> None:
        """Take the best assignment of every space."""
        for name, latent in self.latents.items():
            values = latent.cpu().double().view(-1, *latent.shape[-2:]).numpy()
            before = self.indices[name].view(len(values), -1).numpy()
            found = [
                _assign_again(each, *rest)
                for each, *rest in zip(values, before, self._prices[name], strict=True)
            ]
            self.indices[name] = torch.stack(found).view(latent.shape[:-1])

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


def _assign_again(values: np.ndarray, before: np.ndarray, prices: np.ndarray) -> Tensor:
    """The best assignment of latents that have changed little, with the one before, and the prices
    of columns that go with it, which are changed in place.

    Columns j have prices v with v[j] - v[p[i]] >= Z[i, j] - Z[i, p[i]] where p is the best
    assignment (Bertsekas 1988). A few rounds towards such prices either show that p still is the
    best, or leave the solver with costs that differ little along the assignment: half the time.
    """
    there = np.arange(len(values))
    gains = values - values[there, before][:, None]
    for _ in range(ROUNDS):
        raised = np.maximum(prices, (gains + prices[before][:, None]).max(0))
        if np.array_equal(raised, prices):
            return torch.from_numpy(before.copy())
        prices[:] = raised
    prices -= prices.min()
    rest = values - prices
    return assignment(torch.from_numpy(rest - rest.max(1, keepdims=True)))


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
