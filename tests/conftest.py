"""Fixtures of all tests: a home of their own, and tiny models as folders."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import hypothesis
import pytest

from tests import tiny

# as the command does, before transformers is imported
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
# a busy one is slow for reasons that are no fault
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """All tests run in as many processes as there are cores, four at the most, for each takes a
    gigabyte and a half; a few files or folders run in this process.
    """
    chosen = set(config.args) - set(config.getini("testpaths"))
    if chosen or config.option.collectonly:
        return 0
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes inherit it
    return min(4, os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of tests in a browser evenly between the first half of the others, so that few
    of them wait for one another and none is left for the end.
    """
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    waiting = [each for each in files.values() if each[0].get_closest_marker("browser")]
    others = [each for each in files.values() if not each[0].get_closest_marker("browser")]
    step = max(1, len(others) // (2 * len(waiting) + 1)) if waiting else 1
    for number, each in enumerate(waiting):
        others.insert(number * (step + 1), each)
    items[:] = [item for each in others for item in each]


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


@pytest.fixture(scope="session", autouse=True)
def packages_are_searched_once() -> Iterator[None]:
    """Streamlit's test of a page makes a new runtime for each run of the page, which reads the
    description of every installed package to find components: a sixth of a second, several times
    in each test. What is installed does not change meanwhile.
    """
    if "streamlit.testing.v1" not in sys.modules:  # no test that was collected runs a page
        yield
        return
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        found = cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", found)
        yield


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
