"""The plane meets its three models, its basis is orthonormal, and coordinates are distances."""

from __future__ import annotations

import pytest
import torch

from lmc_core.errors import BadInput, Incompatible
from lmc_core.models.model import Model
from lmc_core.paths.line import Line
from lmc_core.paths.plane import Plane, gram
from tests.tiny import tiny


def double(seed: int) -> Model:
    model = tiny("vit", seed)
    return model.with_state({name: tensor.double() for name, tensor in model.state.items()})


@pytest.fixture(scope="module")
def models() -> list[Model]:
    return [double(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def plane(models: list[Model]) -> Plane:
    return Plane.through(*models)


def flat(state) -> torch.Tensor:
    return torch.cat([state[name].double().flatten() for name in sorted(state)])


def test_the_three_models_are_met_exactly(plane: Plane, models: list[Model]) -> None:
    for corner, model in zip(plane.corners, models, strict=True):
        assert all(
            torch.equal(tensor, model.state[name]) for name, tensor in plane.state(*corner).items()
        )


def test_the_formula_with_the_basis_gives_the_same_points(
    plane: Plane, models: list[Model]
) -> None:
    """theta_0 + u e_1 + v e_2, also at the models themselves, where `state` takes a short cut."""
    e1, e2 = (flat(each) for each in plane.basis())
    origin = flat(models[0].state)
    for corner, model in zip(plane.corners, models, strict=True):
        assert (
            float((origin + corner[0] * e1 + corner[1] * e2 - flat(model.state)).abs().max())
            < 1e-12
        )
    for u, v in ((0.3, -0.7), (5.0, 2.0), (-3.0, 11.0)):
        assert float((origin + u * e1 + v * e2 - flat(plane.state(u, v))).abs().max()) < 1e-12


def test_the_basis_is_orthonormal(plane: Plane) -> None:
    e1, e2 = (flat(each) for each in plane.basis())
    products = torch.stack([e1, e2]) @ torch.stack([e1, e2]).T
    assert float((products - torch.eye(2, dtype=torch.float64)).abs().max()) < 1e-12


def test_coordinates_are_distances(plane: Plane, models: list[Model]) -> None:
    between = torch.tensor(
        [[float((flat(a.state) - flat(b.state)).norm()) for b in models] for a in models],
        dtype=torch.float64,
    )
    corners = torch.tensor(plane.corners, dtype=torch.float64)
    assert torch.allclose(torch.cdist(corners, corners), between, rtol=1e-10)


def test_the_first_axis_is_the_straight_line(plane: Plane, models: list[Model]) -> None:
    line = Line(models[0], models[1])
    base = plane.corners[1][0]
    for lam in (0.25, 0.5, 0.9):
        other = line.state(lam)
        assert all(
            torch.allclose(tensor, other[name], atol=1e-12)
            for name, tensor in plane.state(lam * base, 0.0).items()
        )


def test_a_projection_is_the_nearest_point(plane: Plane) -> None:
    other = double(7).state
    u, v, away = plane.project(other)
    gaps = [
        float((flat(other) - flat(plane.state(u + du, v + dv))).norm())
        for du, dv in ((0, 0), (0.1, 0), (-0.1, 0), (0, 0.1), (0, -0.1))
    ]
    assert gaps[0] == pytest.approx(away, rel=1e-9) and min(gaps) == gaps[0]
    u, v, away = plane.project(plane.state(1.5, -0.5))
    assert (u, v) == pytest.approx((1.5, -0.5), abs=1e-9) and away < 1e-5


def test_half_precision_is_computed_in_single() -> None:
    models = [double(seed) for seed in range(3)]
    halves = [m.with_state({n: t.to(torch.bfloat16) for n, t in m.state.items()}) for m in models]
    assert {tensor.dtype for tensor in Plane.through(*halves).state(1.0, 1.0).values()} == {
        torch.float32
    }


def test_models_on_one_line_are_refused(models: list[Model]) -> None:
    middle = models[0].with_state(Line(models[0], models[1]).state(0.5))
    for third in (middle, models[0], models[1]):
        with pytest.raises(BadInput, match="one line"):
            Plane.through(models[0], models[1], third)
    with pytest.raises(BadInput, match="one line"):
        Plane.through(models[0], models[0], models[1])


def test_other_shapes_are_refused(models: list[Model]) -> None:
    with pytest.raises(Incompatible):
        Plane.through(models[0], models[1], tiny("vit", 0, embed_dim=24))


def test_products_are_accumulated_in_double() -> None:
    """Many small numbers beside a large one: single precision would lose them."""
    origin = {"a": torch.zeros(1), "b": torch.zeros(10_000)}
    state = {"a": torch.tensor([1e4]), "b": torch.full((10_000,), 1e-2)}
    assert float(gram(origin, [state])[0, 0]) == pytest.approx(1e8 + 1.0, abs=1e-3)
