"""Products with the Hessian of a loss, Lanczos' method and the trace, against the whole matrix, and
against what is planted; what a change of coordinates may and may not do.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import hessian
from torch.func import functional_call

from lmc_core.analysis.hessian import (
    LossHessian,
    free_parameters,
    in_canonical_form,
    is_negative,
    lanczos,
    mean_loss,
    probe_trace,
    ritz,
)
from lmc_core.errors import BadInput
from lmc_core.models.functional import Forward
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import choose_classes
from lmc_core.tasks.task import IGNORED, Examples, losses
from tests.networks import random_inputs, random_model

DOUBLE = torch.float64
# decoders and encoders, layer and root-mean-square norms, gated units, experts, rotary positions
NETWORKS = ("gpt2", "llama", "gpt_neox", "mixtral", "qwen2_moe", "vit", "vit_hf")


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@cache
def network(name: str) -> tuple[Model, Examples]:
    """A random network in canonical form, with random examples for it."""
    model = in_canonical_form(random_model(name))
    inputs = random_inputs(model)[:2]
    outputs = Forward(model, model.module(DOUBLE))(inputs)
    shape = outputs.shape[:-1]
    targets = torch.randint(outputs.shape[-1], shape, generator=drawn(3))
    return model, Examples(inputs, targets)


def symmetric(size: int, values: Tensor, seed: int = 0) -> Tensor:
    basis = torch.linalg.qr(torch.randn(size, size, generator=drawn(seed), dtype=DOUBLE)).Q
    return basis @ torch.diag(values) @ basis.T


def top(found: LossHessian, relative: bool = False) -> Tensor:
    """Its three largest eigenvalues."""
    product = found.relative if relative else found.product
    krylov = lanczos(product, found.size, 60, drawn(0), DOUBLE, wanted=3, tolerance=1e-7)
    return ritz(krylov.diagonal, krylov.beside)[0][:3]


def moved(model: Model, seed: int = 2) -> Model:
    """The same function in other coordinates."""
    spaces = model.layout.spaces
    alignment = Alignment.random(spaces, choose_classes(spaces), drawn(seed))
    return model.with_state(alignment.apply(model.layout, model.state))


def test_products_are_those_of_the_whole_matrix() -> None:
    model, examples = network("gpt2")
    name = next(each for each in model.state if each.endswith("attn.c_proj.weight"))
    found = LossHessian(model, examples, dtype=DOUBLE, names=(name,))
    forward = Forward(model, model.module(DOUBLE))

    def loss(values: Tensor) -> Tensor:
        outputs = functional_call(forward, {f"inner.{name}": values}, (examples.inputs,))
        return mean_loss(outputs, examples.targets)

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        whole = hessian(loss, model.state[name])
        # by differences of gradients, which takes one derivative alone
        vector = torch.randn(found.size, generator=drawn(1), dtype=DOUBLE)
        step = 1e-5 * vector.view_as(model.state[name])
        ends = [(model.state[name] + side * step).requires_grad_() for side in (1, -1)]
        slopes = [torch.autograd.grad(loss(end), end)[0] for end in ends]
    assert isinstance(whole, Tensor)
    whole = whole.reshape(found.size, found.size)
    assert torch.allclose(found.product(vector), whole @ vector, atol=1e-12)
    difference = ((slopes[0] - slopes[1]) / 2e-5).flatten()
    assert torch.allclose(found.product(vector), difference, rtol=1e-5, atol=1e-7)
    values = torch.linalg.eigvalsh(whole).flip(0)
    assert torch.allclose(top(found), values[:3], rtol=1e-5)
    # a network whose examples are other ones has another Hessian
    other = LossHessian(
        model, Examples(examples.inputs, examples.targets.flip(0)), dtype=DOUBLE, names=(name,)
    )
    assert not torch.allclose(other.product(vector), whole @ vector, rtol=1e-3)


def test_products_in_batches_are_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    model, examples = network("gpt2")
    targets = examples.targets.clone()
    targets[0, :2] = IGNORED  # whose examples weigh as much as others
    examples = Examples(examples.inputs, targets)
    vector = torch.randn(LossHessian(model, examples).size, generator=drawn(1), dtype=DOUBLE)
    whole = LossHessian(model, examples, dtype=DOUBLE).product(vector)
    monkeypatch.setattr("lmc_core.analysis.hessian.KEPT", 0)
    monkeypatch.setattr("lmc_core.analysis.hessian.BATCH", 1)
    apart = LossHessian(model, examples, dtype=DOUBLE)
    assert torch.allclose(apart.product(vector), whole, atol=1e-13)
    assert torch.allclose(apart.product(vector), whole, atol=1e-13)  # nothing is used up


@pytest.mark.parametrize("name", NETWORKS)
def test_the_spectrum_follows_from_the_function(name: str) -> None:
    """In other coordinates that invertible maps reach it is another one, and in canonical form the
    same again.
    """
    model, examples = network(name)
    expected = LossHessian(model, examples, dtype=DOUBLE)
    there = moved(model)
    back = LossHessian(in_canonical_form(there), examples, dtype=DOUBLE)
    assert torch.allclose(top(back), top(expected), rtol=1e-5)
    assert torch.allclose(top(back, relative=True), top(expected, relative=True), rtol=1e-5)
    raw = LossHessian(there, examples, dtype=DOUBLE)
    assert not torch.allclose(top(raw), top(expected), rtol=1e-4)


def test_maps_that_keep_lengths_leave_the_spectrum_alone() -> None:
    model, examples = network("gpt2")
    spaces = model.layout.spaces
    largest = choose_classes(spaces)
    classes = choose_classes(
        spaces, {k: "none" for k, v in largest.items() if v.value == "invertible"}
    )
    alignment = Alignment.random(spaces, classes, drawn(4))
    there = model.with_state(alignment.apply(model.layout, model.state))
    assert torch.allclose(
        top(LossHessian(there, examples, dtype=DOUBLE)),
        top(LossHessian(model, examples, dtype=DOUBLE)),
        rtol=1e-6,
    )
    # not with the gains of norms, which no rotation mixes
    every = tuple(model.state)
    assert set(free_parameters(model)) < set(every)
    assert not torch.allclose(
        top(LossHessian(there, examples, dtype=DOUBLE, names=every)),
        top(LossHessian(model, examples, dtype=DOUBLE, names=every)),
        rtol=1e-6,
    )


def test_the_loss_is_that_of_the_tasks() -> None:
    logits = torch.randn(3, 5, 7, generator=drawn(0))
    targets = torch.randint(7, (3, 5), generator=drawn(1))
    targets[1, 2:] = IGNORED
    assert float(mean_loss(logits, targets)) == pytest.approx(
        float(losses(logits, targets)[0].mean())
    )


def test_lanczos_finds_planted_eigenvalues_with_honest_errors() -> None:
    values = torch.cat([torch.tensor([9.0, 8.5, -4.0], dtype=DOUBLE), torch.linspace(-1, 1, 57)])
    matrix = symmetric(60, values.double())
    krylov = lanczos(lambda v: matrix @ v, 60, 30, drawn(1), DOUBLE, tolerance=0)
    found, errors = ritz(krylov.diagonal, krylov.beside)
    assert found[0] == pytest.approx(9.0) and found[1] == pytest.approx(8.5)
    assert found[-1] == pytest.approx(-4.0) and is_negative(found)
    assert torch.allclose(krylov.basis @ krylov.basis.T, torch.eye(30, dtype=DOUBLE), atol=1e-12)
    exact = torch.linalg.eigvalsh(matrix)
    short = lanczos(lambda v: matrix @ v, 60, 6, drawn(2), DOUBLE, tolerance=0)
    for value, error in zip(*ritz(short.diagonal, short.beside), strict=True):
        assert float((exact - value).abs().min()) <= float(error) + 1e-9
        assert exact[0] - 1e-9 <= value <= exact[-1] + 1e-9
    positive = symmetric(20, torch.linspace(0.1, 2, 20, dtype=DOUBLE))
    whole = lanczos(lambda v: positive @ v, 20, 20, drawn(3), DOUBLE, tolerance=0)
    assert not is_negative(ritz(whole.diagonal, whole.beside)[0])


def test_lanczos_stops_where_it_knows_enough() -> None:
    matrix = symmetric(60, torch.cat([torch.tensor([50.0]), torch.linspace(0, 1, 59)]).double())
    short = lanczos(lambda v: matrix @ v, 60, 40, drawn(1), DOUBLE)
    assert 8 <= len(short.diagonal) < 20
    one = torch.eye(5, dtype=DOUBLE)  # one vector says everything
    assert len(lanczos(lambda v: one @ v, 5, 5, drawn(1), DOUBLE).diagonal) == 1


def test_the_trace_is_unbiased_and_its_error_honest() -> None:
    values = torch.cat([torch.tensor([40.0, -20.0]), torch.linspace(-1, 2, 48)]).double()
    matrix = symmetric(50, values)

    def product(vector: Tensor) -> Tensor:
        return matrix @ vector

    krylov = lanczos(product, 50, 8, drawn(1), DOUBLE, tolerance=0)
    many = probe_trace(product, krylov, 4000, drawn(2))
    error = float(many.std()) / 4000**0.5
    assert abs(float(many.mean()) - float(values.sum())) < 4 * error
    # without what Lanczos' method knows, the spread is many times as large
    signs = (torch.randint(2, (500, 50), generator=drawn(3)) * 2 - 1).double()
    plain = torch.einsum("ni,ij,nj->n", signs, matrix, signs)
    assert float(many.std()) < 0.3 * float(plain.std())
    with pytest.raises(BadInput, match="2 probes"):
        probe_trace(product, krylov, 1, drawn(2))
