"""Several models as a request: what the result holds, that a cancelled run resumes, and what is
refused.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from lmc_core.errors import BadInput, Cancelled, UnknownName
from lmc_core.paths.simplex import choose_mixtures
from lmc_core.runs import cache
from lmc_core.runs.computation import request_from_json
from lmc_core.runs.executors import Inline
from lmc_core.runs.kinds.many import compute, make_group_request
from tests import tiny

WORDS = {"examples": 6, "resolution": 2, "device": "cpu", "length": 16}
SETTINGS = {"steps": 6, "batch": 2, "checks": 3, "rounds": 1}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("three")
    return [str(tiny.write(root / f"s{seed}", tiny.tiny("gpt2", seed))) for seed in range(3)]


def test_a_result_is_stored_and_says_what_was_measured(three: list[str], home: Path) -> None:
    request = make_group_request(three, method="reference", **WORDS)
    assert request_from_json(request.to_json()) == request
    executor = Inline(home)
    result = executor.run(request).result
    assert executor.run(request).result["cached"] and not result["cached"]
    arrays = executor.run(request).arrays()
    losses, weights = arrays["losses"], arrays["weights"]
    assert losses.shape == (len(weights), 6) and np.allclose(weights.sum(1), 1)
    excess = losses - weights @ losses[:3]
    assert result["centre_excess"] == pytest.approx(excess[3].mean(), abs=1e-6)
    assert result["centre_stderr"] == pytest.approx(excess[3].std(ddof=1) / 6**0.5, abs=1e-6)
    # pairs: 01, 02, 12
    assert result["midpoint_excess"][2][0] == pytest.approx(excess[5].mean(), abs=1e-6)
    assert result["midpoint_excess"][1][1] is None
    simplex = result["simplex"]
    # of this grid nothing has to be measured twice
    assert len(simplex["weights"]) == 7 and len(losses) == 3 + 1 + 3
    assert simplex["maximum"] == pytest.approx(max(simplex["excess"][k] for k in (1, 2, 4, 6)))
    assert result["cycle_error"] < 1e-10 and max(result["function_errors"]) < 1e-5
    assert result["objective"][-1] > result["objective_before"] and result["start"][0] in "123"


def test_nothing_is_moved_without_a_method(three: list[str]) -> None:
    found, _ = compute(make_group_request(three, method="none", **WORDS))
    states = [tiny.tiny("gpt2", seed).state for seed in range(3)]
    assert (
        found["function_errors"] is None
        and found["classes"] == {}
        and found["seconds"]["align"] == 0
    )
    centre = {n: torch.stack([s[n] for s in states]).mean(0) for n in states[0]}
    model = tiny.tiny("gpt2").with_state(centre)
    from lmc_core.tasks import get_task
    from lmc_core.tasks.evaluator import evaluate

    examples = get_task("plays").examples("test", 6, 0, 16)
    assert found["centre_loss"] == pytest.approx(
        float(evaluate(model, [centre], examples)[0].mean()), abs=1e-5
    )


def test_two_models_have_no_simplex_and_four_have_all_pairs(three: list[str]) -> None:
    found, arrays = compute(make_group_request(three[:2], method="none", **WORDS))
    assert found["simplex"] is None and len(arrays["losses"]) == 2 + 1 + 1
    assert found["centre_excess"] == pytest.approx(found["midpoint_excess"][0][1])
    assert len(choose_mixtures(4, None)) == 4 + 1 + 6


def test_a_cancelled_run_goes_on_where_it_was(three: list[str], home: Path) -> None:
    request = make_group_request(three, settings=SETTINGS, learn=40, **WORDS)
    assert request.learn == 40 and request.method == "universe"
    whole, _ = compute(request)
    shutil.rmtree(cache.frame_folder(request))
    checkpoint = home / "unfinished" / f"{cache.find_frame_key(request)}.pt"

    def cancel(share: float, words: str) -> None:
        if words.startswith("step 4"):
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        compute(request, cancel)
    assert checkpoint.is_file()
    again: list[str] = []
    resumed, _ = compute(request, lambda share, words: again.append(words))
    assert [words for words in again if words.startswith("step")][0].startswith("step 5 of 6")
    assert resumed["losses"] == whole["losses"] and resumed["centre_loss"] == whole["centre_loss"]
    assert not checkpoint.exists()
    assert (
        resumed["found"]["steps"] == 6
        and resumed["found"]["examples"] + resumed["found"]["held_out"] == 40
    )


def test_what_matters_is_part_of_the_key(three: list[str]) -> None:
    wanted = [
        ("none", {}, None),
        ("reference", {}, None),
        ("universe", {"steps": 0}, None),
        ("universe", SETTINGS, 40),
    ]
    requests = [
        make_group_request(three, method=m, settings=s, learn=n, **WORDS) for m, s, n in wanted
    ]
    assert [request.learn for request in requests] == [None, None, None, 40]
    assert len({request.key for request in requests}) == 4
    assert make_group_request(three[::-1], method="none", **WORDS).key != requests[0].key


def test_what_cannot_be_done_is_refused(three: list[str]) -> None:
    for references in (three[:1], three * 3):
        with pytest.raises(BadInput, match="Between 2 and 8 models"):
            make_group_request(references, method="none")
    with pytest.raises(UnknownName, match="method for several models"):
        make_group_request(three, method="weight")
    with pytest.raises(UnknownName, match="setting of the method universe"):
        make_group_request(three, settings={"stepps": 3})
    with pytest.raises(BadInput, match="resolution"):
        make_group_request(three, resolution=1)
    with pytest.raises(BadInput, match="At least 2 examples"):
        make_group_request(three, examples=1)
    request = make_group_request(three, method="none", **WORDS)
    from dataclasses import replace

    with pytest.raises(BadInput, match="have changed"):
        compute(replace(request, digests=(request.digests[0], "0" * 64, request.digests[2])))


def test_a_frame_that_was_aligned_before_is_taken(
    three: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    aligned: list[int] = []
    match = cache.match_models
    monkeypatch.setattr(
        cache, "match_models", lambda *args, **words: aligned.append(1) or match(*args, **words)
    )
    first, _ = compute(make_group_request(three, method="reference", **WORDS))
    other = make_group_request(three, method="reference", **{**WORDS, "examples": 4})
    second, _ = compute(other)
    assert len(aligned) == 1 and second["seconds"]["align"] == first["seconds"]["align"]
    assert second["function_errors"] == first["function_errors"] and second["examples"] == 4
    again, _ = compute(other, refresh=True)
    assert len(aligned) == 2 and again["losses"] == pytest.approx(second["losses"], abs=1e-6)
