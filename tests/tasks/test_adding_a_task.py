"""A task that is made outside of the package, and a form of data of one's own: both are asked for by
name, measured on, and stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

import lmc_core
from lmc_core.errors import UnknownName
from lmc_core.runs.executors import Inline
from lmc_core.tasks import OWN, Task, TaskForm
from lmc_core.tasks.task import InMemory
from tests.cli.conftest import Run, lmc

__all__ = ["lmc"]


def read(split: str, length: int) -> InMemory:
    """Twelve images of noise with labels in turn."""
    noise = torch.randn(12, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    return InMemory(lmc_core.Examples(noise, torch.arange(12) % 10))


TOY = Task("toy", "Noise with labels.", "images", "nats", 10, "none", read)


def from_seed(rest: str, models: Sequence[lmc_core.Model]) -> Task:
    """The same under the name of what was asked for."""
    return Task(f"noise:{rest}", "Noise.", "images", "nats", 10, "none", read)


@pytest.fixture
def toy() -> Iterator[None]:
    lmc_core.TASKS.add(TOY)
    OWN.add(TaskForm("noise", "SEED", "images", from_seed))
    yield
    lmc_core.TASKS.remove("toy")
    OWN.remove("noise")


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("name", ["toy", "noise:3"])
def test_it_is_measured_on_and_stored(
    lmc: Run, name: str, tiny_vit_pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = map(str, tiny_vit_pair)
    monkeypatch.setattr("lmc_core.cli.computing.get_executor", lambda name: Inline())
    words = ("--method", "none", "--points", "3", "--refine", "0")
    result = lmc("barrier", a, b, "--task", name, *words, "--json").json
    assert result["task"] == name and result["examples"] == 12
    assert sum(each.result.get("task") == name for each in Inline().store.list()) == 1
    model = lmc_core.load(a)
    assert len(lmc_core.task_for(name, model).examples("test")) == 12


@pytest.mark.usefixtures("toy")
def test_it_is_offered_where_no_task_has_the_name() -> None:
    with pytest.raises(UnknownName, match="expected one of: austen, fashion-mnist, plays, toy"):
        lmc_core.get_task("tax")
