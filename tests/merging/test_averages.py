"""Averages and arcs against loops written here, and against mergekit's published formulas."""

from __future__ import annotations

import math

import pytest
import torch

from lmc_core.merging.average import average, weighted_average
from lmc_core.merging.ingredients import Ingredients, NoSettings, normalised
from lmc_core.merging.slerp import on_arc, on_arcs, slerp
from tests.merging.conftest import State, random_state

NONE = NoSettings()
WEIGHTS = (0.5, 0.25, 0.125, 0.125)


def entries(state: State) -> list[float]:
    return [float(x) for name in sorted(state) for x in state[name].flatten()]


def test_the_average_is_that_of_a_plain_loop(states: list[State]) -> None:
    # the plain one heeds no weights
    found = average(Ingredients(states, weights=WEIGHTS), NONE).state
    slow = [sum(values) / 4 for values in zip(*(entries(s) for s in states), strict=True)]
    assert entries(found) == pytest.approx(slow, abs=1e-7)
    assert {tensor.dtype for tensor in found.values()} == {torch.float32} and list(found) == list(
        states[0]
    )


def test_weights_against_a_loop_and_the_linear_formula_of_mergekit(states: list[State]) -> None:
    found = weighted_average(Ingredients(states, weights=WEIGHTS), NONE).state
    slow = [
        sum(w * x for w, x in zip(WEIGHTS, values, strict=True))
        for values in zip(*map(entries, states), strict=True)
    ]
    assert entries(found) == pytest.approx(slow, abs=1e-7)
    raw = torch.tensor([4.0, 2.0, 1.0, 1.0])  # linear with normalize: true takes weights of any sum
    again = weighted_average(Ingredients(states, weights=raw.tolist()), NONE).state
    for name, tensor in again.items():
        stack = torch.stack([s[name] for s in states])
        w = raw.view(-1, *[1] * tensor.dim())
        assert torch.allclose(tensor, (w * stack).sum(0) / w.sum(0), atol=1e-6)
    assert entries(found) != pytest.approx(
        entries(average(Ingredients(states), NONE).state), abs=1e-3
    )


def test_one_weight_of_one_is_that_model_bit_for_bit(states: list[State]) -> None:
    for way in (weighted_average, slerp):
        found = way(Ingredients(states, weights=(0, 0, 1, 0)), NONE).state
        assert all(torch.equal(found[name], states[2][name]) for name in found)


def slow_slerp(t: float, v0: torch.Tensor, v1: torch.Tensor) -> torch.Tensor:
    """As published for merging: the angle of the directions, the sum of the tensors as they are."""
    dot = float((v0 / v0.norm() * (v1 / v1.norm())).sum())
    theta = math.acos(dot)
    return (math.sin((1 - t) * theta) * v0 + math.sin(t * theta) * v1) / math.sin(theta)


@pytest.mark.parametrize("t", [0.0, 0.2, 0.5, 1.0])
def test_an_arc_against_the_published_formula(states: list[State], t: float) -> None:
    found = slerp(Ingredients(states[:2], weights=(1 - t, t)), NONE).state
    for name, tensor in found.items():
        # of one number each: directions are equal or opposite, and the straight line is taken
        if name == "c":
            assert float(tensor) == pytest.approx(
                float(torch.lerp(states[0][name], states[1][name], t))
            )
        else:
            expected = slow_slerp(t, states[0][name].double(), states[1][name].double())
            assert torch.allclose(tensor.double(), expected, atol=1e-6)


def test_tensors_of_one_length_keep_it_on_the_arc_and_not_on_the_line() -> None:
    a, b = (random_state(seed)["a.weight"].double() for seed in (0, 1))
    a, b = a / a.norm(), b / b.norm()
    for t in (0.1, 0.5, 0.8):
        assert float(on_arc(a, b, t).norm()) == pytest.approx(1.0, abs=1e-12)
        assert float(torch.lerp(a, b, t).norm()) < 0.95
    quarter = on_arc(torch.tensor([1.0, 0.0]).double(), torch.tensor([0.0, 1.0]).double(), 1 / 3)
    assert quarter.tolist() == pytest.approx([math.cos(math.pi / 6), 0.5])


def test_an_arc_between_equal_models_is_the_model(states: list[State]) -> None:
    found = slerp(Ingredients([states[0]] * 3), NONE).state
    assert all(torch.equal(found[name], states[0][name]) for name in found)


def test_small_angles_and_degenerate_ones() -> None:
    a = random_state(0)["a.weight"].double()
    for size in (1e-3, 1e-6, 1e-9, 1e-12):
        b = a + size * random_state(1)["a.weight"].double()
        assert torch.allclose(
            on_arc(a, b, 0.3), torch.lerp(a, b, 0.3), rtol=0, atol=max(size**2, 1e-14)
        )
    zero = torch.zeros_like(a)
    assert torch.equal(on_arc(a, zero, 0.25), torch.lerp(a, zero, 0.25))
    assert torch.equal(on_arc(zero, zero, 0.25), zero)
    assert torch.isfinite(on_arc(a, -a, 0.25)).all() and torch.allclose(
        on_arc(a, -a, 0.25), 0.5 * a
    )


def test_arcs_of_several_are_taken_one_after_the_other() -> None:
    a, b, c = (random_state(seed)["b.table"].double() for seed in range(3))
    found = on_arcs([a, b, c], [0.2, 0.3, 0.5])
    assert torch.allclose(found, slow_slerp(0.5, slow_slerp(0.6, a, b), c), atol=1e-12)


def test_half_precision_comes_out_in_single(states: list[State]) -> None:
    halves = [{name: tensor.half() for name, tensor in s.items()} for s in states]
    found = average(Ingredients(halves), NONE).state
    exact = torch.stack([s["a.weight"].double() for s in halves]).mean(0)
    assert found["a.weight"].dtype is torch.float32 and torch.allclose(
        found["a.weight"].double(), exact, atol=1e-7
    )


def test_nothing_given_is_changed(states: list[State], ancestor: State) -> None:
    from lmc_core.merging.methods import MERGES

    before = [{n: t.clone() for n, t in s.items()} for s in [*states, ancestor]]
    for method in MERGES.values():
        if method.merge is not None:
            for base in (None, ancestor):
                method.merge(
                    Ingredients(states, ancestor=base, judge=lambda state: (1.0, 0.5)),
                    method.settings(),
                )
    for was, now in zip(before, [*states, ancestor], strict=True):
        assert all(torch.equal(was[name], now[name]) for name in was)


def test_weights_are_normalised() -> None:
    assert normalised((), 4) == (0.25,) * 4
    assert normalised((2, 1, 1), 3) == (0.5, 0.25, 0.25)
