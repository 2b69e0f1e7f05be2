"""The one sentence above each picture: the numbers that matter, each with its error."""

import copy
import json
from pathlib import Path

import pytest

from lmc_core.figures.barrier_lines import margin_labels
from lmc_core.figures.findings import barrier_finding
from lmc_core.figures.landscape import landscape_finding
from lmc_core.figures.landscape_data import routes
from lmc_core.figures.merge import merge_finding
from lmc_core.figures.orders import fan_finding
from lmc_core.figures.style import strokes
from lmc_core.figures.text import barrier_words, label_results
from lmc_core.numbers import count_words
from tests.figures.experts_result import experts_result
from tests.figures.landscape_scene import facts, scene

MERGED = json.loads((Path(__file__).parents[1] / "fixtures" / "merge.json").read_text())


def test_what_is_left_of_the_barrier_has_both_numbers_with_errors(vit):
    found = barrier_finding(vit, label_results(vit))
    assert found == (
        "All classes: 0.171 \u00b1 0.009 nats are left of the 1.83 \u00b1 0.02 nats of the plain "
        "average (9%)."
    )
    assert barrier_finding(vit[:1], ["Plain average"]) == (
        "Plain average: barrier 1.83 \u00b1 0.02 nats."
    )
    assert barrier_finding([], []) == ""


def test_alignments_that_do_not_help_are_said(vit):
    worse = copy.deepcopy(vit)
    for result in worse[1:]:
        result["barrier"] = 5.0
    assert "all raise it" in barrier_finding(worse, label_results(worse))
    assert "1.83 \u00b1 0.02 nats" in barrier_finding(worse, label_results(worse))


def test_a_barrier_at_zero_and_several_pairs(vit):
    nothing = copy.deepcopy(vit)
    nothing[2] |= {"at_zero": True, "midpoint_excess": 0.0, "midpoint_excess_stderr": 0.01}
    assert "no barrier is left of the 1.83" in barrier_finding(nothing, label_results(nothing))
    other = [vit[0], {**vit[2], "models": ["a", "b"]}]
    found = barrier_finding(other, ["one", "two"])
    assert found.startswith("Lowest barrier: two, 0.171") and "highest: one, 1.83" in found


def test_the_finding_and_the_labels_say_the_same_number(vit):
    labels = margin_labels(vit, label_results(vit), strokes(vit, "light"))
    found = barrier_finding(vit, label_results(vit))
    for label, result in zip(labels, vit, strict=True):
        assert label.value == barrier_words(result, short=True)
    assert labels[0].value in found and labels[2].value in found


def test_merging_names_the_best_merged_and_the_best_single_model():
    found = merge_finding(MERGED, "fashion-mnist")
    assert found.startswith("Best merged model: ") and "; best single model " in found
    assert found.count("\u00b1") == 3 and "ensemble" in found
    for result in MERGED:
        assert merge_finding([{**result, "rows": []}], "fashion-mnist") == ""


def test_experts_in_three_orders():
    result = experts_result()
    found = fan_finding(result, result["fans"][-1])
    assert "all layers" in found and found.count("\u00b1") == 3


@pytest.mark.parametrize("kind", ["pair", "bend"])
def test_how_high_the_paths_of_a_plane_climb(kind):
    whole = scene(kind)
    paths = routes(facts(kind))
    found = landscape_finding(whole, paths)
    inside = [route for route in paths if not route.away]
    assert found.startswith("Highest loss on the way: ") and found.count("nats") == len(inside)


def test_one_is_one():
    assert [count_words(n, "picture") for n in (0, 1, 2, 1200)] == [
        "0 pictures", "1 picture", "2 pictures", "1,200 pictures",
    ]  # fmt: skip
