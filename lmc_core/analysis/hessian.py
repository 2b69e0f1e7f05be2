"""How curved the loss is at a set of parameters, by products with its Hessian alone.

With L(w) the mean loss over a fixed batch of examples in nats, H = d2L/dw2 and g = dL/dw, a product
is H v = d(g . v)/dw (Pearlmutter 1994), found by differentiating twice; attention runs in its plain
form, since the fused one cannot be.

Which coordinates. H belongs to the coordinates w: a map w -> c(w) that leaves the function alone
gives J^T H J at a minimum, which has another spectrum unless J keeps lengths (Dinh et al. 2017,
arXiv 1703.04933). So a network is brought into its canonical form first, with the largest class of
every space: gains, means and scales are folded away, and of all weights with that function that the
invertible maps reach, these are the shortest (`symmetry.canonical`). What is left free keeps
lengths (permutations, rotations, signs), so that the spectrum follows from the function, however
the network was written before. That holds for the parameters that such a map mixes: gains and
offsets of norms, which the canonical form makes constants, are held fixed (`free_parameters`).

The *relative* Hessian is T H T with T = |W| for every number of a parameter W: the eigenvalue x is
the second derivative of the loss along a step in which each parameter moves by a share of its own
Frobenius norm. It is the layer-wise form of adaptive sharpness (Kwon et al. 2021, arXiv 2102.11600)
and does not change when a whole parameter is scaled and another undoes it; maps that keep lengths
leave it alone as well, which the element-wise form does not.

Choices of the top experts are piecewise constant: the Hessian of a mixture is that of the piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from lmc_core.errors import BadInput
from lmc_core.matching.aligned import canonical
from lmc_core.models.functional import Forward
from lmc_core.models.model import Model
from lmc_core.symmetry.spaces import choose_classes
from lmc_core.tasks.task import IGNORED, Examples

Tell = Callable[[float], None]
Product = Callable[[Tensor], Tensor]
# parameters times examples below which what was computed forwards is kept for all products
KEPT = 10**8
BATCH = 8  # examples that are differentiated at once where it is not
TOLERANCE = 1e-2  # of the largest eigenvalue, at which Lanczos stops
LEAST = 8  # steps of it
ROUNDING = 1e-5  # of the largest eigenvalue, below which the sign of another is rounding


def in_canonical_form(model: Model) -> Model:
    """The network in the coordinates that its Hessian is taken in, in float64 on the CPU: its
    canonical form for the largest class of every space.
    """
    return canonical(model, choose_classes(model.layout.spaces))


def free_parameters(model: Model) -> tuple[str, ...]:
    """Names of the parameters that a Hessian is taken of: all but the gains and offsets of norms
    and the scales of layers, which the canonical form makes constants.
    """
    rewrite = model.family.rewrite(model.config)
    fixed = {norm.gain for norm in rewrite.norms} | {norm.offset for norm in rewrite.norms}
    fixed |= {each.scale for each in rewrite.layer_scales}
    held = {model.layout.by_name[name].parameter for name in fixed if name is not None}
    return tuple(name for name in model.state if name not in held)


def mean_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean over examples of their losses in nats, each the mean over its targets; in the
    precision of the logits, float32 at least.

    Args:
        logits: `[n, classes]` or `[n, length, classes]`.
        targets: `[n]` or `[n, length]`; where they are `IGNORED`, nothing is counted.
    """
    rows = logits.flatten(0, -2)
    rows = rows if rows.dtype is torch.float64 else rows.float()
    each = F.cross_entropy(rows, targets.flatten(), ignore_index=IGNORED, reduction="none")
    counted = (targets != IGNORED).reshape(len(targets), -1).sum(1)
    return (each.view(len(targets), -1).sum(1) / counted).mean()


