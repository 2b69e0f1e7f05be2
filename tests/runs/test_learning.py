"""A learned barrier as a request: what it holds, that it resumes after a cancel, and what it
says.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lmc_core import folders
from lmc_core.errors import BadInput, Cancelled
from lmc_core.runs.cache import find_pair_key
from lmc_core.runs.kinds.barrier import compute, make_request

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
    checkpoint = tmp_path / "unfinished" / f"{find_pair_key(request)}.pt"
    assert checkpoint.is_file()
    again: list[str] = []
    resumed, _ = compute(request, lambda share, words: again.append(words))
    steps = [words for words in again if words.startswith("step")]
    assert steps[0].startswith("step 7 of 9, loss ") and len(steps) == 3
    assert resumed["loss"] == whole["loss"]
    assert not checkpoint.exists()
    found = resumed["found"]
    assert (
        found["steps"] == 9
        and found["held_out"] + found["examples"] == 40
        and len(found["history"]) == 4
    )
    assert resumed["function_error"] < 1e-5


RUN = """
import json, sys
from lmc_core.runs.kinds.barrier import compute
from lmc_core.runs.kinds.barrier import BarrierRequest
def report(share, words):
    print(words, flush=True)
    if words.startswith("step 3 "):  # until somebody kills it
        import time
        time.sleep(600)
compute(BarrierRequest.from_json(json.loads(sys.argv[1])), report)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_a_run_that_is_killed_in_its_first_second_goes_on(
    tiny_gpt2_pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is handled: what is there then was saved before."""
    monkeypatch.setenv("LMC_HOME", str(tmp_path))
    request = make_request(
        *map(str, tiny_gpt2_pair), method="learned", settings=SETTINGS, learn=40, **WORDS
    )
    environment = {**os.environ, "PYTHONPATH": str(folders.PACKAGE.parent)}
    command = [sys.executable, "-c", RUN, json.dumps(request.to_json())]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(line.startswith("step 3 ") for line in process.stdout)
        process.kill()
    checkpoint = tmp_path / "unfinished" / f"{find_pair_key(request)}.pt"
    saved = torch.load(checkpoint, weights_only=True)
    assert saved["done"] == 0 and len(saved["history"]) == 1  # the start, with its held-out loss
    said: list[str] = []
    resumed, _ = compute(request, lambda share, words: said.append(words))
    assert (
        resumed["found"]["history"][0] == saved["history"][0]
        and list(checkpoint.parent.iterdir()) == []
    )
    assert not any("activations" in words or "matching" in words for words in said), (
        "the start was searched for again"
    )
    shutil.rmtree(tmp_path / "aligned")
    whole, _ = compute(request)
    assert whole["loss"] == resumed["loss"]


@pytest.mark.parametrize("name", ["start.json", "start.safetensors"])
def test_a_damaged_start_is_found_again(
    name: str, tiny_gpt2_pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMC_HOME", str(tmp_path))
    request = make_request(
        *map(str, tiny_gpt2_pair), method="learned", settings=SETTINGS, learn=40, **WORDS
    )

    def cancel(share: float, words: str) -> None:
        if words.startswith("step 2 "):
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        compute(request, cancel)
    (kept,) = (tmp_path / "unfinished").glob(f"*.{name}")
    kept.write_bytes(kept.read_bytes()[:50])
    resumed, _ = compute(request)
    shutil.rmtree(tmp_path / "aligned")
    assert compute(request)[0]["loss"] == resumed["loss"]


def test_states_are_saved_often_at_first_and_for_a_twentieth_of_the_time_at_most(
    tiny_gpt2_pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock of its own: a step takes 0.6 s, a save 0.1 s."""
    from lmc_core.matching.learned import descent

    clock, saves = [0.0], []
    monkeypatch.setattr(descent.time, "perf_counter", lambda: clock[0])
    step, save = descent.Descent._step, torch.save

    def slow(self: descent.Descent) -> float:
        clock[0] += 0.6
        return step(self)

    def saved(state: dict[str, object], path: Path) -> None:
        saves.append((state["done"], round(clock[0], 1)))
        clock[0] += 0.1
        save(state, path)

    monkeypatch.setattr(descent.Descent, "_step", slow)
    monkeypatch.setattr(descent.torch, "save", saved)
    monkeypatch.setenv("LMC_HOME", str(tmp_path))
    request = make_request(
        *map(str, tiny_gpt2_pair), method="learned", settings=SETTINGS, learn=40, **WORDS
    )
    compute(request)
    assert [done for done, _ in saves] == [0, 4, 8]  # 2 s apart, 20 times 0.1 s


def test_a_full_disk_is_no_reason_to_stop_learning(
    tiny_gpt2_pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lmc_core.matching.learned import descent

    def full(state: dict[str, object], path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc:626] . unexpected pos 64 vs 0")

    monkeypatch.setattr(descent.torch, "save", full)
    monkeypatch.setenv("LMC_HOME", str(tmp_path))
    request = make_request(
        *map(str, tiny_gpt2_pair), method="learned", settings=SETTINGS, learn=40, **WORDS
    )
    assert compute(request)[0]["found"]["steps"] == 9
    assert not any(path.suffix in (".pt", ".part") for path in (tmp_path / "unfinished").iterdir())


def test_a_budget_in_seconds_holds_for_a_run_that_goes_on(
    tiny_gpt2_pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before it knew how many steps fit, it measures that over as many steps as it
    makes.
    """
    from lmc_core.matching.learned import descent

    clock = [0.0]
    monkeypatch.setattr(descent.time, "perf_counter", lambda: clock[0])
    step = descent.Descent._step

    def slow(self: descent.Descent) -> float:
        clock[0] += 1.0
        return step(self)

    monkeypatch.setattr(descent.Descent, "_step", slow)
    monkeypatch.setenv("LMC_HOME", str(tmp_path))
    settings = {**SETTINGS, "steps": 500, "seconds": 33.0}
    request = make_request(
        *map(str, tiny_gpt2_pair), method="learned", settings=settings, learn=40, **WORDS
    )

    def cancel(share: float, words: str) -> None:
        if words.startswith("step 5 "):
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        compute(request, cancel)
    found, _ = compute(request)
    assert 25 <= found["found"]["steps"] <= 33


def test_what_is_learned_from_is_part_of_the_key(tiny_gpt2_pair: tuple[Path, Path]) -> None:
    a, b = map(str, tiny_gpt2_pair)
    with pytest.raises(BadInput, match="weight learns from no examples"):
        make_request(a, b, method="weight", learn=40, **WORDS)
    wanted = [("weight", {}, None)]
    wanted += [("learned", {"steps": steps}, learn) for steps, learn in ((5, 40), (6, 40), (5, 41))]
    keys = {make_request(a, b, method=m, settings=s, learn=n, **WORDS).key for m, s, n in wanted}
    assert len(keys) == 4


def test_data_without_a_training_split_cannot_be_learned_from(
    tiny_gpt2_pair: tuple[Path, Path], monkeypatch
) -> None:
    from dataclasses import replace

    from lmc_core.runs import inputs
    from lmc_core.tasks import get_task

    monkeypatch.setattr(
        inputs,
        "choose_task",
        lambda models, name, needed=True: replace(get_task("plays"), splits=("test",)),
    )
    a, b = map(str, tiny_gpt2_pair)
    with pytest.raises(BadInput, match="earned learns from a training split"):
        make_request(a, b, method="learned", **WORDS)
