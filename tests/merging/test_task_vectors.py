"""Task arithmetic, TIES and DARE against slow references written from the papers, entry by
entry.
"""

from __future__ import annotations

import pytest
import torch

from lmc_core.merging.average import average
from lmc_core.merging.dare import DareSettings, dare, generator, kept
from lmc_core.merging.ingredients import Ingredients, NoSettings
from lmc_core.merging.task_arithmetic import TaskArithmeticSettings, task_arithmetic
from lmc_core.merging.ties import TiesSettings, ties
from tests.merging.conftest import State

WEIGHTS = (0.5, 0.25, 0.125, 0.125)
EQUAL = (0.25,) * 4


def drawn(shape: torch.Size, k: int, name: str, settings: DareSettings) -> torch.Tensor:
    return kept(shape, generator(k, name, settings), settings)


def flat(state: State) -> list[float]:
    return [float(x) for name in state for x in state[name].double().flatten()]


def slow_ties(
    models: list[list[float]], base: list[float], density: float, scale: float, weights: tuple
) -> list[float]:
    """Algorithm 1 of Yadav et al. on flat lists; the weights are ours, equal ones are the
    paper's.
    """
    vectors = [[m - b for m, b in zip(model, base, strict=True)] for model in models]
    trimmed = []
    for vector in vectors:
        count = max(1, round(density * len(vector)))
        top = sorted(range(len(vector)), key=lambda p: -abs(vector[p]))[:count]
        trimmed.append([v if p in top else 0.0 for p, v in enumerate(vector)])
    result = []
    for p, start in enumerate(base):
        mass = sum(w * t[p] for w, t in zip(weights, trimmed, strict=True))
        sign = (mass > 0) - (mass < 0)
        agreeing = [(w, t[p]) for w, t in zip(weights, trimmed, strict=True) if t[p] * sign > 0]
        mean = sum(w * v for w, v in agreeing) / sum(w for w, _ in agreeing) if agreeing else 0.0
        result.append(start + scale * mean)
    return result


@pytest.mark.parametrize("density", [0.05, 0.2, 0.7, 1.0])
@pytest.mark.parametrize("weights", [EQUAL, WEIGHTS])
def test_ties_against_the_algorithm_of_the_paper(
    states: list[State], ancestor: State, density: float, weights: tuple
) -> None:
    found = ties(
        Ingredients(states, weights=weights, ancestor=ancestor), TiesSettings(density, 0.8)
    ).state
    slow = slow_ties([flat(s) for s in states], flat(ancestor), density, 0.8, weights)
    assert flat(found) == pytest.approx(slow, abs=1e-6)
    other = ties(
        Ingredients(states, weights=weights, ancestor=ancestor), TiesSettings(density / 2, 0.8)
    ).state
    assert flat(other) != pytest.approx(slow, abs=1e-3)  # the density matters


def test_what_is_trimmed_is_counted_over_the_whole_model(ancestor: State) -> None:
    """One large tensor of small changes next to a small one of large changes: only the small one
    stays.
    """
    changed = {n: t + (5.0 if n == "a.bias" else 1e-3) for n, t in ancestor.items()}
    share = 5 / sum(t.numel() for t in ancestor.values())
    found = ties(Ingredients([changed, changed], ancestor=ancestor), TiesSettings(share)).state
    assert torch.allclose(found["a.bias"], changed["a.bias"])
    assert all(torch.equal(found[n], ancestor[n]) for n in ancestor if n != "a.bias")


def test_ties_without_trimming_and_conflict_is_task_arithmetic_with_the_mean(
    ancestor: State,
) -> None:
    generator = torch.Generator().manual_seed(3)
    models = []
    for _ in range(3):  # every model moves every parameter in the same direction
        models.append(
            {
                n: t + t.sign() * torch.rand(t.shape, generator=generator)
                for n, t in ancestor.items()
            }
        )
    for weights in ((), (0.2, 0.3, 0.5)):
        given = Ingredients(models, weights=weights, ancestor=ancestor)
        one, other = (
            ties(given, TiesSettings(1.0, 0.6)),
            task_arithmetic(given, TaskArithmeticSettings(0.6 / 3)),
        )
        assert flat(one.state) == pytest.approx(flat(other.state), abs=1e-6)


def test_task_arithmetic_against_a_loop(states: list[State], ancestor: State) -> None:
    found = task_arithmetic(
        Ingredients(states, ancestor=ancestor), TaskArithmeticSettings(0.3)
    ).state
    rows = zip(flat(ancestor), *(flat(s) for s in states), strict=True)
    assert flat(found) == pytest.approx(
        [b + 0.3 * sum(x - b for x in xs) for b, *xs in rows], abs=1e-6
    )
    found = task_arithmetic(
        Ingredients(states, weights=WEIGHTS, ancestor=ancestor), TaskArithmeticSettings(0.3)
    ).state
    rows = zip(flat(ancestor), *(flat(s) for s in states), strict=True)
    slow = [
        b + 0.3 * sum(4 * w * (x - b) for w, x in zip(WEIGHTS, xs, strict=True)) for b, *xs in rows
    ]
    assert flat(found) == pytest.approx(slow, abs=1e-6)


def test_a_share_of_one_over_n_is_the_average_from_any_ancestor(
    states: list[State], ancestor: State
) -> None:
    mean = flat(average(Ingredients(states), NoSettings()).state)
    for given in (
        Ingredients(states, ancestor=ancestor),
        Ingredients(states, stand_in="first"),
        Ingredients(states),
    ):
        assert flat(task_arithmetic(given, TaskArithmeticSettings(0.25)).state) == pytest.approx(
            mean, abs=1e-6
        )