class LossHessian:
    """The Hessian of the mean loss of a network on some examples, as products with vectors.

    Args:
        model: the network, with the parameters where the Hessian is taken.
        examples: the fixed batch.
        device: where to run.
        dtype: of parameters and products.
        names: of the parameters that it is taken of; by default `free_parameters`.
    """

    def __init__(
        self,
        model: Model,
        examples: Examples,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        names: tuple[str, ...] | None = None,
    ):
        module = model.module(dtype, device)
        known = dict(module.named_parameters(remove_duplicate=False))
        chosen = free_parameters(model) if names is None else names
        self.names = tuple(name for name in chosen if name in known)
        self.parameters = [known[name].requires_grad_(True) for name in self.names]
        self.size = sum(each.numel() for each in self.parameters)
        self.forward, self.examples = Forward(model, module), examples
        self.device, self.dtype, self.count = device, dtype, 0
        self._kept: list[tuple[float, tuple[Tensor, ...]]] | None = None
        self._keeps = self.size * len(examples) <= KEPT * examples.targets[0].numel()

    def norms(self) -> Tensor:
        """T, `[size]`: for every number the Frobenius norm of its parameter."""
        parts = [each.detach().norm().expand(each.numel()) for each in self.parameters]
        return torch.cat(parts)

    def product(self, vector: Tensor) -> Tensor:
        """H v.

        Args:
            vector: v, `[size]`.
        """
        pieces = vector.to(self.device, self.dtype).split([p.numel() for p in self.parameters])
        shaped = [v.view_as(p) for v, p in zip(pieces, self.parameters, strict=True)]
        total = torch.zeros(self.size, dtype=self.dtype, device=self.device)
        for share, slopes in self._gradients():
            # what no example reaches, such as an expert that is never chosen, has no slope
            live = [(g, v) for g, v in zip(slopes, shaped, strict=True) if g.requires_grad]
            found = torch.autograd.grad(
                [g for g, _ in live],
                self.parameters,
                [v for _, v in live],
                retain_graph=self._keeps,
                materialize_grads=True,
            )
            total.add_(torch.cat([each.flatten() for each in found]), alpha=share)
        self.count += 1
        return total

    def relative(self, vector: Tensor) -> Tensor:
        """T H T v, for `[size]`."""
        sizes = self.norms()
        return sizes * self.product(sizes * vector.to(sizes))

    def _gradients(self) -> Iterable[tuple[float, tuple[Tensor, ...]]]:
        """The share of each batch and its gradient, with what it was computed from."""
        if not self._keeps:
            return map(self._differentiate, self.examples.batches(BATCH))
        if self._kept is None:
            self._kept = [self._differentiate(self.examples)]
        return self._kept

    def _differentiate(self, part: Examples) -> tuple[float, tuple[Tensor, ...]]:
        inputs = part.inputs.to(self.device)
        inputs = inputs.to(self.dtype) if inputs.is_floating_point() else inputs
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            loss = mean_loss(self.forward(inputs), part.targets.to(self.device))
            slopes = torch.autograd.grad(
                loss, self.parameters, create_graph=True, materialize_grads=True
            )
        return len(part) / len(self.examples), slopes


@dataclass(frozen=True)
class Krylov:
    """What Lanczos' method found of a symmetric matrix, after m steps.

    Attributes:
        diagonal: of the tridiagonal matrix, float64 `[m]`.
        beside: beside its diagonal, float64 `[m]`; the last is the norm of what is left over.
        basis: Q, with orthonormal rows, `[m, size]`.
    """

    diagonal: Tensor
    beside: Tensor
    basis: Tensor


