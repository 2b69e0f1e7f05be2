"""Every point once, coarse to fine; what was stopped goes on to the same numbers."""

from __future__ import annotations

import pytest
import torch

from lmc_core.errors import BadInput, Cancelled
from lmc_core.paths.grid import Grid, Surface, levels, measure_grid
from lmc_core.paths.plane import Plane
from lmc_core.tasks import losses, task_for
from tests.tiny import tiny


@pytest.mark.parametrize("resolution", [3, 4, 5, 8, 9, 17, 25, 26])
def test_every_point_is_visited_once(resolution: int) -> None:
    visited = [at for level in levels(resolution) for at in level]
    assert len(visited) == len(set(visited)) == resolution**2
    assert visited[0] == (resolution // 2, resolution // 2)  # the centre first


def test_each_level_is_a_finer_grid_and_goes_outwards() -> None:
    seen: set[tuple[int, int]] = set()
    spacings = []
    for level in levels(17):
        away = [(i - 8) ** 2 + (j - 8) ** 2 for i, j in level]
        assert away == sorted(away)
        seen.update(level)
        places = sorted({i for i, _ in seen})
        assert seen == {(i, j) for i in places for j in places}  # a whole grid after every level
        spacings.append(places[1] - places[0])
    assert spacings == [8, 4, 2, 1]


def test_the_square_has_the_points_inside() -> None:
    grid = Grid.around([(0.0, 0.0), (10.0, 0.0), (4.0, 6.0)], 9, margin=0.2)
    assert grid.u.tolist()[0] == pytest.approx(-2) and grid.u.tolist()[-1] == pytest.approx(12)
    assert grid.v.tolist()[0] == pytest.approx(-4) and grid.v.tolist()[-1] == pytest.approx(10)


def test_a_finer_grid_has_the_points_of_the_coarse_one_bit_for_bit() -> None:
    points = [(0.0, 0.0), (0.7, 0.0), (0.31, 0.9)]
    coarse, fine = Grid.around(points, 9), Grid.around(points, 17)
    assert torch.equal(fine.u[::2], coarse.u) and torch.equal(fine.v[::2], coarse.v)


@pytest.mark.parametrize("resolution", [2, 500])
def test_resolutions_no_one_should_ask_for(resolution: int) -> None:
    with pytest.raises(BadInput, match="resolution"):
        Grid.square((0.0, 0.0), 1.0, resolution)


@pytest.fixture(scope="module")
def scene():
    models = [tiny("vit", seed) for seed in range(3)]
    plane = Plane.through(*models)
    examples = task_for("fashion-mnist", *models).examples("test", 12)
    return plane, Grid.around(plane.corners, 5), examples


def test_values_are_those_of_a_slow_loop(scene) -> None:
    plane, grid, examples = scene
    found = measure_grid(plane, grid, examples)
    for row in range(5):
        for column in range(5):
            model = plane.origin.with_state(plane.state(float(grid.u[column]), float(grid.v[row])))
            loss, correct = losses(
                model.family.outputs(model.module(), examples.inputs), examples.targets
            )
            assert float(found.loss[row, column]) == pytest.approx(float(loss.mean()), rel=1e-5)
            assert float(found.stderr[row, column]) == pytest.approx(
                float(loss.std() / 12**0.5), rel=1e-4
            )
            assert float(found.correct[row, column]) == pytest.approx(float(correct.mean()))


def test_interrupted_and_resumed_equals_uninterrupted(scene) -> None:
    plane, grid, examples = scene
    whole = measure_grid(plane, grid, examples)
    kept = Surface.empty(5)

    def stop(share: float) -> None:
        if share > 0.7:
            raise Cancelled("The run was cancelled.")

    with pytest.raises(Cancelled):
        measure_grid(plane, grid, examples, known=kept, progress=stop)
    assert 0 < int(kept.missing.sum()) < 25
    begun: list[float] = []
    found = measure_grid(plane, grid, examples, known=kept, progress=begun.append)
    assert begun[0] > 0.6  # what was there is not measured again
    assert torch.equal(found.loss, whole.loss) and torch.equal(found.stderr, whole.stderr)


def test_a_coarse_surface_is_a_beginning_of_a_fine_one(scene) -> None:
    plane, _, examples = scene
    coarse = measure_grid(plane, Grid.around(plane.corners, 3), examples)
    grid = Grid.around(plane.corners, 5)
    found = measure_grid(plane, grid, examples, known=coarse.refined())
    assert torch.equal(found.loss, measure_grid(plane, grid, examples).loss)
