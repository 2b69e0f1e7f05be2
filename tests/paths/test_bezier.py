"""Ends bit for bit, gradients by finite differences, a straight bend is the line; a stopped
training goes on.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lmc_core.errors import BadInput, Cancelled, Incompatible
from lmc_core.models.functional import Forward
from lmc_core.paths.bezier import Bending, BendSettings, Bezier, loss_at
from lmc_core.paths.curve import curve
from lmc_core.paths.line import Line
from lmc_core.tasks import task_for
from lmc_core.tasks.learning import Learning
from lmc_core.tasks.task import Examples
from tests.tiny import tiny


@pytest.fixture(scope="module")
def pair():
    return tiny("vit", 0), tiny("vit", 1)


@pytest.fixture(scope="module")
def learning(pair) -> Learning:
    train = task_for("fashion-mnist", *pair).examples("train", 80)
    return Learning(train.first(64), train.rows(64, 80))


def test_ends_are_the_models_own_tensors(pair) -> None:
    path = Bezier(pair[0], pair[1], tiny("vit", 2).state)
    for lam, model in ((0.0, pair[0]), (1.0, pair[1])):
        assert all(path.state(lam)[name] is tensor for name, tensor in model.state.items())


def test_the_formula(pair) -> None:
    bend = tiny("vit", 2).state
    found = Bezier(pair[0], pair[1], bend).state(0.3)
    for name, tensor in found.items():
        expected = 0.49 * pair[0].state[name] + 0.42 * bend[name] + 0.09 * pair[1].state[name]
        assert torch.allclose(tensor, expected, atol=1e-6)


def test_a_straight_bend_is_the_line(pair) -> None:
    path, line = Bezier.straight(pair[0], pair[1]), Line(pair[0], pair[1])
    for lam in (0.1, 0.5, 0.8):
        assert all(
            torch.allclose(tensor, line.state(lam)[name], atol=1e-6)
            for name, tensor in path.state(lam).items()
        )


def test_other_shapes_are_refused(pair) -> None:
    with pytest.raises(Incompatible):
        Bezier.straight(pair[0], tiny("vit", 0, embed_dim=24))


def test_the_gradient_of_the_bend_against_finite_differences(pair, learning) -> None:
    a, b = ({name: tensor.double() for name, tensor in model.state.items()} for model in pair)
    forward = Forward(pair[0]).double()
    batch = Examples(learning.train.inputs[:8].double(), learning.train.targets[:8])
    bend = {name: ((a[name] + b[name]) / 2).requires_grad_() for name in a}
    loss_at(forward, a, bend, b, 0.3, batch).backward()
    generator = torch.Generator().manual_seed(0)
    way = {
        name: torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        for name, tensor in bend.items()
    }
    slope = sum(
        float((tensor.grad * way[name]).sum())
        for name, tensor in bend.items()
        if tensor.grad is not None
    )
    with torch.no_grad():
        step = 1e-6
        high, low = (
            float(
                loss_at(
                    forward,
                    a,
                    {name: bend[name] + sign * step * way[name] for name in bend},
                    b,
                    0.3,
                    batch,
                )
            )
            for sign in (1, -1)
        )
    assert slope == pytest.approx((high - low) / (2 * step), rel=1e-6)
    assert abs(slope) > 1e-3


def test_training_lowers_the_loss_on_the_curve(pair, learning) -> None:
    found, about = Bending(
        pair[0], pair[1], BendSettings(steps=30, rate=1e-2, checks=3), learning
    ).finish()
    first, best = about["history"][0][2], min(row[2] for row in about["history"])
    assert best < first and [row[0] for row in about["history"]] == [0, 10, 20, 30]
    held = learning.held_out
    assert float(curve(found, held, 5, 0).mean[2]) < float(
        curve(Line(pair[0], pair[1]), held, 5, 0).mean[2]
    )


def test_what_does_not_help_is_not_kept(pair, learning) -> None:
    """A rate that ruins everything: the straight line is the best that was seen."""
    found, about = Bending(
        pair[0], pair[1], BendSettings(steps=4, rate=0.9, checks=1), learning
    ).finish()
    assert about["best_step"] == 0 and about["history"][-1][2] > about["history"][0][2]
    straight = Bezier.straight(pair[0], pair[1]).bend
    assert all(torch.equal(tensor, straight[name]) for name, tensor in found.bend.items())


def test_interrupted_and_resumed_equals_uninterrupted(pair, learning, tmp_path: Path) -> None:
    settings = BendSettings(steps=12, checks=3)
    whole, about = Bending(pair[0], pair[1], settings, learning).finish()
    kept = replace(learning, checkpoint=tmp_path / "bend.pt")

    def stop(share: float, words: str) -> None:
        if words.startswith("step 7 "):
            raise Cancelled("The run was cancelled.")

    with pytest.raises(Cancelled):
        Bending(pair[0], pair[1], settings, kept, stop).finish()
    assert (tmp_path / "bend.pt").is_file()
    said: list[str] = []
    found, again = Bending(
        pair[0], pair[1], settings, kept, lambda share, words: said.append(words)
    ).finish()
    assert said[0].startswith("step 8 ") and not (tmp_path / "bend.pt").exists()
    assert all(torch.equal(tensor, whole.bend[name]) for name, tensor in found.bend.items())
    assert again["history"] == about["history"]


@pytest.mark.parametrize("content", [b"", b"no file of torch", None])
def test_a_checkpoint_of_something_else_is_left_alone(
    pair, learning, tmp_path: Path, content
) -> None:
    path = tmp_path / "bend.pt"
    if content is None:
        torch.save({"fingerprint": "another", "bend": {}}, path)
    else:
        path.write_bytes(content)
    _, about = Bending(
        pair[0], pair[1], BendSettings(steps=2, checks=1), replace(learning, checkpoint=path)
    ).finish()
    assert about["steps"] == 2


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"checks": 0}, {"rate": 0.0}, {"rate": 2.0}, {"batch": -1}]
)
def test_settings_that_make_no_sense(wrong: dict) -> None:
    with pytest.raises(BadInput):
        BendSettings(**wrong)


def test_the_held_out_mean_counts_examples_not_batches(
    pair, learning, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven examples in batches of three, three and one: the last must not count three times."""
    from lmc_core.paths import bezier

    held = learning.held_out.first(7)
    monkeypatch.setattr(bezier, "batch_size", lambda model, examples: 3)
    training = Bending(pair[0], pair[1], BendSettings(steps=1), replace(learning, held_out=held))
    training._check()
    ends, line = training.ends, {name: tensor.detach() for name, tensor in training.bend.items()}
    whole = [
        float(loss_at(training.forward, ends[0], line, ends[1], t, held).detach())
        for t in bezier.WATCHED
    ]
    found = training.history[0][2]
    assert found == pytest.approx(sum(whole) / 3, abs=1e-6)
    apart = [
        float(loss_at(training.forward, ends[0], line, ends[1], t, batch).detach())
        for batch in held.batches(3)
        for t in bezier.WATCHED
    ]
    assert abs(found - sum(apart) / 9) > 1e-4  # what a mean of means would have been


