"""First answers that came with the app: no pair that a page begins with is an empty picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmc_core import folders
from lmc_core.figures.barrier import barrier_figure
from lmc_core.models.listing import Row, listing
from lmc_core.runs.kinds.barrier import make_request
from lmc_core.runs.partial import Unfinished
from lmc_core.runs.remembered import read_kinds
from lmc_core.runs.store import Store
from lmc_core.ui.setting import PLAIN, all_classes, only_permutations

MOST = 1_000_000  # bytes of all of them


def find_pairs() -> list[tuple[str, str]]:
    """The first two models of every family, task and size of which there are two."""
    kinds: dict[tuple[str, str, str], list[Row]] = {}
    for row in listing():
        kinds.setdefault((row["family"], str(row["task"]), str(row["sizes"])), []).append(row)
    return [(rows[0]["name"], rows[1]["name"]) for rows in kinds.values() if len(rows) > 1]


@pytest.mark.parametrize(("a", "b"), find_pairs())
def test_every_family_has_a_first_answer(a: str, b: str) -> None:
    largest = {kind: space["largest"] for kind, space in read_kinds(a).items()}
    settings = dict.fromkeys([PLAIN, only_permutations(largest), all_classes(largest)])
    there = 0
    for each in settings:
        request = make_request(
            a, b, method=each.method, classes=dict(each.classes) or None, device="cpu"
        )
        if Store().get(request.key) is not None:
            there += 1
        elif (found := Unfinished(request.key).read()) is not None:
            facts, arrays = found
            assert facts["key"] == request.key and facts["digests"] == list(request.digests)
            assert arrays["losses"].shape == (len(facts["lam"]), facts["examples"])
            assert len(barrier_figure([facts]).data) > 2
            there += 1
    assert there, f"{a} and {b} have none; see scripts/ship_results.py"


def test_they_are_small() -> None:
    folder: Path = folders.assets() / "early"
    assert 0 < sum(path.stat().st_size for path in folder.glob("*.npz")) < MOST