def test_what_stands_in_for_an_ancestor(states: list[State]) -> None:
    mean = average(Ingredients(states), NoSettings()).state
    for scale in (0.0, 0.4, 3.0):  # from the mean of all, task vectors cancel
        found = task_arithmetic(Ingredients(states), TaskArithmeticSettings(scale)).state
        assert flat(found) == pytest.approx(flat(mean), abs=1e-6)
    found = task_arithmetic(
        Ingredients(states, stand_in="first"), TaskArithmeticSettings(0.0)
    ).state
    assert flat(found) == pytest.approx(flat(states[0]), abs=1e-7)
    # two opposite task vectors, all in conflict
    mean = average(Ingredients(states[:2]), NoSettings()).state
    assert flat(ties(Ingredients(states[:2]), TiesSettings(1.0)).state) == pytest.approx(
        flat(mean), abs=1e-6
    )


def test_dare_drops_the_right_share_and_keeps_the_expectation(
    states: list[State], ancestor: State
) -> None:
    """Mean over seeds: task arithmetic, within four standard errors; at one seed each entry is
    dropped or enlarged.
    """
    given = Ingredients(states[:2], ancestor=ancestor)
    draws = torch.tensor(
        [flat(dare(given, DareSettings(0.3, 1.0, seed)).state) for seed in range(400)],
        dtype=torch.float64,
    )
    expected = torch.tensor(flat(task_arithmetic(given, TaskArithmeticSettings(1.0)).state))
    spread = draws.std(0) / 400**0.5
    assert float(((draws.mean(0) - expected).abs() / spread).max()) < 4.5
    assert float((draws[0] - expected).abs().max()) > 0.1
    one = dare(Ingredients([states[0], ancestor], ancestor=ancestor), DareSettings(0.3, 1.0)).state
    for name in one:
        change = (one[name] - ancestor[name]) / (states[0][name] - ancestor[name])
        mask = drawn(change.shape, 0, name, DareSettings(0.3, 1.0))
        assert torch.allclose(change, torch.where(mask, 1 / 0.3, 0.0), atol=1e-3)
    large = drawn(torch.Size([200, 500]), 0, "large", DareSettings(0.3))
    assert float(large.double().mean()) == pytest.approx(0.3, abs=0.006)


def test_dare_depends_on_its_seed_alone_and_with_density_one_is_task_arithmetic(
    states: list[State], ancestor: State
) -> None:
    given = Ingredients(states, ancestor=ancestor)
    same = [dare(given, DareSettings(0.5, 0.4, 7)).state for _ in range(2)]
    assert all(torch.equal(same[0][n], same[1][n]) for n in same[0])
    assert flat(dare(given, DareSettings(0.5, 0.4, 8)).state) != flat(same[0])
    whole = dare(given, DareSettings(1.0, 0.4)).state
    assert flat(whole) == pytest.approx(
        flat(task_arithmetic(given, TaskArithmeticSettings(0.4)).state), abs=1e-6
    )
    masks = [
        drawn(torch.Size([50]), k, name, DareSettings()) for k in (0, 1) for name in ("x", "y")
    ]
    # no two models or parameters share a draw
    assert len({tuple(mask.tolist()) for mask in masks}) == 4


def spread_state(seed: int, dtype: torch.dtype) -> State:
    """Entries over twelve orders of magnitude, so that no mean of two is exact, not even of float32
    in float64.
    """
    generator = torch.Generator().manual_seed(seed)
    sizes = 10 ** (12 * torch.rand(40, 50, generator=generator, dtype=torch.float64) - 9)
    return {"w": (torch.randn(40, 50, generator=generator, dtype=torch.float64) * sizes).to(dtype)}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("density", [1.0, 0.3])
def test_from_the_mean_of_two_models_ties_gives_that_mean(
    dtype: torch.dtype, density: float
) -> None:
    """A residue of rounding is no sign; at 0.3 both task vectors keep the same entries, as their
    magnitudes are equal.
    """
    given = Ingredients([spread_state(0, dtype), spread_state(1, dtype)])
    a, b = (state["w"].double() for state in given.states)
    residue = sum(given.task_vectors("w"))
    assert isinstance(residue, torch.Tensor)
    # the negative control: there is something to be fooled by
    assert bool((residue != 0).any()) == (dtype != torch.bfloat16)
    found, mean = ties(given, TiesSettings(density)).state["w"], (0.5 * a + 0.5 * b).float()
    assert torch.allclose(found, mean, rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_least_change_that_can_be_stored_still_elects(dtype: torch.dtype) -> None:
    """One model moves by a single step of its type, the other stays: in float64 a step is rounding,
    in the others it is not.
    """
    base = {"w": torch.linspace(0.5, 2.0, 101).to(dtype)}
    step = torch.finfo(dtype).eps * torch.ones(101, dtype=dtype)
    moved = {"w": base["w"] + 2 * step}
    found = ties(Ingredients([moved, dict(base)], ancestor=base), TiesSettings(1.0)).state["w"]
    expected = base["w"] if dtype == torch.float64 else moved["w"]
    assert torch.equal(found, expected.float())


def test_magnitudes_that_are_equal_but_for_rounding_are_trimmed_together() -> None:
    """Every entry moves by 0.1, up in one model and down in the other; which three tenths are
    larger, rounding would say.
    """
    middle = spread_state(0, torch.float64)["w"]
    given = Ingredients([{"w": middle + 0.1}, {"w": middle - 0.1}])
    sizes = [vector.abs() for vector in given.task_vectors("w")]
    # the negative control
    assert not torch.equal(*(size.flatten().argsort(stable=True) for size in sizes))
    assert torch.allclose(
        ties(given, TiesSettings(0.3)).state["w"], middle.float(), rtol=1e-6, atol=1e-8
    )
