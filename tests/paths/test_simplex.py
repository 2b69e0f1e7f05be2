"""The loss over three models: the grid, the plane through the corners, and a slow loop that says
the same.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lmc_core.errors import BadInput, Incompatible
from lmc_core.models.mixing import centre, mixed, weighted
from lmc_core.models.model import Model
from lmc_core.paths.line import Line
from lmc_core.paths.simplex import Simplex, grid, measure_simplex
from lmc_core.tasks import Examples, losses
from lmc_core.tasks.evaluator import evaluate
from tests.networks import random_inputs, random_model


@pytest.fixture(scope="module")
def three() -> tuple[list[Model], Examples]:
    models = [random_model("gpt2", seed, torch.float32) for seed in range(3)]
    inputs = random_inputs(models[0], 5)
    return models, Examples(inputs, inputs.roll(-1, 1))


@pytest.mark.parametrize(("resolution", "points"), [(2, 6 + 1), (3, 10), (6, 28), (8, 45 + 1)])
def test_the_grid_has_corners_edges_and_the_centre(resolution: int, points: int) -> None:
    found = grid(resolution)
    assert len(found) == points and len({tuple(row) for row in found.tolist()}) == points
    assert (
        torch.allclose(found.sum(1), torch.ones(points, dtype=torch.float64))
        and float(found.min()) == 0
    )
    assert sum(row.count(1.0) for row in found.tolist()) == 3
    assert float((found - 1 / 3).abs().amax(1).min()) < 1e-15


def test_against_a_slow_loop(three: tuple[list[Model], Examples]) -> None:
    models, examples = three
    found = measure_simplex(models, examples, 3)
    for point, row in enumerate(found.weights.tolist()):
        state = {
            n: sum(w * m.state[n].double() for w, m in zip(row, models, strict=True))
            for n in models[0].state
        }
        module = models[0].with_state(state).module()
        slow, correct = losses(models[0].family.outputs(module, examples.inputs), examples.targets)
        assert torch.allclose(found.losses[point], slow, atol=1e-5) and torch.equal(
            found.correct[point], correct
        )
    corners = [found.losses[int(c)].double() for c in found.corners]
    for point, row in enumerate(found.weights.tolist()):
        plane = sum(w * corner for w, corner in zip(row, corners, strict=True))
        assert float((found.excess[point] - (found.losses[point] - plane)).abs().max()) < 1e-12
    inner = [p for p in range(len(found.weights)) if p not in found.corners]
    values = {p: float(found.excess[p].mean()) for p in inner}
    best = (max if max(values.values()) > 0 else min)(inner, key=lambda p: values[p])
    assert found.top == best and found.maximum == pytest.approx(float(found.excess[best].mean()))
    assert float(found.stderr[best]) == pytest.approx(float(found.excess[best].std() / 5**0.5))


def test_corners_are_the_models_bit_for_bit_and_edges_their_lines(
    three: tuple[list[Model], Examples],
) -> None:
    models, examples = three
    found = measure_simplex(models, examples, 4)
    own, _ = evaluate(models[0], [m.state for m in models], examples)
    assert torch.equal(found.losses[found.corners], own)
    edge = (found.weights - torch.tensor([0.75, 0.25, 0.0])).abs().sum(1).argmin()
    line, _ = evaluate(models[0], [Line(models[0], models[1]).state(0.25)], examples)
    assert torch.allclose(found.losses[edge], line[0], atol=1e-6)


def test_the_centre_is_the_mean(three: tuple[list[Model], Examples]) -> None:
    models, examples = three
    found = centre(models)
    name = next(iter(found.state))
    assert torch.allclose(
        found.state[name], torch.stack([m.state[name] for m in models]).mean(0), atol=1e-6
    )
    loss, _ = evaluate(found, [found.state], examples)
    simplex = measure_simplex(models, examples, 2)
    assert torch.allclose(simplex.losses[simplex.centre], loss[0], atol=1e-6)


def test_three_times_one_model_is_flat(three: tuple[list[Model], Examples]) -> None:
    models, examples = three
    found = measure_simplex([models[0]] * 3, examples, 3)
    assert float(found.excess.abs().max()) < 1e-5
    # else nothing was shown
    assert float(measure_simplex(models, examples, 3).excess.abs().max()) > 0.01


def test_below_the_plane_the_deepest_point_counts() -> None:
    weights = grid(2)
    inner = [p for p in range(len(weights)) if 1.0 not in weights[p].tolist()]
    flat = torch.where(torch.arange(len(weights))[:, None] == inner[-1], 0.25, 1.0).expand(-1, 4)
    assert Simplex(weights, flat, flat).maximum == pytest.approx(-0.75)


@pytest.mark.parametrize(
    "weights", [[0.2, 0.3, 0.5], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
)
def test_a_running_mean_is_a_weighted_sum(weights: list[float]) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(4, 3, generator=generator, dtype=torch.float64) for _ in weights]
    expected: Tensor = torch.stack([w * t for w, t in zip(weights, tensors, strict=True)]).sum(0)
    assert torch.allclose(weighted(tensors, weights), expected, atol=1e-14)


def test_half_precision_is_mixed_in_single(three: tuple[list[Model], Examples]) -> None:
    models = [m.with_state({n: t.half() for n, t in m.state.items()}) for m in three[0]]
    assert {t.dtype for t in mixed(models, [0.5, 0.25, 0.25]).values()} == {torch.float32}


def test_bad_input(three: tuple[list[Model], Examples]) -> None:
    models, examples = three
    with pytest.raises(BadInput, match="three models; 2 came"):
        measure_simplex(models[:2], examples)
    with pytest.raises(BadInput, match="resolution"):
        grid(1)
    with pytest.raises(Incompatible, match="different parameters"):
        measure_simplex([*models[:2], random_model("llama", 0, torch.float32)], examples)
