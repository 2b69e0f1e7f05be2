"""`lmc group` of large models: measured without being held, with the same result and key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lmc_core.analysis import lazy_memory
from lmc_core.analysis.lazy_memory import estimate_lazy_group
from lmc_core.analysis.streamed_memory import estimate_lazy_mixtures
from lmc_core.cli import computing
from lmc_core.matching import objective
from lmc_core.models import model
from lmc_core.models.load import load
from lmc_core.paths import simplex
from lmc_core.runs import cache, inputs, large_models
from lmc_core.runs.cost import estimate_memory
from lmc_core.runs.kinds import many
from lmc_core.runs.kinds.many import make_group_request
from lmc_core.runs.large_models import holds_nothing, reads_lazily
from tests import tiny
from tests.cli.conftest import Run

QUICK = ("--resolution", 4, "--examples", 12, "--json", "--device", "cpu")
FRAMES = {
    "none": ("--method", "none"),
    "reference": ("--method", "reference"),
    "onto the second": ("--method", "reference", "--set", "reference=2"),
    "universe": ("--method", "universe", "--set", "steps=0"),
}


def write_models(root: Path, family: str, count: int = 3) -> list[str]:
    return [str(tiny.write(root / f"s{seed}", tiny.tiny(family, seed))) for seed in range(count)]


@pytest.fixture
def nothing_held(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it to have all models count as large; a module with values is then never built."""

    def begin() -> None:
        monkeypatch.setattr(lazy_memory, "LARGE", 0)
        refuse = lambda *given, **named: pytest.fail("a model was held")  # noqa: E731
        for module, name in ((simplex, "evaluate"), (many, "load_warm"), (inputs, "load_warm")):
            monkeypatch.setattr(module, name, refuse)
        monkeypatch.setattr(model.Model, "unfilled", refuse)

    return begin


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("family", ["gpt2", "llama", "vit"])
def test_three_models_give_the_same_losses(
    family: str,
    frame: str,
    tmp_path: Path,
    lmc: Run,
    monkeypatch: pytest.MonkeyPatch,
    nothing_held: Callable[[], None],
) -> None:
    for module in (objective, cache):  # no frame is kept, and neither way is in float64
        monkeypatch.setattr(module, "HELD", 0)
    asked = ("group", *write_models(tmp_path, family), *FRAMES[frame], *QUICK)
    held = lmc(*asked).json
    nothing_held()
    lazy = lmc(*asked, "--fresh").json
    assert lazy["key"] == held["key"] and lazy["simplex"]["weights"] == held["simplex"]["weights"]
    close = 1e-6
    for name in ("losses", "centre_loss"):
        assert lazy[name] == pytest.approx(held[name], rel=close)
    for name in ("loss", "excess", "excess_stderr"):
        assert lazy["simplex"][name] == pytest.approx(held["simplex"][name], abs=close, rel=close)
    for one, other in zip(lazy["midpoint_excess"], held["midpoint_excess"], strict=True):
        assert one == pytest.approx(other, abs=close)
    assert lazy["objective"] == pytest.approx(held["objective"], abs=1e-5)
    assert lazy["found"] == held["found"] and lazy["start"] == held["start"]
    if frame != "none":  # where nothing is matched, models as small as these take next to nothing
        assert lazy["memory"] < held["memory"]
    # mixtures are told apart far beyond that
    assert max(lazy["simplex"]["loss"]) / min(lazy["simplex"]["loss"]) - 1 > 1e4 * close
    stored = lmc(*asked).json
    assert stored["cached"] and stored["losses"] == lazy["losses"]
    if frame != "none":
        assert max(lazy["function_errors"]) < 1e-5
        plain = lmc(*asked[:4], *FRAMES["none"], *QUICK).json
        assert abs(plain["centre_loss"] / lazy["centre_loss"] - 1) > 1e-3


