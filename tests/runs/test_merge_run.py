"""Merging as requests: what a result holds, against slow references; frames that are kept; models
that are saved; refusals.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmc_core.errors import BadInput, Cancelled, Incompatible, UnknownName
from lmc_core.merging.frames import FRAMES, find_frame
from lmc_core.merging.methods import MERGES
from lmc_core.merging.mixtures import choose_mixtures
from lmc_core.models.load import load
from lmc_core.models.model import Model
from lmc_core.runs import cache
from lmc_core.runs.computation import request_from_json
from lmc_core.runs.executors import Inline
from lmc_core.runs.kinds.merge import compute, make_merge_requests, save_as
from lmc_core.tasks import get_task
from lmc_core.tasks.evaluator import evaluate
from tests import tiny

WORDS: dict[str, Any] = {"examples": 6, "resolution": 2, "device": "cpu", "length": 16, "points": 1}
ALL = {name: {"examples": 8} if name == "soup" else {} for name in MERGES}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("three")
    return [str(tiny.write(root / f"s{seed}", tiny.tiny("gpt2", seed))) for seed in range(3)]


def loss_of(model: Model) -> float:
    examples = get_task("plays").examples("test", 6, 0, 16)
    return float(evaluate(model, [model.state], examples)[0].double().mean())


def test_every_way_in_one_frame(three: list[str], home: Path) -> None:
    plain, frame = make_merge_requests(
        three, frames=("none", "reference"), merges=ALL, weights=(2, 1, 1), **WORDS
    )
    assert request_from_json(plain.to_json()) == plain and plain.weights == (0.5, 0.25, 0.25)
    assert [name for name, _ in plain.merges] == list(ALL) and [
        name for name, _ in frame.merges
    ] == list(ALL)[:-1]
    executor = Inline(home)
    result = executor.run(plain).result
    assert (
        executor.run(plain).result["cached"] and not result["cached"] and result["what"] == "merge"
    )
    rows = {row["merge"]: row for row in result["rows"]}
    models = [load(each) for each in three]
    a, b, c = (model.state for model in models)
    mean = models[0].with_state(
        {name: 0.5 * a[name] + 0.25 * b[name] + 0.25 * c[name] for name in a}
    )
    measured = rows["weighted"]["measured"]["plays"]
    assert measured["loss"] == pytest.approx(loss_of(mean), abs=1e-5)
    assert measured["perplexity"] == pytest.approx(np.exp(measured["loss"]))
    for row, model in zip(result["models_rows"], models, strict=True):
        assert row["measured"]["plays"]["loss"] == pytest.approx(loss_of(model), abs=1e-5)
    assert (
        rows["ensemble"]["passes"] == 3
        and rows["ensemble"]["parameters"] == 3 * models[0].parameters
    )
    assert rows["average"]["passes"] == 1 and rows["average"]["bytes"] == 4 * models[0].parameters
    assert (
        not rows["ensemble"]["checkpoint"]
        and rows["ties"]["ancestor"]
        and rows["ties"]["settings"]["density"] == 0.2
    )
    assert rows["soup"]["about"]["split"] == "validation" and rows["soup"]["about"]["kept"]
    ends = [row["measured"]["plays"]["loss"] for row in result["models_rows"]]
    assert rows["ensemble"]["measured"]["plays"]["loss"] <= np.dot((0.5, 0.25, 0.25), ends)
    moved = executor.run(frame).result
    assert (
        max(moved["function_errors"]) < 1e-5
        and moved["frame"] == "reference"
        and moved["objective"]
    )
    assert [row["measured"]["plays"]["loss"] for row in moved["models_rows"]] == pytest.approx(
        ends, abs=1e-4
    )
    assert moved["rows"][0]["measured"]["plays"]["loss"] != pytest.approx(
        rows["average"]["measured"]["plays"]["loss"], abs=1e-4
    )


def test_lines_and_simplex_against_what_was_measured(three: list[str]) -> None:
    request = make_merge_requests(three, frames=("none",), **WORDS)[0]
    result, arrays = compute(request)
    losses, weights = arrays["losses"].astype(np.float64), arrays["weights"]
    assert (
        np.allclose(weights[:3], np.eye(3))
        and len({tuple(row) for row in weights}) == len(weights) == 3 + 3 + 1
    )
    for i, j in combinations(range(3), 2):
        middle = int(np.abs(weights - (np.eye(3)[i] + np.eye(3)[j]) / 2).sum(1).argmin())
        excess = losses[middle] - (losses[i] + losses[j]) / 2
        assert (
            result["lines"]["barrier"][i][j]
            == result["lines"]["barrier"][j][i]
            == pytest.approx(excess.mean())
        )
        assert result["lines"]["stderr"][i][j] == pytest.approx(excess.std(ddof=1) / 6**0.5)
    assert result["lines"]["barrier"][1][1] is None
    centre = int(np.abs(weights - 1 / 3).sum(1).argmin())
    assert result["centre_excess"] == pytest.approx((losses[centre] - losses[:3].mean(0)).mean())
    assert result["rows"][0]["measured"]["plays"]["loss"] == pytest.approx(
        losses[centre].mean(), abs=1e-5
    )
    simplex = result["simplex"]
    for point, loss in zip(simplex["weights"], simplex["loss"], strict=True):
        assert loss == pytest.approx(losses[int(np.abs(weights - point).sum(1).argmin())].mean())
    assert simplex["perplexity"] == pytest.approx(np.exp(simplex["loss"]))


def test_points_on_lines_are_in_order_and_none_twice() -> None:
    rows = choose_mixtures(4, 3, None)
    assert len(rows) == 4 + 6 * 3 + 1 and torch.allclose(
        rows.sum(1), torch.ones(len(rows), dtype=torch.float64)
    )
    assert len(choose_mixtures(3, 3, 4)) == 3 + 9 + 3 + 1  # the edges of this grid are on the lines
    assert len(choose_mixtures(2, 1, None)) == 3  # the middle of two is their centre


def test_the_place_of_a_barrier_is_seen_from_either_end(three: list[str]) -> None:
    request = make_merge_requests(three, frames=("none",), **(WORDS | {"points": 5}))[0]
    result, arrays = compute(request)
    losses, weights = arrays["losses"].astype(np.float64), arrays["weights"]
    places = []
    for i, j in combinations(range(3), 2):
        on = [k for k, row in enumerate(weights) if row[i] + row[j] > 1 - 1e-9 and 0 < row[j] < 1]
        above = [
            (losses[k] - weights[k, i] * losses[i] - weights[k, j] * losses[j]).mean() for k in on
        ]
        places.append(weights[on[int(np.argmax(above) if max(above) > 0 else np.argmin(above))], j])
        assert result["lines"]["at"][i][j] == pytest.approx(places[-1])
        assert result["lines"]["at"][j][i] == pytest.approx(1 - places[-1])
    assert any(abs(place - 0.5) > 0.1 for place in places)  # so that both ends differ


def test_a_frame_is_kept_and_shared(three: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    calls, align = [], cache.match_models
    monkeypatch.setattr(cache, "match_models", lambda *a, **k: calls.append(1) or align(*a, **k))
    one = make_merge_requests(three, frames=("reference",), merges=("average",), **WORDS)[0]
    other = make_merge_requests(
        three, frames=("reference",), merges=("slerp", "ties"), weights=(1, 2, 3), **WORDS
    )[0]
    first, _ = compute(one)
    second, _ = compute(other)
    assert len(calls) == 1 and one.key != other.key
    assert (
        first["lines"] == second["lines"] and first["function_errors"] == second["function_errors"]
    )
    kept = cache.frame_folder(one) / "2.safetensors"
    kept.write_bytes(kept.read_bytes()[:50])  # damaged: aligned again
    assert compute(one)[0]["lines"] == first["lines"] and len(calls) == 2
    assert len(make_merge_requests(three, frames=("reference",), onto=2, **WORDS)[0].settings) == 1
    moved = make_merge_requests(three, frames=("reference",), onto=2, merges=("average",), **WORDS)[
        0
    ]
    assert compute(moved)[0]["start"].startswith("2") and len(calls) == 3


def test_learning_is_a_frame_of_its_own(three: list[str]) -> None:
    weights, learned = make_merge_requests(
        three, frames=("universe", "learned"), steps=4, learn=24, **WORDS
    )
    assert weights.learn is None and learned.learn == 24 and weights.key != learned.key
    told: list[tuple[float, str]] = []
    result, _ = compute(learned, lambda share, words: told.append((share, words)))
    assert result["frame"] == "learned" and result["found"]["steps"] == 4
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0)
    assert any("step 4 of 4" in words for _, words in told) and any(
        "between the models" in words for _, words in told
    )
    assert [find_frame(f.method, {"steps": 5 if f.learns else 0}) for f in FRAMES.values()] == list(
        FRAMES.values()
    )

    def stop(share: float, words: str) -> None:
        if words.startswith("measuring"):
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        compute(weights, stop)


def test_a_common_ancestor_is_moved_too_and_not_merged(three: list[str]) -> None:
    plain, moved = make_merge_requests(
        three[:2],
        frames=("none", "reference"),
        ancestor=three[2],
        merges={"task-arithmetic": {"scale": 0.0}},
        **WORDS,
    )
    assert plain.count == 2 and plain.weights == (0.5, 0.5) and plain.resolution is None
    ancestor = loss_of(load(three[2]))
    for request in (plain, moved):  # nothing added: the ancestor itself, wherever it was moved
        result, _ = compute(request)
        assert (
            result["models"] == ["tiny-gpt2-s0", "tiny-gpt2-s1"]
            and result["ancestor"]["name"] == "tiny-gpt2-s2"
        )
        assert result["rows"][0]["measured"]["plays"]["loss"] == pytest.approx(ancestor, abs=1e-4)
        assert [row["ancestor"] for row in result["models_rows"]] == [False, False, True]


def test_models_of_different_tasks_are_measured_on_each(three: list[str], tmp_path: Path) -> None:
    other = tiny.write(tmp_path / "austen", tiny.tiny("gpt2", 7))
    card = json.loads((other / "card.json").read_text())
    (other / "card.json").write_text(json.dumps(card | {"task": "austen"}))
    merges: dict[str, dict[str, Any]] = {"average": {}, "soup": {"examples": 4}}
    request = make_merge_requests([three[0], str(other)], frames=("none",), merges=merges, **WORDS)[
        0
    ]
    assert request.task == "plays" and request.also == ("austen",)
    result, _ = compute(request)
    assert [task["name"] for task in result["tasks"]] == ["plays", "austen"]
    for row in [*result["rows"], *result["models_rows"]]:
        assert set(row["measured"]) == {"plays", "austen"}
        assert row["measured"]["plays"]["loss"] != row["measured"]["austen"]["loss"]


def test_what_is_saved_is_an_ordinary_checkpoint_that_computes_the_same(
    three: list[str], home: Path
) -> None:
    from transformers import AutoModelForCausalLM

    asked = make_merge_requests(
        three, frames=("reference",), merges={"ties": {"density": 0.5}, "average": {}}, **WORDS
    )[0]
    wanted, _ = compute(asked)
    request = save_as(asked, "ties", "my-ties")
    assert request.key != asked.key and request_from_json(request.to_json()) == request
    result = Inline(home).run(request).result
    folder = home / "models" / "my-ties"
    assert result["saved"]["name"] == "my-ties" and sorted(
        path.name for path in folder.parent.iterdir()
    ) == ["my-ties"]
    assert str(home) not in json.dumps(result["saved"])
    model = load(folder)
    assert model.digest == result["saved"]["digest"]
    row = next(row for row in wanted["rows"] if row["merge"] == "ties")
    assert loss_of(model) == pytest.approx(row["measured"]["plays"]["loss"], abs=1e-5)
    inputs = torch.randint(81, (2, 16), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(folder)(inputs).logits
        ours = model.family.outputs(model.module(), inputs)
    assert torch.allclose(theirs, ours, atol=1e-5)
    card = json.loads((folder / "card.json").read_text())
    merged = card["merged"]
    assert (
        merged["method"] == "ties"
        and merged["settings"] == {"density": 0.5, "scale": 1.0}
        and merged["frame"] == "reference"
    )
    assert [each["digest"] for each in merged["models"]] == [load(each).digest for each in three]
    assert merged["ancestor"] == {"stand_in": "mean"} and len(merged["function_errors"]) == 3
    assert (
        card["digest"] == model.digest
        and card["task"] == "plays"
        and card["versions"]["lmc"]
        and card["date"]
    )
    assert card["scores"]["test"]["loss"] == pytest.approx(
        row["measured"]["plays"]["loss"], abs=1e-5
    )
    # digests and names, no places
    assert not [place for place in three if place in json.dumps(card)]
    with pytest.raises(BadInput, match="a model named 'my-ties' already"):
        compute(request)


def test_a_vision_transformer_goes_through_timm(
    tmp_path_factory: pytest.TempPathFactory, home: Path
) -> None:
    import timm

    root = tmp_path_factory.mktemp("vit")
    folders = [str(tiny.write(root / f"s{seed}", tiny.tiny("vit", seed))) for seed in range(2)]
    words: dict[str, Any] = {"examples": 6, "device": "cpu", "points": 1}
    asked = make_merge_requests(folders, frames=("universe",), merges=("slerp",), **words)[0]
    compute(save_as(asked, "slerp", "arc"))
    raw = json.loads((home / "models" / "arc" / "config.json").read_text())
    theirs = timm.create_model(
        raw["architecture"], num_classes=raw["num_classes"], **raw["model_args"]
    )
    from safetensors.torch import load_file

    theirs.load_state_dict(load_file(home / "models" / "arc" / "model.safetensors"))
    examples = get_task("fashion-mnist").examples("test", 6)
    model = load(home / "models" / "arc")
    with torch.no_grad():
        assert torch.allclose(
            theirs.eval()(examples.inputs),
            model.family.outputs(model.module(), examples.inputs),
            atol=1e-5,
        )


def test_what_cannot_be_done_is_refused(three: list[str], tiny_vit_pair: tuple[Path, Path]) -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"references": three[:1]}, "Between 2 and 8 models are expected; 1 came"),
        ({"references": three * 3}, "Between 2 and 8 models are expected; 9 came"),
        (
            {"references": three * 3, "ancestor": three[0]},
            "Between 2 and 7 models are expected besides their ancestor",
        ),
        ({"frames": ()}, "At least one frame"),
        ({"merges": ()}, "At least one way to merge"),
        ({"weights": (1, 2)}, "One weight for each of the 3 models"),
        ({"onto": 4}, "number from 1 to 3"),
        ({"points": 0}, "At least 1 point"),
        ({"resolution": 1}, "resolution"),
        ({"examples": 1}, "At least 2 examples"),
    ]
    for change, words in refused:
        given: dict[str, Any] = {"references": three, **WORDS, **change}
        with pytest.raises(BadInput, match=words):
            make_merge_requests(given.pop("references"), **given)
    unknown: tuple[dict[str, Any], ...] = (
        {"frames": ("elsewhere",)},
        {"merges": ("blend",)},
        {"merges": {"ties": {"dense": 1}}},
        {"stand_in": "last"},
    )
    for change in unknown:
        with pytest.raises(UnknownName):
            make_merge_requests(three, **change)
    with pytest.raises(Incompatible):
        make_merge_requests([three[0], str(tiny_vit_pair[0])], **WORDS)
    request = make_merge_requests(three, merges=("average", "ensemble"), **WORDS)[0]
    for merge, name, words in (
        ("ties", "x", "in this request"),
        ("ensemble", "x", "several models"),
        ("average", "../x", "letters"),
    ):
        with pytest.raises(BadInput, match=words):
            save_as(request, merge, name)
    with pytest.raises(BadInput, match="have changed"):
        compute(replace(request, digests=(request.digests[0], "0" * 64, request.digests[2])))


def test_a_choice_is_never_made_on_what_is_reported(three: list[str]) -> None:
    request = make_merge_requests(
        three, frames=("none",), merges={"soup": {"examples": 4}}, split="validation", **WORDS
    )[0]
    assert compute(request)[0]["rows"][0]["about"]["split"] == "train"
    from lmc_core.runs.kinds.merge import _require_choice

    with pytest.raises(BadInput, match="chosen on the validation split, which mine does not have"):
        _require_choice({"soup": {}}, ["mine"], ("test",), "test")


def test_anew_a_frame_is_found_again(three: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    count: list[int] = []
    real = cache.match_models
    monkeypatch.setattr(cache, "match_models", lambda *a, **k: count.append(1) or real(*a, **k))
    (request,) = make_merge_requests(three, frames=("reference",), merges=("average",), **WORDS)
    first, _ = compute(request)
    compute(request)
    assert len(count) == 1
    again, _ = compute(request, refresh=True)
    assert len(count) == 2 and again["rows"][0]["measured"] == first["rows"][0]["measured"]


def test_a_type_is_part_of_the_key_only_where_one_was_asked_for(three: list[str]) -> None:
    """Requests from before types could be asked for keep their keys."""
    request = make_merge_requests(three, frames=("none",), merges=("average",), **WORDS)[0]
    kept = save_as(request, "average", "new")
    assert "dtype" not in request.to_json() and "dtype" not in kept.to_json()
    half = save_as(request, "average", "new", "float16")
    assert half.to_json()["dtype"] == "float16" and half.key != kept.key
    assert (
        type(half).from_json(half.to_json()) == half
        and type(kept).from_json(kept.to_json()) == kept
    )
