"""Stored results with keys that fit their requests, and a study of them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmc_core.runs.computation import summarize
from lmc_core.runs.requests.barrier import BarrierRequest
from lmc_core.runs.store import Store
from lmc_core.studies.archive import write_archive
from lmc_core.studies.store import Studies
from lmc_core.studies.study import Entry, Study

STATED = json.loads((Path(__file__).parents[1] / "fixtures" / "results.json").read_text())


def arrays_of(result: dict[str, Any], examples: int = 20) -> dict[str, np.ndarray]:
    """Losses of a few examples along the curve of a result, with the means and the error of the
    barrier that it states.
    """
    means, inner = np.array(result["loss"]), np.ones(len(result["loss"]))
    inner[[0, -1]] = 0  # so that the errors of losses and of their excess are one
    spread = np.linspace(-1, 1, examples)
    spread *= result["barrier_stderr"] * examples**0.5 / spread.std(ddof=1)
    losses = (means[:, None] + np.outer(inner, spread)).astype(np.float32)
    right = np.broadcast_to(
        np.array(result.get("accuracy", np.ones(len(means))))[:, None], losses.shape
    )
    return {"losses": losses, "correct": right.astype(np.float32)}


def honest(result: dict[str, Any]) -> dict[str, Any]:
    """The same result with the numbers that its arrays give."""
    return {**result, **summarize({"what": "barrier"}, result, arrays_of(result))}


RESULTS: dict[str, list[dict[str, Any]]] = {
    name: [honest(result) for result in found] for name, found in STATED.items()
}


def request_of(result: dict[str, Any], **values: Any) -> BarrierRequest:
    """The request that a result of the fixtures could be of."""
    return BarrierRequest(
        models=tuple(values.pop("models", result["references"])),
        names=tuple(result["models"]),
        digests=tuple(result["digests"]),
        task=values.pop("task", result["task"]),
        method=result["method"],
        classes=tuple(sorted((result.get("classes") or {}).items())),
        **values,
    )


def keep(
    store: Store, result: dict[str, Any], log: str = "0.00 s  loading the models\n", **values: Any
) -> str:
    """Store a result of the fixtures; returns its key."""
    request = request_of(result, **values)
    content = {
        **result,
        "key": request.key,
        "references": list(request.models),
        "task": str(request.task),
    }
    return store.put(request, content, arrays_of(result), log).key


@pytest.fixture
def store(home: Path, tmp_path: Path) -> Store:
    return Store(home / "results", tmp_path / "shipped" / "results")


@pytest.fixture
def studies(home: Path, tmp_path: Path) -> Studies:
    return Studies(home / "studies", tmp_path / "shipped" / "studies")


@pytest.fixture
def keys(store: Store) -> list[str]:
    """Plain average, permutations only, all classes of one pair, and two curves of another."""
    return [keep(store, result) for result in (*RESULTS["vit"], *RESULTS["gpt2"][:2])]


@pytest.fixture
def study(studies: Studies, keys: list[str]) -> Study:
    entries = (
        Entry(
            keys=tuple(keys[:3]),
            title="Vision",
            note="The ridge <b>shrinks</b>.",
            labels=("plain", "permuted", "all"),
        ),
        Entry(keys=tuple(keys[3:])),
    )
    return studies.create("Two pairs", "What is left.\nOf two pairs.", entries)


@pytest.fixture
def packed(study: Study, store: Store) -> bytes:
    """The archive of the study."""
    buffer = io.BytesIO()
    assert write_archive(study, store, buffer) == []
    return buffer.getvalue()


@pytest.fixture
def elsewhere(tmp_path: Path) -> tuple[Store, Studies]:
    """Another, empty installation."""
    other = tmp_path / "elsewhere"
    return Store(other / "results", other / "none"), Studies(other / "studies", other / "none")


@pytest.fixture
def make(store: Store) -> Callable[..., str]:
    """`make(result, **values)` stores a result of the fixtures."""
    return lambda result, **values: keep(store, result, **values)
