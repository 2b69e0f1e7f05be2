"""Equal weights in two folders and one text under two names are one result, which has the names of
whoever asks.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lmc_core.cli import main
from lmc_core.runs.computation import named_as, rename
from lmc_core.runs.executors import Inline
from lmc_core.runs.kinds.barrier import make_request
from lmc_core.runs.kinds.merge import make_merge_requests
from lmc_core.runs.kinds.plane import make_plane_request
from lmc_core.runs.requests.barrier import BarrierRequest
from lmc_core.runs.result import Result
from lmc_core.runs.store import Store
from lmc_core.studies.gather import gather
from lmc_core.studies.html import study_html
from lmc_core.studies.index import rows
from lmc_core.studies.store import Studies
from lmc_core.studies.study import Entry

WORDS = {"examples": 6, "device": "cpu"}


def copied(folder: Path, name: str, card: str | None = None) -> str:
    """The same weights in another folder, which gives the model its name, or under another card."""
    there = folder.parent / "again" / name
    shutil.copytree(folder, there, dirs_exist_ok=True)
    if card is None:
        (there / "card.json").unlink()
    else:
        (there / "card.json").write_text(
            json.dumps({**json.loads((there / "card.json").read_text()), "name": card})
        )
    return str(there)


@pytest.fixture
def two(tiny_vit_pair: tuple[Path, Path]) -> tuple[list[str], list[str]]:
    """References of one pair under two namings."""
    again = [
        copied(path, f"{letter}-of-mine") for path, letter in zip(tiny_vit_pair, "ab", strict=True)
    ]
    return [str(path) for path in tiny_vit_pair], again


def texts(content: Any) -> str:
    return json.dumps(content)


def test_a_barrier_has_the_names_of_whoever_asks(
    two: tuple[list[str], list[str]], home: Path
) -> None:
    first, second = (
        make_request(*pair, task="fashion-mnist", points=3, refine=0, method="none", **WORDS)
        for pair in two
    )
    assert first.key == second.key and first.names != second.names
    executor = Inline(home)
    executor.run(first)
    stored = (executor.store.root / first.key / "result.json").read_bytes()
    found = executor.run(second)
    assert found.result["cached"] and found.result["models"] == ["a-of-mine", "b-of-mine"]
    assert found.result["references"] == list(second.models) and found.request == second.to_json()
    assert "tiny-vit" not in texts([found.request, found.result])
    assert (executor.store.root / first.key / "result.json").read_bytes() == stored
    assert executor.run(first).result["models"] == list(first.names)


def test_lists_studies_and_reports_have_the_names_asked_for_last(
    two: tuple[list[str], list[str]], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "--task",
        "fashion-mnist",
        "--points",
        "3",
        "--refine",
        "0",
        "--method",
        "none",
        "--examples",
        "6",
    ]
    assert main(["barrier", *two[0], *arguments]) == 0
    capsys.readouterr()
    assert main(["barrier", *two[1], *arguments, "--html", str(home / "page.html")]) == 0
    said = capsys.readouterr().out
    assert "a-of-mine → b-of-mine" in said and "computed earlier" in said and "tiny-vit" not in said
    assert "tiny-vit" not in (home / "page.html").read_text()
    assert main(["barrier", *two[1], *arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["models"] == ["a-of-mine", "b-of-mine"] and "tiny-vit" not in texts(answer)
    store = Store()
    (own,) = [row for row in rows(store) if not row.shipped]
    assert own.models == ("a-of-mine", "b-of-mine")
    study = Studies().create("Mine", entries=(Entry(keys=(own.key,)),))
    assert gather(study, store)[0].title == "a-of-mine \u2192 b-of-mine"
    assert "tiny-vit" not in study_html(study, store)[0]
    # the names are no part of the result: without them it is whole
    (store.root / own.key / "asked.json").write_text("{broken")
    found = store.get(own.key)
    assert found and found.result["models"][0].startswith("tiny-vit")
    (store.root / own.key / "asked.json").write_text(
        json.dumps({"models": ["x"], "names": [3], "task": "y"})
    )
    assert store.get(own.key) == found


def test_a_text_has_the_name_of_whoever_asks(
    tiny_gpt2_pair: tuple[Path, Path], tmp_path: Path, home: Path
) -> None:
    for name in ("first letters.txt", "second.txt"):
        (tmp_path / name).write_text(
            "It is a truth universally acknowledged, that a text has many names. " * 60
        )
    pair = [str(path) for path in tiny_gpt2_pair]
    words = {"points": 3, "refine": 0, "method": "none", "length": 16, **WORDS}
    first, second = (
        make_request(*pair, task=f"text:{tmp_path / name}", **words)
        for name in ("first letters.txt", "second.txt")
    )
    assert first.key == second.key
    executor = Inline(home)
    before = executor.run(first).result
    after = executor.run(second).result
    assert before["task"] == "text:first letters.txt" and before["about"].startswith(
        "first letters.txt, "
    )
    assert after["task"] == "text:second.txt" and after["about"] == before["about"].replace(
        "first letters.txt", "second.txt"
    )
    assert "first letters" not in texts(after)


def test_a_merge_is_renamed_in_every_place(tiny_vit_pair: tuple[Path, Path], home: Path) -> None:
    """Also with two models of one name, which only their numbers tell apart, and from an alignment
    that was kept.
    """
    pair = [copied(path, f"same-{k}", "twin") for k, path in enumerate(tiny_vit_pair)]
    again = [copied(path, f"other-{k}", f"renamed {k}") for k, path in enumerate(tiny_vit_pair)]
    words = {
        "frames": ["reference"],
        "merges": {"soup": {"examples": 8}, "average": {}},
        "onto": 0,
        "points": 1,
        **WORDS,
    }
    (first,), (second,) = (
        make_merge_requests(models, task="fashion-mnist", **words) for models in (pair, again)
    )
    assert first.key == second.key and first.names == ("twin", "twin")
    executor = Inline(home)
    before, after = executor.run(first).result, executor.run(second).result
    assert (
        [row["name"] for row in after["models_rows"]]
        == after["models"]
        == ["renamed 0", "renamed 1"]
    )
    assert after["start"] == before["start"].replace(
        "twin", f"renamed {int(before['start'][0]) - 1}"
    )
    kept = after["rows"][0]["about"]
    assert kept["kept"] == [f"renamed {k - 1}" for k in kept["kept_numbers"]]
    assert "twin" not in texts(after)
    # another number of examples is another result, on the same alignment
    (third,) = make_merge_requests(again, task="fashion-mnist", **{**words, "examples": 7})
    assert "twin" not in texts(executor.run(third).result)


def test_a_plane_is_renamed_at_its_corners(two: tuple[list[str], list[str]], home: Path) -> None:
    words = {
        "resolution": 3,
        "task": "fashion-mnist",
        "method": "weight",
        "classes": {"residual": "none"},
        **WORDS,
    }
    first, second = (make_plane_request(pair, "pair", **words) for pair in two)
    executor = Inline(home)
    executor.run(first)
    points = executor.run(second).result["points"]
    assert [(point["label"], point["name"]) for point in points] == [
        ("A", "a-of-mine"), ("B aligned", "b-of-mine"), ("B", "b-of-mine")
    ]  # fmt: skip


def plain(**values: Any) -> BarrierRequest:
    words: dict[str, Any] = {
        "models": ("zoo:a", "zoo:b"),
        "names": ("loss", "weight"),
        "digests": ("1", "2"),
        "task": "plays",
    }
    return BarrierRequest(**{**words, **values})


def test_names_that_are_words_of_the_result_do_no_harm() -> None:
    content = {
        "models": ["loss", "weight"],
        "method": "weight",
        "loss": [1.0],
        "score": "loss",
        "data": "",
        "task": "plays",
    }
    found = Result("0" * 64, plain().to_json(), content, Path(), "")
    named = named_as(
        found, plain(names=("method", "x"), models=("path:1", "path:2"), task="other").to_json()
    )
    assert named.result == {
        **content,
        "models": ["method", "x"],
        "references": ["path:1", "path:2"],
    }
    assert named.request["task"] == "plays"  # a shipped task has one name
    assert named_as(found, plain().to_json()) is found
    assert named_as(found, plain(names=("one",), models=("zoo:a",)).to_json()) is found


def test_what_a_bend_and_a_wider_model_are_called() -> None:
    request = {"what": "plane", "models": ["1", "2"], "names": ["x", "y"], "task": "plays"}
    points = [
        {"label": "A", "name": "p", "role": "a"},
        {"label": "bend", "name": "bend", "role": "bend"},
    ]
    named = rename({"models": ["p", "q"], "points": points}, request)
    assert [point["name"] for point in named["points"]] == ["x", "bend"]
    assert (
        rename({"models": ["p", "q"], "wider": "q"}, {**request, "what": "alignment"})["wider"]
        == "y"
    )
    assert (
        rename({"models": ["p", "q"], "wider": None}, {**request, "what": "alignment"})["wider"]
        is None
    )
    assert rename({"form": "free"}, {"what": "equivariance"}) == {"form": "free"}


def test_a_data_set_of_the_hub_keeps_its_split_and_a_local_one_is_renamed() -> None:
    request = {"what": "barrier", "models": ["1"], "names": ["x"], "task": "hf-dataset:/b/new:test"}
    content = {
        "models": ["x"],
        "data": "d",
        "task": "hf-dataset:old:test",
        "about": "/a/old, its column 'text', rows",
    }
    found = rename(content, request, "hf-dataset:/a/old:test")
    assert (found["task"], found["about"]) == (
        "hf-dataset:new:test",
        "/b/new, its column 'text', rows",
    )
    request["task"] = "hf-dataset:org/name:test"
    same = {**content, "task": "hf-dataset:org/name:test", "about": "org/name, its column"}
    assert rename(same, request)["task"] == "hf-dataset:org/name:test"
    assert replace(plain(), names=("a", "b")).key == plain().key
