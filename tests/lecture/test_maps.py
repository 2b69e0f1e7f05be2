import math
import re

import numpy as np
import pytest
import torch

from lmc_core.lecture import shipped
from lmc_core.lecture.averages import averages
from lmc_core.lecture.plane import stretch_plane
from lmc_core.lecture.random_walk import orders, wander
from lmc_core.lecture.rotation import (
    basis,
    plane_rotation,
    tilt_stream,
    turn_stream,
    whole_rotation,
)
from lmc_core.lecture.slides import SLIDES
from lmc_core.lecture.steps import BY_KEY, STEPS
from lmc_core.paths.line import Line
from lmc_core.runs.store import Store
from lmc_core.tasks.evaluator import evaluate
from tests.tiny import tiny

EXACT = 1e-12


def test_permutations_keep_the_function_and_random_moves_do_not(vit):
    found = wander(vit, 12, 3)
    assert len(found.distances) == 12 and min(found.distances) > 0
    assert max(found.permuted) < EXACT
    assert min(found.random) > 1e-3
    assert wander(vit, 12, 3) == found
    assert wander(vit, 12, 4).distances != found.distances


def test_number_of_permutations(vit):
    # width 16, two blocks of 4 heads and 64 units
    exact = math.factorial(16) * (math.factorial(4) * math.factorial(64)) ** 2
    assert orders(vit) == pytest.approx(math.log10(exact), rel=1e-12)


