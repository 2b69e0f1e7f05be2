"""A worker that gets ready for the models somebody looks at."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmc_core.errors import BadInput
from lmc_core.runs import warm
from lmc_core.runs.executors import Local
from lmc_core.runs.warm import Expectations, expect
from lmc_core.runs.worker import Worker


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """References that were read."""
    found: list[str] = []
    monkeypatch.setattr(warm, "read", found.append)
    return found


def test_a_worker_reads_what_is_looked_at_once(home: Path, seen: list[str]) -> None:
    worker = Worker("cpu", idle=-1.0, home=home)
    worker.serve()
    assert seen == []
    assert expect(["a", "b"], "cpu", home) and not expect(["a", "b"], "cpu", home)
    worker.serve()
    worker.serve()
    assert seen == ["a", "b"]
    assert not Expectations("cuda", home).meet()


def test_what_cannot_be_read_is_in_nobodys_way(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(reference: str) -> None:
        raise BadInput(f"{reference} is no model.")

    monkeypatch.setattr(warm, "read", refuse)
    expect(["a"], "cpu", home)
    expected = Expectations("cpu", home)
    assert expected.meet() and not expected.meet()
    (home / "workers" / "cpu.models").write_text("no list")
    assert not Expectations("cpu", home).meet()


def test_small_models_are_kept(tiny_gpt2_pair: tuple[Path, Path]) -> None:
    from lmc_core.models.cache import _load_once

    _load_once.cache_clear()
    warm.read(str(tiny_gpt2_pair[0]))
    assert _load_once.cache_info().currsize == 1


def test_looking_starts_the_worker_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(Local, "ensure_worker", lambda self, device: started.append(device))
    for _ in range(2):
        Local(home).expect(["a", "b"], "cpu")
    assert started == ["cpu"]
