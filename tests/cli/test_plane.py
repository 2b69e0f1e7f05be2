"""`lmc plane` through two and three models and around one."""

from __future__ import annotations

import json
import re

import pytest

FEW = ("--examples", "8", "--task", "fashion-mnist", "--resolution", "3")


def test_a_pair_in_words_and_as_json(lmc, tiny_vit_pair, tmp_path) -> None:
    page, rows = tmp_path / "plane.html", tmp_path / "plane.csv"
    done = lmc("plane", *tiny_vit_pair, *FEW, "--html", page, "--csv", rows)
    assert done.code == 0, done.err
    assert "A, B and aligned B" in done.out and "outputs changed by" in done.out
    assert re.search(r"^B aligned tiny-vit-s1 +\d", done.out, re.MULTILINE)
    assert len(rows.read_text().splitlines()) == 10
    text = page.read_text()
    assert "<title>Loss landscape</title>" in text
    data = json.loads(text.split('id="results">')[1].split("</script>")[0])
    assert len(data["grid"]["loss"]) == 3
    again = lmc("plane", *tiny_vit_pair, *FEW, "--json")
    assert (
        again.json["cached"] and again.json["grid"] == data["grid"] and again.json["curves"] is None
    )


def test_curves(lmc, tiny_vit_pair) -> None:
    done = lmc("plane", *tiny_vit_pair, *FEW, "--curves", "--steps", "2")
    assert done.code == 0, done.err
    assert all(
        f"\n{name}" in done.out
        for name in ("Straight line", "Straight line to aligned B", "Curve", "Curve to aligned B")
    )
    bend = lmc(
        "plane", *tiny_vit_pair, *FEW, "--bend", "--steps", "2", "--method", "none", "--json"
    )
    assert [point["role"] for point in bend.json["points"]] == ["a", "b", "bend"]


def test_random_directions(lmc, tiny_vit_pair) -> None:
    done = lmc("plane", tiny_vit_pair[0], "--random", "--seed", "3", *FEW, "--json")
    assert done.code == 0, done.err
    assert (
        done.json["kind"] == "random"
        and done.json["seed"] == 3
        and done.json["grid"]["u"] == [-1.0, 0.0, 1.0]
    )
    assert (
        lmc("plane", tiny_vit_pair[0], *FEW, "--seed", "3", "--json").json["key"]
        == done.json["key"]
    )


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (("--method", "none"), "needs a method"),
        (("--random",), "takes 1 models"),
        (("--random", "--bend"), "different planes"),
        (("--resolution", "1"), "between 3 and 129"),
        (("--method", "none", "--class", "all=permutation"), "no effect"),
    ],
)
def test_refusals(lmc, tiny_vit_pair, more, word) -> None:
    lmc("plane", *tiny_vit_pair, "--examples", "8", *more).refused(word)


def test_refusals_around_one_model(lmc, tiny_vit_pair) -> None:
    lmc("plane", tiny_vit_pair[0], "--curves").refused("no curve")
    lmc("plane", *tiny_vit_pair, tiny_vit_pair[0], "--curves").refused("takes two models")