def test_rotations():
    axes = basis(9)
    assert torch.allclose(axes.mT @ axes, torch.eye(8, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(axes.sum(0), torch.zeros(8, dtype=torch.float64), atol=1e-12)
    one = plane_rotation(axes[:, 0], axes[:, 1], 0.3)
    assert torch.allclose(
        one @ axes[:, 0], math.cos(0.3) * axes[:, 0] + math.sin(0.3) * axes[:, 1], atol=1e-12
    )
    whole, ones = whole_rotation(9, 0.7), torch.ones(9, dtype=torch.float64)
    assert torch.allclose(whole @ whole.mT, torch.eye(9, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(whole @ ones, ones, atol=1e-12)
    assert torch.allclose(whole_rotation(9, 0.4) @ whole_rotation(9, 0.3), whole, atol=1e-12)


def test_turning_the_stream(canonical_vit):
    still, found = turn_stream(canonical_vit, 0), turn_stream(canonical_vit, 40)
    assert found.difference < EXACT
    assert found.cosine < 0.99 and still.cosine == pytest.approx(1)
    assert not np.allclose(found.filters, still.filters, atol=1e-2)
    assert found.filters.shape == (16, 14, 14)
    np.testing.assert_allclose(found.outputs, still.outputs, atol=1e-10)
    assert np.abs(found.before - still.before).max() == 0
    # every plane turns by the same angle: half way round, all but the one direction that is left
    # over has its sign changed
    assert turn_stream(canonical_vit, 180).cosine < -0.5


def test_only_turns_that_keep_the_ones_direction_pass_a_layer_norm(canonical_vit):
    found = tilt_stream(canonical_vit, [0.0, 1.0, 45.0])
    assert max(found.keeping) < EXACT
    assert found.tilting[0] < EXACT
    assert found.tilting[2] > 1e-2 and found.tilting[1] > 1e-6
    # nothing of a centred stream lies along the ones direction
    assert np.abs(found.points[:, 2]).max() < 1e-10
    assert len(found.accuracy) == 3


def test_a_turn_of_a_model_whose_gains_are_not_folded_is_refused(vit):
    from lmc_core.errors import Inadmissible

    with pytest.raises(Inadmissible):
        turn_stream(vit, 10)


def test_a_stretched_plane(canonical_vit):
    found = stretch_plane(canonical_vit, 1, 2, 2.5)
    assert found.difference < EXACT and found.score_difference < EXACT
    np.testing.assert_allclose(found.map.T @ found.key_map, np.eye(2), atol=1e-12)
    assert np.linalg.norm(found.map, 2) == pytest.approx(2.5)
    still = stretch_plane(canonical_vit, 1, 2, 1.0)
    np.testing.assert_allclose(found.queries, still.queries @ found.map.T, atol=1e-10)
    np.testing.assert_allclose(found.keys, still.keys @ found.key_map.T, atol=1e-10)
    alone = stretch_plane(canonical_vit, 1, 2, 2.5, follow=False)
    assert alone.score_difference > 1e-2 and alone.difference > 1e-6
    np.testing.assert_allclose(alone.keys, still.keys, atol=1e-12)


def test_averages_are_the_line(pictures):
    a, b = tiny("vit", 0), tiny("vit", 1)
    found = averages(a, b, pictures, points=3, shown=4)
    losses, correct = evaluate(a, [Line(a, b).state(x) for x in (0.0, 0.5, 1.0)], pictures, "cpu")
    np.testing.assert_allclose(found.loss, losses.mean(1), rtol=1e-5)
    np.testing.assert_allclose(found.accuracy, correct.mean(1))
    assert (
        found.lam == [0.0, 0.5, 1.0]
        and found.answers.shape == (3, 4)
        and found.images.shape == (4, 28, 28)
    )


def test_shipped_barriers_are_complete_enough():
    names = list(shipped.ladder())
    assert names == [name for name, _ in shipped.LADDER]
    plain = shipped.find_curve({})
    assert plain is not None and plain["function_error"] is None
    lam, pair = shipped.barriers()["lam"], shipped.barriers()["pair"]
    for row in shipped.barriers()["classes"]:
        assert len(row["loss"]) == len(lam) == len(row["accuracy"])
        middle = row["loss"][lam.index(row["barrier_lam"])]
        chord = row["loss"][0] + row["barrier_lam"] * (row["loss"][-1] - row["loss"][0])
        assert row["barrier"] == pytest.approx(middle - chord, abs=1e-3)
        assert row["function_error"] is None or row["function_error"] < 1e-5
    assert pair["split"] == "test"


def test_learning_without_a_class_is_the_plain_average():
    assert shipped.find_curve({"learned": True}) == shipped.find_curve({})
    assert shipped.find_curve({"units": True}) != shipped.find_curve({})


def test_what_remains_is_a_mean_over_pairs():
    for row, family in zip(shipped.remains(), shipped.barriers()["families"], strict=True):
        values = [pair["learned"]["barrier"] for pair in family["pairs"]]
        assert row["nats"]["learned"] == pytest.approx(sum(values) / row["pairs"])
        assert row["shares"]["plain"] == 1
        assert row["shares"]["learned"] < row["shares"]["weight"] < 1


def test_damaged_barriers_are_said(monkeypatch, tmp_path):
    from lmc_core.errors import StoreError

    shipped.barriers.cache_clear()
    monkeypatch.setattr(shipped, "assets", lambda: tmp_path)
    with pytest.raises(StoreError, match="scripts/lecture.py"):
        shipped.barriers()
    monkeypatch.undo()
    shipped.barriers.cache_clear()


def test_words_fit_a_slide():
    assert 10 <= len(STEPS) == len(BY_KEY) <= 12  # about ten, and no name twice
    for step in STEPS:
        assert len(step.question) <= 60 and step.question.endswith("?"), step.key
        assert 1 <= len(step.acts) <= 2
        assert all(len(act.words) <= 190 and len(act.name) <= 30 for act in step.acts), step.key
        assert len(step.notes) <= 450, step.key


def test_numbers_agree_with_the_results_that_start_shows():
    """Plain, permutations alone and all classes by weights; learning differs in its steps, which
    both say.
    """
    stored = {
        (each.result["method"], tuple(sorted(map(tuple, each.request["classes"])))): each.result
        for each in Store(Store().shipped, Store().shipped).list()
        if each.request["what"] == "barrier"
        and each.request["names"] == shipped.barriers()["pair"]["models"]
        and each.request["examples"] is None
        and each.result["method"] != "learned"
    }
    assert len(stored) == 3
    found = {
        round(row["barrier"], 3): row["barrier_stderr"] for row in shipped.barriers()["classes"]
    }
    for result in stored.values():
        assert found[round(result["barrier"], 3)] == pytest.approx(
            result["barrier_stderr"], rel=1e-3
        )


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("average", ("barrier",)),
        ("classes", ("alone", "plain", "all", "learned", "turned")),
        ("experts", ("plain", "weight", "learned")),
    ],
)
def test_each_barrier_is_said_with_its_error(key, names):
    numbers = SLIDES[key]().numbers
    for name in names:
        assert re.fullmatch("[0-9.]+\u00a0\u00b1\u00a0[0-9.]+", numbers[name])


def test_learning_is_said_with_its_steps():
    numbers = SLIDES["classes"]().numbers
    said = [act.said(numbers) for act in BY_KEY["classes"].acts]
    assert f"for {shipped.barriers()['steps']} steps" in said[1]
