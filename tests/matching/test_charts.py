"""Charts: maps of the right class, exactly; the identity at zero; gradients that agree with finite
differences.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lmc_core.matching.learned.charts import SMOOTH, STRETCH, Charts, exponentials, held, held_each
from lmc_core.matching.learned.moved_state import Slopes
from lmc_core.matching.learned.permutation_latents import PermutationLatents
from lmc_core.matching.learned.soap import Soap
from lmc_core.symmetry.elements import Invertible, Monomial, Orthogonal, Permutation
from lmc_core.symmetry.spaces import (
    LINEAR,
    PERMUTATIONS,
    ROTARY,
    ROTATIONS,
    SCALED,
    SCALES,
    Pairs,
    Space,
    SymmetryClass,
)

PAIRS = Pairs(4)
SPACES = {
    "ones": Space("ones", "residual", 6, ROTATIONS, "", fixes_ones=True),
    "plain": Space("plain", "residual", 5, ROTATIONS, ""),
    "plane": Space("plane", "value-output", 4, LINEAR, "", within="heads", copies=3),
    "rotary": Space("rotary", "query-key", 6, ROTARY, "", within="heads", copies=2, pairs=PAIRS),
    "rotation": Space(
        "rotation", "query-key", 6, ROTARY[:2], "", within="heads", copies=2, pairs=PAIRS
    ),
    "scaled": Space("scaled", "units", 7, SCALED, ""),
    "scales": Space("scales", "gains", 3, SCALES, "", within="heads", copies=2),
}


def charts_of(name: str, size: float) -> Charts:
    space = SPACES[name]
    charts = Charts({name: space}, {space.kind: space.largest}, torch.float64)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in charts.parameters():
            parameter.copy_(
                size * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            )
    return charts


@pytest.mark.parametrize("name", SPACES)
def test_zero_is_the_identity_and_others_are_in_the_class(name: str) -> None:
    space = SPACES[name]
    eye = torch.eye(space.size, dtype=torch.float64)
    at_zero = charts_of(name, 0.0).elements()[name]
    assert torch.allclose(at_zero.matrix(), eye.expand_as(at_zero.matrix()), atol=1e-12)
    element = charts_of(name, 0.7).elements()[name]
    matrix = element.matrix().detach()
    assert not torch.allclose(matrix, eye.expand_as(matrix), atol=0.1)
    assert torch.allclose(element.inverse().matrix() @ matrix, eye.expand_as(matrix), atol=1e-10)
    if isinstance(element, Orthogonal):
        assert torch.allclose(matrix.mT @ matrix, eye.expand_as(matrix), atol=1e-12)
    if space.fixes_ones:
        assert torch.allclose(
            matrix.sum(-1), torch.ones(space.size, dtype=torch.float64), atol=1e-12
        )
    if space.pairs is not None:
        for turned in _positions(space):  # what passes through rotary positions commutes with them
            assert torch.allclose(matrix @ turned, turned @ matrix, atol=1e-10)
    if space.largest in (SymmetryClass.SCALED, SymmetryClass.SCALES):
        assert bool((matrix.diagonal(dim1=-2, dim2=-1) > 0).all())


def _positions(space: Space) -> list[Tensor]:
    """Rotary positions with a speed of its own for every pair."""
    assert space.pairs is not None
    found = []
    for position in (1.0, 2.5):
        matrix = torch.eye(space.size, dtype=torch.float64)
        for pair, (i, j) in enumerate(zip(*space.pairs.indices(), strict=True)):
            angle = torch.tensor(position / (pair + 1), dtype=torch.float64)
            matrix[i, i] = matrix[j, j] = angle.cos()
            matrix[j, i], matrix[i, j] = angle.sin(), -angle.sin()
        found.append(matrix)
    return found


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("size", [0.0, 0.5])
def test_gradients_agree_with_finite_differences(name: str, size: float) -> None:
    """At the identity too, where the gradient of a projection would not be finite."""
    charts = charts_of(name, size)
    generator = torch.Generator().manual_seed(1)
    shape = charts.elements()[name].matrix().shape
    reads, writes = (
        torch.randn(*shape[:-1], 3, generator=generator, dtype=torch.float64) for _ in range(2)
    )

    def value() -> Tensor:
        element = charts.elements()[name]
        return (element.act(writes, "writes") ** 2).sum() + (
            element.act(reads, "reads") * writes
        ).sin().sum()

    charts.zero_grad()
    value().backward()
    for parameter in charts.parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad
        assert gradient is not None
        for i in range(0, len(flat), max(1, len(flat) // 5)):
            values = []
            for by in (1e-6, -1e-6):
                flat[i] += by
                values.append(float(value().detach()))
                flat[i] -= by
            assert float(gradient.view(-1)[i]) == pytest.approx(
                (values[0] - values[1]) / 2e-6, abs=1e-5, rel=1e-5
            )


STRETCHES = [name for name, space in SPACES.items() if space.largest.stretches]


@pytest.mark.parametrize("name", STRETCHES)
@pytest.mark.parametrize("size", [3.0, 30.0, 1e3])
def test_maps_cannot_run_away(name: str, size: float) -> None:
    """Wherever the parameters are, singular values lie between exp(-c) and exp(c), and gradients
    are finite.
    """
    charts = charts_of(name, size)
    # a rotation by a huge angle is one like any other, but not to an exponential
    for parameter in charts.parameters():
        if parameter.ndim == 3:
            parameter.data = (parameter.data + parameter.data.mT) / 2
    singular = torch.linalg.svdvals(charts.elements()[name].matrix().detach()).log()
    assert 0.6 * STRETCH < float(singular.abs().max()) <= STRETCH + 1e-9
    sum(element.matrix().sum() for element in charts.elements().values()).backward()  # type: ignore[union-attr]
    assert all(
        bool(parameter.grad.isfinite().all())
        for parameter in charts.parameters()
        if parameter.grad is not None
    )


@pytest.mark.parametrize("size", [0.5, 2.0, 8.0])
def test_a_held_map_stretches_as_its_logarithm_allows(size: float) -> None:
    """|exp(X)| <= exp(c) for X with a skew part too, and the bound is reached where the symmetric
    part is large.
    """
    generator = torch.Generator().manual_seed(0)
    matrices = size * torch.randn(20, 6, 6, generator=generator, dtype=torch.float64)
    bounded = held(matrices, 1.5)
    # rotations are not held
    torch.testing.assert_close(bounded - bounded.mT, matrices - matrices.mT)
    largest = torch.linalg.eigvalsh((bounded + bounded.mT) / 2).abs().amax(-1)
    assert bool((largest < 1.5).all()) and (size < 1 or float(largest.min()) > 1.2)
    assert float(torch.linalg.matrix_norm(torch.matrix_exp(bounded), 2).log().max()) <= 1.5
    ratio = (bounded + bounded.mT) / (matrices + matrices.mT)  # one factor for each matrix
    assert float((ratio.amax((-2, -1)) - ratio.amin((-2, -1))).abs().max()) < 1e-9


def test_small_maps_are_not_held() -> None:
    """In float32 to the last bit, so that learning near the start is what it would be without a
    bound.
    """
    generator = torch.Generator().manual_seed(0)
    matrices = 0.1 * torch.randn(20, 24, 24, generator=generator)
    assert float(torch.linalg.eigvalsh((matrices + matrices.mT) / 2).max()) > 0.6
    assert torch.equal(held(matrices, STRETCH), matrices)
    assert torch.equal(held_each(matrices, STRETCH), matrices)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_bound_is_smooth_and_does_not_overflow(dtype: torch.dtype) -> None:
    for value in (0.0, 1.0, 3.9, 4.0, 4.1, 1e3, 1e10):
        number = torch.tensor(value, dtype=dtype, requires_grad=True)
        bounded = held_each(number, 4.0)
        expected = value if value < 1e-9 else 4 / (1 + (4 / value) ** 16) ** (1 / 16)
        assert float(bounded.detach()) == pytest.approx(expected, rel=1e-5)
        bounded.backward()
        slope = (1 + (value / 4) ** 16) ** (-17 / 16) if value < 100 else 0.0
        assert number.grad is not None and float(number.grad) == pytest.approx(
            slope, rel=1e-4, abs=1e-6
        )
        matrix = (value * torch.eye(1, dtype=dtype)).requires_grad_()
        assert float(held(matrix, 4.0).detach()) == pytest.approx(expected, rel=1e-5)


def test_only_smooth_classes_get_charts() -> None:
    spaces = {"units": Space("units", "units", 4, PERMUTATIONS, ""), **SPACES}
    chosen = {space.kind: space.largest for space in spaces.values()} | {
        "residual": SymmetryClass.PERMUTATION
    }
    chosen["query-key"], chosen["units"] = SymmetryClass.ROTARY, SymmetryClass.SCALED
    found = Charts(spaces, chosen).elements()
    assert set(found) == {name for name, space in SPACES.items() if space.kind != "residual"}
    assert isinstance(found["plane"], Invertible) and SymmetryClass.PERMUTATION not in SMOOTH


def test_a_probe_collects_the_derivative_for_every_entry_of_the_permutation() -> None:
    generator = torch.Generator().manual_seed(0)
    x, target = (torch.randn(5, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    indices, scales = (
        torch.randperm(5, generator=generator),
        torch.rand(5, generator=generator, dtype=torch.float64) + 0.5,
    )
    element, slopes = Monomial(indices, scales), Slopes(("units",))
    slopes.gather("units", element, "reads", element.act(x, "reads"), target)
    matrix = Permutation(indices).matrix().requires_grad_()
    (((matrix @ x) / scales[:, None]) * target).sum().backward()
    assert matrix.grad is not None and torch.allclose(slopes.probes["units"], matrix.grad)


@pytest.mark.parametrize("size", [0.0, 0.3, 5.0, 40.0, 300.0])
def test_both_exponentials_are_those_of_double_precision(size: float) -> None:
    """Also of norms for which the series is squared, and of such that are left to torch."""
    generator = torch.Generator().manual_seed(0)
    draw = torch.randn(3, 6, 6, generator=generator)
    matrix = size * (draw - draw.mT) / 5 + 0.3 * min(size, 1.0) * (draw + draw.mT)
    for found, sign in zip(exponentials(matrix), (1, -1), strict=True):
        wanted = torch.matrix_exp(sign * matrix.double())
        assert float((found - wanted).norm() / wanted.norm()) < 1e-6 * max(1.0, size)


def test_rows_follow_the_gradient_of_a_planted_permutation() -> None:
    """Latents that say nothing, and a loss that does."""
    space = Space("units", "units", 6, PERMUTATIONS, "")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 4, generator=generator)
    wanted = torch.randperm(6, generator=generator)
    rows = PermutationLatents([space], {"units": torch.eye(6)}, 0.1)
    for _ in range(60):
        element, slopes = rows.elements({}, "cpu")["units"], Slopes(("units",))
        moved = element.act(x, "writes")
        slopes.gather("units", element, "writes", moved, 2 * (moved - x[wanted]))
        rows.step(slopes.probes, 1.0)
    assert torch.equal(rows.indices["units"], wanted)
    assert rows.moved()["units"] == int((wanted != torch.arange(6)).sum())


def test_preconditioned_steps_solve_an_ill_conditioned_problem_faster() -> None:
    """f(X) = |A X B|^2 with condition numbers of 1,000; Adam as the control."""
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.linalg.qr(torch.randn(8, 8, generator=generator))[0] for _ in range(2))
    scales = torch.logspace(0, -1.5, 8)
    a, b = (left * scales) @ left.mT, (right * scales) @ right.mT
    begin = torch.randn(8, 8, generator=generator)
    left_over = []
    for maker in (
        lambda p: Soap([{"params": [p], "lr": 0.05}], every=5),
        lambda p: torch.optim.Adam([p], 0.05, (0.9, 0.98)),
    ):
        x = begin.clone().requires_grad_()
        optimiser = maker(x)
        for _ in range(100):
            optimiser.zero_grad()
            (a @ x @ b).square().sum().backward()
            optimiser.step()
        left_over.append(float((a @ x.detach() @ b).square().sum()))
    assert left_over[0] < 0.3 * left_over[1]