@pytest.mark.parametrize("count", [2, 4])
def test_other_numbers_of_models(
    count: int, tmp_path: Path, lmc: Run, nothing_held: Callable[[], None]
) -> None:
    models = write_models(tmp_path, "gpt2", count)
    asked = ("group", *models, *FRAMES["none"], *QUICK)
    held = lmc(*asked).json
    nothing_held()
    lazy = lmc(*asked, "--fresh").json
    assert lazy["key"] == held["key"] and lazy["simplex"] is None
    assert lazy["losses"] == pytest.approx(held["losses"], rel=1e-5)
    assert lazy["centre_excess"] == pytest.approx(held["centre_excess"], abs=1e-5)
    for one, other in zip(lazy["midpoint_excess"], held["midpoint_excess"], strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_memory_is_said_beforehand(
    tmp_path: Path, lmc: Run, monkeypatch: pytest.MonkeyPatch, nothing_held: Callable[[], None]
) -> None:
    said: list[int] = []
    monkeypatch.setattr(computing, "say_memory", lambda bar, count: said.append(count))
    models = write_models(tmp_path, "gpt2")
    one = load(models[0])
    nothing_held()
    result = lmc("group", *models, *FRAMES["none"], *QUICK).json
    pairs = 12 * (15 + 1)  # a grid of 15, midpoints among them, and the centre
    expected = estimate_lazy_mixtures(one.family, one.config, 4, 3, False, 32, pairs)
    assert said == [result["memory"]] == [expected]
    monkeypatch.setattr("lmc_core.analysis.memory.available", lambda: 1_000_000)
    refused = lmc("group", *models, *FRAMES["none"], *QUICK, "--fresh")
    refused.refused("Measuring between 3 models takes about", "1.00 MB are free")


def test_what_is_announced_is_the_larger_of_aligning_and_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = write_models(tmp_path, "gpt2")
    one = load(models[0])
    monkeypatch.setattr(lazy_memory, "LARGE", 0)
    words = {"examples": 4, "device": "cpu", "resolution": 2}
    for method, settings, onto in (
        ("reference", {"reference": 1}, True),
        ("reference", {}, False),
        ("universe", {"steps": 0}, False),
    ):
        found = estimate_memory(
            make_group_request(models, method=method, settings=settings, **words)
        )
        align = estimate_lazy_group(one.family, one.config, 4, 3, 16, 32, onto, write=False)
        losses = estimate_lazy_mixtures(one.family, one.config, 4, 3, True, 32, 4 * 7)
        assert (found.align, found.measure) == (align, losses)
    further = estimate_lazy_mixtures(one.family, one.config, 4, 4, True, 32, 4 * 7)
    assert further > losses


def test_what_learns_or_is_unlike_holds_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = write_models(tmp_path, "gpt2")
    assert not reads_lazily(models, "none", "cpu", True)  # small
    monkeypatch.setattr(lazy_memory, "LARGE", 0)
    for method in ("none", "reference", "universe"):
        assert reads_lazily(models, method, "cpu", True)
        assert not reads_lazily(models, method, "cuda", True)
        assert not reads_lazily(models, method, "cpu", False)
    words = {"examples": 4, "device": "cpu", "resolution": 2}
    assert holds_nothing(make_group_request(models, method="none", **words))
    assert holds_nothing(make_group_request(models, settings={"steps": 0}, **words))
    learned = make_group_request(models, settings={"steps": 2}, learn=24, **words)
    assert not holds_nothing(learned)
    other = str(tiny.write(tmp_path / "other", tiny.tiny("llama")))
    assert not reads_lazily([*models, other], "none", "cpu", True)


def test_a_request_made_of_models_that_are_held_is_computed_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = write_models(tmp_path, "vit")
    monkeypatch.setattr("lmc_core.models.cache.WARM", 0)
    request = make_group_request(models, examples=4, device="cpu", resolution=2, method="none")
    monkeypatch.setattr(large_models, "is_large", lambda references: True)
    seen: list[bool] = []

    def noted(reference: str, lazy: bool = False) -> model.Model:
        seen.append(lazy)
        return load(reference, lazy=lazy)

    monkeypatch.setattr("lmc_core.runs.inputs.load", noted)
    _, arrays = many.compute(request)
    assert seen == [True] * 3 and arrays["losses"].shape == (7, 4)
