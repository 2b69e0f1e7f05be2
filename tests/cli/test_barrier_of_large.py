"""`lmc barrier` of large models: measured without being held, with the same result and key."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lmc_core.analysis import lazy_memory
from lmc_core.analysis.streamed_memory import estimate_curve_of
from lmc_core.cli import computing
from lmc_core.matching import objective
from lmc_core.models import model
from lmc_core.models.lazy import LazyState, shapes
from lmc_core.models.load import load
from lmc_core.paths import path_losses
from lmc_core.paths.line import Line
from lmc_core.runs import cache, large_models
from lmc_core.runs.kinds import barrier
from lmc_core.runs.kinds.barrier import make_request
from lmc_core.runs.kinds.so_far import fingerprint
from lmc_core.runs.large_models import holds_nothing, reads_lazily
from tests import tiny
from tests.cli.conftest import Run

QUICK = ("--points", 5, "--refine", 2, "--examples", 12, "--json", "--device", "cpu")


def write_pair(root: Path, family: str) -> tuple[str, str]:
    folders = root / "a", root / "b"
    for seed, folder in enumerate(folders):
        tiny.write(folder, tiny.tiny(family, seed))
    return str(folders[0]), str(folders[1])


@pytest.fixture
def nothing_held(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it to have all models count as large; a module with values is then never built."""

    def begin() -> None:
        monkeypatch.setattr(lazy_memory, "LARGE", 0)
        refuse = lambda *given, **named: pytest.fail("a model was held")  # noqa: E731
        monkeypatch.setattr(path_losses, "Evaluator", refuse)
        monkeypatch.setattr(barrier, "load_warm", refuse)
        monkeypatch.setattr(model.Model, "unfilled", refuse)

    return begin


@pytest.mark.parametrize("family", ["gpt2", "vit", "mixtral"])
def test_the_plain_line(
    family: str, tmp_path: Path, lmc: Run, nothing_held: Callable[[], None]
) -> None:
    asked = ("barrier", *write_pair(tmp_path, family), "--method", "none", *QUICK)
    held = lmc(*asked).json
    nothing_held()
    lazy = lmc(*asked, "--fresh").json
    assert lazy["key"] == held["key"] and lazy["lam"] == held["lam"]
    assert lazy["loss"] == pytest.approx(held["loss"], rel=1e-5)
    assert lazy["excess"] == pytest.approx(held["excess"], abs=1e-5)
    assert lazy["memory"] < held["memory"]
    assert lazy["routing"] == held["routing"] and (family == "mixtral") == bool(lazy["routing"])
    stored = lmc(*asked).json
    assert stored["cached"] and stored["loss"] == lazy["loss"]


@pytest.mark.parametrize("family", ["gpt2", "vit", "mixtral"])
def test_a_line_that_is_matched_by_weights(
    family: str,
    tmp_path: Path,
    lmc: Run,
    monkeypatch: pytest.MonkeyPatch,
    nothing_held: Callable[[], None],
) -> None:
    for module in (objective, cache):
        monkeypatch.setattr(module, "HELD", 0)
    asked = ("barrier", *write_pair(tmp_path, family), *QUICK)
    held = lmc(*asked).json
    nothing_held()
    lazy = lmc(*asked, "--fresh").json
    assert lazy["key"] == held["key"]
    assert lazy["objective"][-1] == pytest.approx(held["objective"][-1], abs=1e-5)
    assert lazy["loss"] == pytest.approx(held["loss"], rel=1e-4)
    assert lazy["plain"]["loss"] == pytest.approx(held["plain"]["loss"], rel=1e-5)
    assert lazy["routing"] == held["routing"]
    assert lazy["function_error"] < 1e-5
    plain = lmc(*asked, "--method", "none").json
    assert abs(plain["loss"][2] / lazy["loss"][2] - 1) > 1e-3


def test_memory_is_said_beforehand(
    tmp_path: Path, lmc: Run, monkeypatch: pytest.MonkeyPatch, nothing_held: Callable[[], None]
) -> None:
    said: list[int] = []
    monkeypatch.setattr(computing, "say_memory", lambda bar, count: said.append(count))
    pair = write_pair(tmp_path, "gpt2")
    nothing_held()
    result = lmc("barrier", *pair, "--method", "none", *QUICK).json
    expected = estimate_curve_of(pair, False, 16, 32, 5 * 12).peak
    assert said == [result["memory"]] == [expected]
    monkeypatch.setattr("lmc_core.analysis.memory.available", lambda: 1_000_000)
    refused = lmc("barrier", *pair, "--method", "none", *QUICK, "--fresh")
    refused.refused("of memory and 1.00 MB are free")


def test_what_is_asked_for_besides_holds_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = write_pair(tmp_path, "gpt2")
    assert not reads_lazily(pair, "none", "cpu", True)  # small
    monkeypatch.setattr(lazy_memory, "LARGE", 0)
    assert reads_lazily(pair, "none", "cpu", True) and reads_lazily(pair, "weight", "cpu", True)
    for method, device, usual in (
        ("learned", "cpu", True),
        ("weight", "cuda", True),
        ("weight", "cpu", False),
    ):
        assert not reads_lazily(pair, method, device, usual)
    mixtures = [str(tiny.write(tmp_path / f"m{s}", tiny.tiny("mixtral", s))) for s in (0, 1)]
    assert reads_lazily(mixtures, "weight", "cpu", True)
    words: dict[str, Any] = {"examples": 4, "device": "cpu", "points": 3}
    assert holds_nothing(make_request(*pair, **words))
    others: list[dict[str, Any]] = [
        {"temperature": True},
        {"precision": "bfloat16"},
        {"compiled": True},
    ]
    for named in others:
        assert not holds_nothing(make_request(*pair, **words, **named))


def test_models_that_were_read_in_another_way_are_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that was made of held models, as a sweep makes it, is computed without them."""
    pair = write_pair(tmp_path, "gpt2")
    monkeypatch.setattr("lmc_core.models.cache.WARM", 0)
    request = make_request(*pair, examples=4, device="cpu", points=3, method="none")
    monkeypatch.setattr(large_models, "is_large", lambda references: True)
    seen: list[bool] = []

    def noted(reference: str, lazy: bool = False) -> model.Model:
        seen.append(lazy)
        return load(reference, lazy=lazy)

    monkeypatch.setattr("lmc_core.runs.inputs.load", noted)
    numbers, arrays = barrier.compute(request)
    assert seen == [True, True] and torch.tensor(arrays["losses"]).shape == (7, 4)


def test_the_far_end_is_told_from_others_without_being_held(tmp_path: Path) -> None:
    a, b = (load(each, lazy=True) for each in write_pair(tmp_path, "gpt2"))
    read: list[weakref.ref[torch.Tensor]] = []

    def look(name: str) -> torch.Tensor:
        assert not [each for each in read[:-1] if each() is not None], "two are held"
        tensor = b.state[name]
        read.append(weakref.ref(tensor))
        return tensor

    watched = b.with_state(LazyState(shapes(b.state), look))
    held = b.with_state(dict(b.state))
    assert fingerprint(Line(a, watched)) == fingerprint(Line(a, held))
    assert len(read) == len(b.state)
    assert fingerprint(Line(b, a)) != fingerprint(Line(a, b))
