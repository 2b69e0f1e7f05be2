"""Weight matching of GPT-2s written straight from the description in the literature, to be compared
with in `speed.py`.

After Theus et al. 2025 (arXiv 2506.22712): models in the form that an RMSNorm would read (gains
folded, writers centred), then a fixed number of rounds, each of which

1. orders the units of every feed-forward block by assignment on what enters and leaves them,
2. orders the heads of every block by assignment on their circuits W_q W_k^T and W_v W_o, multiplied
   out to d x d per head,
3. rotates the residual stream by Procrustes on all blocks: tables, head, feed-forward matrices,
   both circuits of every head.

The circuits do not change when the planes inside a head are mapped, so those are left alone. A
circuit has the stream on both sides, <C_A, R C_B R^T>; as usual the step is taken with one side
held. Nothing here is clever: dense float32 products, SciPy's assignment. First of all, as in our
own matching, the stream is rotated by the tables and the head alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.elements import Orthogonal, Permutation, ones_complement
from lmc_core.symmetry.layout import Layout

State = Mapping[str, Tensor]


class Side:
    """The matrices of one GPT-2 in canonical form as the description names them, float32, unit norm
    each; d x rest.
    """

    def __init__(self, state: State, layers: int, heads: int):
        def unit(tensor: Tensor) -> Tensor:
            return (tensor / tensor.norm()).float()

        head = state["lm_head.weight"] - state["lm_head.weight"].mean(0)
        self.tables = [
            unit(state[name].mT) for name in ("transformer.wte.weight", "transformer.wpe.weight")
        ] + [unit(head.mT)]
        self.into, self.biases, self.out_of = [], [], []
        self.query, self.key, self.value, self.output = [], [], [], []
        for layer in range(layers):
            at = f"transformer.h.{layer}"
            up = state[f"{at}.mlp.c_fc.weight"]  # d x units
            self.into.append(unit(up))
            self.biases.append((state[f"{at}.mlp.c_fc.bias"] / up.norm()).float())
            self.out_of.append(unit(state[f"{at}.mlp.c_proj.weight"].mT))  # d x units
            three = state[f"{at}.attn.c_attn.weight"].float().chunk(3, 1)
            # heads x d x plane
            split = [part.view(len(up), heads, -1).permute(1, 0, 2) for part in three]
            self.query.append(split[0])
            self.key.append(split[1])
            self.value.append(split[2])
            # heads x d x plane
            self.output.append(
                state[f"{at}.attn.c_proj.weight"].float().view(heads, -1, len(up)).mT
            )

    def circuits(self, layer: int) -> list[Tensor]:
        """Both circuits of every head, heads x d x d, of unit norm as a whole."""
        found = (self.query[layer] @ self.key[layer].mT, self.value[layer] @ self.output[layer].mT)
        return [each / each.norm() for each in found]

    def rotate(self, rotation: Tensor) -> None:
        """Rotate the stream."""
        for each in (
            self.tables,
            self.into,
            self.out_of,
            self.query,
            self.key,
            self.value,
            self.output,
        ):
            each[:] = [rotation @ tensor for tensor in each]


def match_reference(
    layout: Layout, a: State, b: State, layers: int, heads: int, rounds: int = 15
) -> Alignment:
    """Move `b` onto `a`.

    Args:
        layout: of both models.
        a: parameters of a GPT-2 with a head of its own, in canonical form.
        b: parameters of another.
        layers: number of blocks.
        heads: of each block.
        rounds: passes over all steps.

    Returns:
        An alignment whose planes are not moved.
    """
    one, two = Side(a, layers, heads), Side(b, layers, heads)
    width = len(one.into[0])
    rotation = _procrustes(_sum(one.tables, two.tables))
    two.rotate(rotation.float())
    units = [torch.arange(matrix.shape[1]) for matrix in two.into]
    orders = [torch.arange(heads) for _ in range(layers)]
    for _ in range(rounds):
        total = _sum(one.tables, two.tables)
        for layer in range(layers):
            similarity = (
                one.into[layer].mT @ two.into[layer] + one.out_of[layer].mT @ two.out_of[layer]
            )
            similarity += one.biases[layer][:, None] * two.biases[layer]
            order = _assign(similarity)
            units[layer] = units[layer][order]
            two.into[layer], two.out_of[layer] = (
                two.into[layer][:, order],
                two.out_of[layer][:, order],
            )
            two.biases[layer] = two.biases[layer][order]
            ours, theirs = one.circuits(layer), two.circuits(layer)
            circuits = [x.flatten(1) @ y.flatten(1).mT for x, y in zip(ours, theirs, strict=True)]
            order = _assign(torch.stack(circuits).sum(0))
            orders[layer] = orders[layer][order]
            for part in (two.query, two.key, two.value, two.output):
                part[layer] = part[layer][order]
            total += _sum(
                [one.into[layer], one.out_of[layer]], [two.into[layer], two.out_of[layer]]
            )
            for x, y in zip(ours, theirs, strict=True):
                total += sum(
                    p @ q[i].mT + p.mT @ q[i] for p, i in zip(x, order, strict=True) for q in (y,)
                )
        step = _procrustes(total)
        two.rotate(step.float())
        rotation = step @ rotation
    elements: dict[str, Orthogonal | Permutation] = {"residual": Orthogonal(rotation)}
    for layer in range(layers):
        elements[f"units.{layer}"] = Permutation(units[layer])
        elements[f"heads.{layer}"] = Permutation(orders[layer])
    assert len(rotation) == width
    return Alignment.of(layout.spaces, elements)


def _sum(ours: list[Tensor], theirs: list[Tensor]) -> Tensor:
    return torch.stack([x @ y.mT for x, y in zip(ours, theirs, strict=True)]).sum(0)


def _assign(similarity: Tensor) -> Tensor:
    return torch.from_numpy(linear_sum_assignment(similarity.numpy(), maximize=True)[1])


def _procrustes(total: Tensor) -> Tensor:
    """The best rotation that keeps the all-ones vector, float64."""
    basis = ones_complement(len(total))
    u, _, vt = torch.linalg.svd(basis.mT @ total.double() @ basis)
    return basis @ u @ vt @ basis.mT + 1 / len(total)
