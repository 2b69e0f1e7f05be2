"""A learned barrier as a request: what it holds, that it resumes after a cancel, and what it says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lmc_core.errors import BadInput, Cancelled
from lmc_core.runs.aligned import alignment_key
from lmc_core.runs.ask import make_request
from lmc_core.runs.barrier import compute

WORDS = {"task": "plays", "examples": 4, "points": 3, "refine": 0, "device": "cpu", "length": 16}
SETTINGS = {"steps": 9, "batch": 2, "checks": 3}


def test_a_cancelled_run_goes_on_where_it_was(
    tiny_gpt2_pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMC_HOME", str(tmp_path))
    a, b = map(str, tiny_gpt2_pair)
    request = make_request(a, b, method="learned", settings=SETTINGS, learn=40, **WORDS)
    assert request.learn == 40 and dict(request.settings) == SETTINGS
    whole, _ = compute(request)
    shutil.rmtree(tmp_path / "aligned")  # else nothing is learned a second time
    said: list[str] = []

    def cancel(share: float, words: str) -> None:
        said.append(words)
        if words.startswith("step 6"):
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        compute(request, cancel)
    checkpoint = tmp_path / "unfinished" / f"{alignment_key(request)}.pt"
    assert checkpoint.is_file()
    again: list[str] = []
    resumed, _ = compute(request, lambda share, words: again.append(words))
    steps = [words for words in again if words.startswith("step")]
    assert steps[0].startswith("step 7 of 9, loss ") and len(steps) == 3
    assert resumed["loss"] == whole["loss"]
    assert not checkpoint.exists()
    found = resumed["found"]
    assert found["steps"] == 9 and found["held_out"] + found["examples"] == 40 and len(found["history"]) == 4
    assert resumed["function_error"] < 1e-5


def test_what_is_learned_from_is_part_of_the_key(tiny_gpt2_pair: tuple[Path, Path]) -> None:
    a, b = map(str, tiny_gpt2_pair)
    with pytest.raises(BadInput, match="weight learns from no examples"):
        make_request(a, b, method="weight", learn=40, **WORDS)
    wanted = [("weight", {}, None)]
    wanted += [("learned", {"steps": steps}, learn) for steps, learn in ((5, 40), (6, 40), (5, 41))]
    keys = {make_request(a, b, method=m, settings=s, learn=n, **WORDS).key for m, s, n in wanted}
    assert len(keys) == 4


def test_data_without_a_training_split_cannot_be_learned_from(tiny_gpt2_pair: tuple[Path, Path], monkeypatch) -> None:
    from dataclasses import replace

    from lmc_core.runs import ask
    from lmc_core.tasks import get_task

    monkeypatch.setattr(ask, "task_of", lambda models, name: replace(get_task("plays"), splits=("test",)))
    a, b = map(str, tiny_gpt2_pair)
    with pytest.raises(BadInput, match="earned learns from a training split"):
        make_request(a, b, method="learned", **WORDS)
