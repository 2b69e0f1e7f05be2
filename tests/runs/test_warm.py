"""A worker that gets ready for the models somebody looks at."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lmc_core.errors import BadInput
from lmc_core.runs import warm, worker
from lmc_core.runs.executors import Local
from lmc_core.runs.jobs import lock_path
from lmc_core.runs.warm import Expectations, expect
from lmc_core.runs.worker import Worker

EXPECT = Local.expect  # tests go without


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """References that were read."""
    found: list[str] = []
    monkeypatch.setattr(warm, "read", found.append)
    return found


def test_a_worker_reads_what_is_looked_at_once(home: Path, seen: list[str]) -> None:
    waiting = Worker("cpu", idle=-1.0, home=home)
    waiting.serve()
    assert seen == []
    for _ in range(2):
        expect(["a", "b"], "cpu", home)
    waiting.serve()
    waiting.serve()
    assert seen == ["a", "b"]
    assert not Expectations("cuda", home).meet()


def test_a_worker_that_nobody_asked_ends_sooner(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "UNASKED", -1.0)
    begin = time.monotonic()
    Worker("cpu", idle=60.0, home=home).serve()
    assert time.monotonic() - begin < 10


def test_what_cannot_be_read_is_in_nobodys_way(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(reference: str) -> None:
        raise BadInput(f"{reference} is no model.")

    monkeypatch.setattr(warm, "read", refuse)
    expect(["a"], "cpu", home)
    expected = Expectations("cpu", home)
    assert expected.meet() and not expected.meet()
    lock_path("cpu", home).with_suffix(".models").write_text("no list")
    assert not Expectations("cpu", home).meet()


def test_small_models_are_kept(tiny_gpt2_pair: tuple[Path, Path]) -> None:
    from lmc_core.models.cache import _load_once

    _load_once.cache_clear()
    warm.read(str(tiny_gpt2_pair[0]))
    assert _load_once.cache_info().currsize == 1


def test_looking_asks_for_a_worker(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(Local, "expect", EXPECT)
    monkeypatch.setattr(Local, "ensure_worker", lambda self, device: started.append(device))
    Local(home).expect(["a", "b"], "cpu")
    assert started == ["cpu"]
    Local(home).expect(["a", "c"], "cpu")
    assert started == ["cpu", "cpu"]