def test_a_displaced_curve_is_the_line_and_a_parabola(pair) -> None:
    way = tiny("vit", 2).state
    path, line = Bezier.displaced(pair[0], pair[1], way), Line(pair[0], pair[1])
    for lam in (0.25, 0.7):
        for name, tensor in path.state(lam).items():
            wanted = line.state(lam)[name] + 2 * lam * (1 - lam) * way[name]
            assert torch.allclose(tensor, wanted, atol=1e-6)


def test_length_and_distance_against_many_chords(pair) -> None:
    path, line = Bezier.displaced(*pair, tiny("vit", 2).state), Line(*pair)

    def flat(state) -> torch.Tensor:
        return torch.cat([tensor.double().flatten() for tensor in state.values()])

    places = [flat(path.state(float(t))) for t in torch.linspace(0, 1, 201)]
    length = sum(float((b - a).norm()) for a, b in zip(places, places[1:], strict=False))
    way = places[-1] - places[0]
    off = places[100] - flat(line.state(0.5))
    away = (off - (off @ way) / (way @ way) * way).norm()
    found = path.extent()
    assert found["length"] == pytest.approx(length, rel=1e-4)
    assert found["chord"] == pytest.approx(float(way.norm()), rel=1e-6)
    assert found["away"] == pytest.approx(float(away), rel=1e-5)
    straight = Bezier.straight(*pair).extent()
    assert straight["length"] == pytest.approx(straight["chord"], rel=1e-6)
    assert straight["away"] < 1e-3 * straight["chord"]


def test_a_budget_in_seconds_ends_the_training(pair, learning, monkeypatch) -> None:
    """By a clock that goes on by a second with each look."""
    seen = iter(range(10_000))
    monkeypatch.setattr("lmc_core.paths.bezier.time.perf_counter", lambda: float(next(seen)))
    settings = BendSettings(seconds=60.0, checks=3)
    _, about = Bending(pair[0], pair[1], settings, learning).finish()
    assert 5 < about["steps"] < 60
    assert 3 <= len(about["history"]) <= 5
    with pytest.raises(BadInput, match="above 0"):
        BendSettings(seconds=0.0)