def ritz(diagonal: Tensor, beside: Tensor) -> tuple[Tensor, Tensor]:
    """Ritz values and how far an eigenvalue can be from each.

    The extreme ones are Rayleigh quotients: the largest eigenvalue is at least the largest, the
    smallest at most the smallest. Near every value t there is an eigenvalue x with |x - t| <= b |s|
    (Parlett 1980), b what is left over and s the last entry of its eigenvector.

    Args:
        diagonal: as of `Krylov`, `[m]`.
        beside: as of `Krylov`, `[m]`.

    Returns:
        Two float64 tensors `[m]`, from the largest value down.
    """
    between = beside[:-1].double()
    matrix = torch.diag(diagonal.double()) + torch.diag(between, 1) + torch.diag(between, -1)
    values, vectors = torch.linalg.eigh(matrix)
    return values.flip(0), (beside[-1].double() * vectors[-1].abs()).flip(0)


def lanczos(
    product: Product,
    size: int,
    steps: int,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
    tell: Tell = lambda share: None,
    wanted: int = 1,
    tolerance: float = TOLERANCE,
) -> Krylov:
    """Lanczos' method (1950) with full reorthogonalisation, every vector twice.

    Args:
        product: v -> A v for `[size]`, A symmetric.
        size: of A.
        steps: at the most.
        generator: of the first vector.
        dtype: of the vectors.
        tell: called with the share done; may raise to stop.
        wanted: how many of the largest eigenvalues should be within `tolerance`.
        tolerance: as a share of the eigenvalue of largest magnitude; 0 for all steps.
    """
    steps = min(steps, size)
    first = torch.randn(size, generator=generator, dtype=torch.float64).to(dtype)
    basis, diagonal, beside = [first / first.norm()], list[float](), list[float]()
    for step in range(steps):
        new = product(basis[-1]).cpu()
        diagonal.append(float(new.double() @ basis[-1].double()))
        held = torch.stack(basis)
        for _ in range(2):
            new = new - held.T @ (held @ new)
        left = float(new.double().norm())
        beside.append(left)
        tell((step + 1) / steps)
        values, errors = ritz(torch.tensor(diagonal), torch.tensor(beside))
        largest = float(values.abs().max())
        settled = step + 1 >= LEAST and bool((errors[:wanted] <= tolerance * largest).all())
        if left <= 1e-7 * largest or (settled and tolerance > 0):
            break
        if step + 1 < steps:
            basis.append(new / left)
    found, left_over = (torch.tensor(each, dtype=torch.float64) for each in (diagonal, beside))
    return Krylov(found, left_over, torch.stack(basis))


def probe_trace(
    product: Product,
    krylov: Krylov,
    probes: int,
    generator: torch.Generator,
    tell: Tell = lambda share: None,
) -> Tensor:
    """Unbiased estimates of the trace, one for each probe: with P = I - Q^T Q,

        tr A = tr(Q A Q^T) + E[(P v)^T A (P v)],  v of independent signs

    (Hutchinson 1989; leaving out what is known of the largest eigenvalues, as Meyer et al. 2021,
    arXiv 2010.09649, takes most of the spread away). The first term is the sum of the diagonal.

    Args:
        product: v -> A v.
        krylov: what Lanczos' method found of A; its own vector was drawn independently.
        probes: how many, two at least for a standard error.
        generator: of the probes.
        tell: called with the share done; may raise to stop.

    Returns:
        float64 `[probes]`.

    Raises:
        BadInput: for fewer than two probes.
    """
    if probes < 2:
        raise BadInput(f"At least 2 probes are needed for a standard error; {probes} came.")
    basis, found = krylov.basis, []
    known = float(krylov.diagonal.sum())
    for number in range(probes):
        signs = torch.randint(2, (basis.shape[1],), generator=generator).to(basis.dtype) * 2 - 1
        rest = signs - basis.T @ (basis @ signs)
        found.append(known + float(rest.double() @ product(rest).cpu().double()))
        tell((number + 1) / probes)
    return torch.tensor(found, dtype=torch.float64)


def is_negative(values: Tensor) -> bool:
    """Whether the smallest of some Ritz values proves a negative eigenvalue, beyond rounding in
    float32.
    """
    return float(values.min()) < -ROUNDING * float(values.abs().max())
