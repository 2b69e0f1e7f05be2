"""A way to merge that is made outside of the package: it is listed, run, stored and written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import lmc_core
from lmc_core.errors import UnknownName
from lmc_core.figures.merge_rows import merged_rows
from lmc_core.runs.executors import Inline
from tests.cli.conftest import Run, lmc

__all__ = ["lmc"]


@dataclass(frozen=True)
class FirstSettings:
    """Which model is taken.

    Attributes:
        which: number of the model, the first is 1.
    """

    which: int = 1


def take_one(given: lmc_core.Ingredients, settings: FirstSettings) -> lmc_core.Merged:
    """One of the models as it is."""
    return given.each(lambda name: given.of(name)[settings.which - 1])


TOY = lmc_core.MergeMethod(
    name="toy",
    title="one of them",
    sentence="Takes one of the models.",
    source="nobody",
    settings=FirstSettings,
    merge=take_one,
)


@pytest.fixture
def toy() -> Iterator[None]:
    lmc_core.MERGES.add(TOY)
    yield
    lmc_core.MERGES.remove("toy")


@pytest.mark.usefixtures("toy")
def test_it_is_run_stored_shown_and_written(
    lmc: Run, tiny_vit_pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = map(str, tiny_vit_pair)
    monkeypatch.setattr("lmc_core.cli.computing.get_executor", lambda name: Inline())
    data = ("--task", "fashion-mnist", "--examples", "8", "--points", "1")
    words = ("merge", a, b, "--method", "toy", "--frame", "none", "--set", "which=2", *data)
    (result,) = lmc(*words, "--json").json
    row = next(row for row in result["rows"] if row["merge"] == "toy")
    assert (row["title"], row["settings"]) == ("one of them", {"which": 2})
    stored = [each.result.get("rows") or () for each in Inline().store.list()]
    assert sum(any(row["merge"] == "toy" for row in rows) for rows in stored) == 1
    assert "one of them" in [each.title for each in merged_rows([result], "fashion-mnist")]
    assert "one of them" in lmc(*words).out
    assert lmc(*words, "--out", tmp_path / "made").code == 0
    written = lmc_core.load(str(tmp_path / "made"))
    second = lmc_core.load(b)
    assert all((written.state[name] == tensor).all() for name, tensor in second.state.items())


@pytest.mark.usefixtures("toy")
def test_the_library_merges_by_it(tiny_vit_pair: tuple[Path, Path]) -> None:
    models = [lmc_core.load(str(folder)) for folder in tiny_vit_pair]
    merged = lmc_core.merge(models, "toy", which=2)
    assert all((merged.state[name] == tensor).all() for name, tensor in models[1].state.items())
    with pytest.raises(UnknownName, match="setting of the method toy"):
        lmc_core.merge(models, "toy", density=0.2)
