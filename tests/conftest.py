"""Fixtures of all tests: a home of their own, and tiny models as folders."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

from tests import tiny

# as the command does, before transformers is imported
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
# a busy one is slow for reasons that are no fault
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for results that is this test's own, so that no test touches those of a person."""
    folder = tmp_path / "home"
    monkeypatch.setenv("LMC_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def nobody_gets_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking at a page starts no worker, which would outlive the test."""
    monkeypatch.setattr("lmc_core.runs.executors.local.Local.expect", lambda *asked: None)


def _pair(factory: pytest.TempPathFactory, family: str) -> tuple[Path, Path]:
    root = factory.mktemp(family)
    first, second = (tiny.write(root / f"s{seed}", tiny.tiny(family, seed)) for seed in (0, 1))
    return first, second


@pytest.fixture(scope="session")
def tiny_gpt2_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of two tiny random GPT-2 models for `plays`; read them, do not change them."""
    return _pair(tmp_path_factory, "gpt2")


@pytest.fixture(scope="session")
def tiny_vit_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of two tiny random Vision Transformers for `fashion-mnist`; read them, do not change
    them.
    """
    return _pair(tmp_path_factory, "vit")
