"""Charts: maps of the right class, exactly; the identity at zero; gradients that agree with finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lmc_core.matching.charts import SMOOTH, Charts
from lmc_core.matching.rows import Probed, Rows
from lmc_core.matching.soap import Soap
from lmc_core.symmetry.elements import Invertible, Orthogonal, Permutation
from lmc_core.symmetry.spaces import LINEAR, PERMUTATIONS, ROTARY, ROTATIONS, SCALED, SCALES, Pairs, Space, SymmetryClass

PAIRS = Pairs(4)
SPACES = {
    "ones": Space("ones", "residual", 6, ROTATIONS, "", fixes_ones=True),
    "plain": Space("plain", "residual", 5, ROTATIONS, ""),
    "plane": Space("plane", "value-output", 4, LINEAR, "", within="heads", copies=3),
    "rotary": Space("rotary", "query-key", 6, ROTARY, "", within="heads", copies=2, pairs=PAIRS),
    "rotation": Space("rotation", "query-key", 6, ROTARY[:2], "", within="heads", copies=2, pairs=PAIRS),
    "scaled": Space("scaled", "units", 7, SCALED, ""),
    "scales": Space("scales", "gains", 3, SCALES, "", within="heads", copies=2),
}


def charts_of(name: str, size: float) -> Charts:
    space = SPACES[name]
    charts = Charts({name: space}, {space.kind: space.largest}, torch.float64)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in charts.parameters():
            parameter.copy_(size * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
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
        assert torch.allclose(matrix.sum(-1), torch.ones(space.size, dtype=torch.float64), atol=1e-12)
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
    reads, writes = (torch.randn(*shape[:-1], 3, generator=generator, dtype=torch.float64) for _ in range(2))

    def value() -> Tensor:
        element = charts.elements()[name]
        return (element.act(writes, "writes") ** 2).sum() + (element.act(reads, "reads") * writes).sin().sum()

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
            assert float(gradient.view(-1)[i]) == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-5, rel=1e-5)


def test_only_smooth_classes_get_charts() -> None:
    spaces = {"units": Space("units", "units", 4, PERMUTATIONS, ""), **SPACES}
    chosen = {space.kind: space.largest for space in spaces.values()} | {"residual": SymmetryClass.PERMUTATION}
    chosen["query-key"], chosen["units"] = SymmetryClass.ROTARY, SymmetryClass.SCALED
    found = Charts(spaces, chosen).elements()
    assert set(found) == {name for name, space in SPACES.items() if space.kind != "residual"}
    assert isinstance(found["plane"], Invertible) and SymmetryClass.PERMUTATION not in SMOOTH


def test_a_probe_collects_the_derivative_for_every_entry_of_the_permutation() -> None:
    generator = torch.Generator().manual_seed(0)
    x, target = (torch.randn(5, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    indices, scales = torch.randperm(5, generator=generator), torch.rand(5, generator=generator, dtype=torch.float64) + 0.5
    probe = torch.zeros(5, 5, dtype=torch.float64, requires_grad=True)
    (Probed(indices, scales, probe).act(x, "reads") * target).sum().backward()
    matrix = Permutation(indices).matrix().requires_grad_()
    (((matrix @ x) / scales[:, None]) * target).sum().backward()
    assert probe.grad is not None and matrix.grad is not None and torch.allclose(probe.grad, matrix.grad)


def test_rows_follow_the_gradient_of_a_planted_permutation() -> None:
    """Latents that say nothing, and a loss that does."""
    space = Space("units", "units", 6, PERMUTATIONS, "")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 4, generator=generator)
    wanted = torch.randperm(6, generator=generator)
    rows = Rows([space], {"units": torch.eye(6)}, 0.1)
    for _ in range(60):
        element = rows.elements({}, "cpu", True)["units"]
        (element.act(x, "writes") - x[wanted]).square().sum().backward()
        rows.step(1.0)
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
    for maker in (lambda p: Soap([{"params": [p], "lr": 0.05}], every=5), lambda p: torch.optim.Adam([p], 0.05, (0.9, 0.98))):
        x = begin.clone().requires_grad_()
        optimiser = maker(x)
        for _ in range(100):
            optimiser.zero_grad()
            (a @ x @ b).square().sum().backward()
            optimiser.step()
        left_over.append(float((a @ x.detach() @ b).square().sum()))
    assert left_over[0] < 0.3 * left_over[1]
