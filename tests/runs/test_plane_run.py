"""Planes and bends from request to result: stopped runs go on, finer ones begin with coarser
ones.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lmc_core.cli import main
from lmc_core.errors import BadInput, Cancelled, UnknownName
from lmc_core.runs import Inline
from lmc_core.runs.computation import request_from_json
from lmc_core.runs.kinds.barrier import make_request
from lmc_core.runs.kinds.bend import compute as compute_bend
from lmc_core.runs.kinds.plane import compute, find_lowest, make_plane_request
from lmc_core.runs.kinds.point import compute as compute_point
from lmc_core.runs.partial import Unfinished
from lmc_core.runs.requests.bend import BendRequest, make_bend_request
from lmc_core.runs.requests.plane import PlaneRequest, choose_plane
from lmc_core.runs.requests.point import PointRequest, choose_point
from tests import tiny

WORDS = {"task": "fashion-mnist", "examples": 8, "device": "cpu"}


@pytest.fixture
def references(tiny_vit_pair: tuple[Path, Path]) -> list[str]:
    return [str(path) for path in tiny_vit_pair]


@pytest.fixture
def third(tmp_path: Path) -> str:
    return str(tiny.write(tmp_path / "s2", tiny.tiny("vit", 2)))


def test_a_request_survives_json(references) -> None:
    request = make_plane_request(references, resolution=5, **WORDS)
    assert request_from_json(request.to_json()) == request and isinstance(request, PlaneRequest)
    bend = make_bend_request(make_request(*references, **WORDS), steps=2)
    assert request_from_json(bend.to_json()) == bend and isinstance(bend, BendRequest)
    assert (
        len(
            {
                request.key,
                replace(request, resolution=9).key,
                replace(request, seed=1).key,
                bend.key,
            }
        )
        == 4
    )


def test_the_plane_of_a_pair(references) -> None:
    request = make_plane_request(references, resolution=5, **WORDS)
    result, arrays = compute(request)
    assert [point["label"] for point in result["points"]] == ["A", "B aligned", "B"]
    a, moved, b = result["points"]
    assert (a["u"], a["v"], moved["v"]) == (0.0, 0.0, 0.0) and b["v"] > 0
    assert b["loss"] == pytest.approx(moved["loss"], abs=1e-5)  # one function in two places
    assert result["function_error"] < 1e-5 and result["what"] == "plane"
    assert arrays["loss"].shape == (5, 5) and np.isfinite(arrays["loss"]).all()
    assert arrays["u"][0] < min(a["u"], b["u"]) and arrays["u"][-1] > max(moved["u"], b["u"])
    assert result["lowest"]["loss"] == arrays["loss"].min()


def test_the_lowest_point_is_where_its_row_and_column_say() -> None:
    loss = np.full((3, 3), 2.0)
    loss[0, 2], loss[1, 1] = 1.0, np.nan
    found = find_lowest(
        {
            "u": np.arange(3),
            "v": 10 + np.arange(3),
            "loss": loss,
            "stderr": loss,
            "correct": loss / 4,
        },
        "accuracy",
    )
    assert found == {"u": 2.0, "v": 10.0, "loss": 1.0, "stderr": 1.0, "score": 0.25}


def test_ends_of_the_plane_are_those_of_the_barrier(references) -> None:
    from lmc_core.runs.kinds.barrier import compute as compute_barrier

    barrier, _ = compute_barrier(make_request(*references, points=3, refine=0, **WORDS))
    plane, _ = compute(make_plane_request(references, resolution=3, **WORDS))
    assert [p["loss"] for p in plane["points"][:2]] == pytest.approx(
        [barrier["loss"][0], barrier["loss"][-1]], abs=1e-6
    )


def test_three_models_and_one(references, third) -> None:
    result, _ = compute(make_plane_request([*references, third], resolution=3, **WORDS))
    assert [point["label"] for point in result["points"]] == ["A", "B aligned", "C aligned"]
    result, _ = compute(
        make_plane_request([*references, third], resolution=3, method="none", **WORDS)
    )
    assert [point["label"] for point in result["points"]] == ["A", "B", "C"] and result[
        "function_error"
    ] is None
    result, arrays = compute(make_plane_request(references[:1], resolution=3, span=0.5, **WORDS))
    assert [point["label"] for point in result["points"]] == ["A"] and arrays["u"].tolist() == [
        -0.5,
        0.0,
        0.5,
    ]
    assert arrays["loss"][1, 1] == pytest.approx(result["points"][0]["loss"], abs=1e-6)


def test_interrupted_and_resumed_equals_uninterrupted(references, home: Path, monkeypatch) -> None:
    monkeypatch.setattr("lmc_core.paths.grid.TOGETHER", 2)
    request = make_plane_request(references, resolution=5, **WORDS)
    _, whole = compute(request)

    def stop(share: float, words: str) -> None:
        if words.startswith("measuring") and share > 0.6:
            raise Cancelled("The run was cancelled.")

    with pytest.raises(Cancelled):
        compute(request, stop)
    found = Unfinished(request.key).read()
    # what a page needs to draw it
    assert found is not None and found[0]["points"][0]["label"] == "A"
    there = ~np.isnan(found[1]["correct"])
    assert 0 < there.sum() < 25 and np.array_equal(found[1]["loss"][there], whole["loss"][there])
    result, again = compute(request)
    assert result["gone_on"] == there.sum()
    assert all(np.array_equal(again[name], whole[name]) for name in whole)
    assert Unfinished(request.key).read() is None


def test_what_is_unfinished_of_another_plane_or_damaged_is_left_alone(references) -> None:
    request = make_plane_request(references, resolution=3, **WORDS)
    other = {name: np.zeros((3, 3)) for name in ("loss", "stderr", "correct")}
    Unfinished(request.key).write({}, {"u": np.zeros(3), "v": np.zeros(3), **other}, now=True)
    result, arrays = compute(request)
    assert result["gone_on"] == 0 and arrays["loss"].min() > 0
    file = Unfinished(request.key).path
    file.write_bytes(b"no archive")
    assert Unfinished(request.key).read() is None and compute(request)[0]["gone_on"] == 0


def test_a_finer_plane_begins_with_the_coarse_one(references, home: Path) -> None:
    coarse = make_plane_request(references, resolution=3, **WORDS)
    Inline().run(coarse)
    fine = replace(coarse, resolution=5)
    result, arrays = compute(fine)
    assert result["gone_on"] == 9
    (home / "results" / coarse.key).rename(home / "elsewhere")
    again, uninterrupted = compute(fine)
    assert again["gone_on"] == 0 and np.array_equal(arrays["loss"], uninterrupted["loss"])


def test_bends_against_straight_lines(references) -> None:
    request = make_bend_request(make_request(*references, **WORDS), steps=3, points=5)
    result, arrays = compute_bend(request)
    assert [path["name"] for path in result["paths"]] == [
        "straight",
        "straight-aligned",
        "bend",
        "bend-aligned",
    ]
    straight, aligned, bend, bend_aligned = result["paths"]
    for path in result["paths"]:
        assert len(path["loss"]) == 5 and path["loss"][0] == pytest.approx(
            straight["loss"][0], abs=1e-6
        )
    assert (
        bend["loss"][-1] == straight["loss"][-1] and bend_aligned["loss"][-1] == aligned["loss"][-1]
    )
    assert straight["control"] is None and bend["control"]["away"] >= 0
    assert set(arrays) == {f"losses.{path['name']}" for path in result["paths"]}
    plain, _ = compute_bend(
        make_bend_request(make_request(*references, method="none", **WORDS), steps=2, points=3)
    )
    assert [path["name"] for path in plain["paths"]] == ["straight", "bend"]


def test_a_bend_is_trained_once(references, monkeypatch) -> None:
    request = make_bend_request(
        make_request(*references, method="none", **WORDS), steps=2, points=3
    )
    first, _ = compute_bend(request)

    def never(self) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("lmc_core.paths.bezier.Bending.finish", never)
    again, _ = compute_bend(request)
    assert again["paths"] == first["paths"]
    plane = make_plane_request(
        references, kind="bend", resolution=3, steps=2, method="none", **WORDS
    )
    result, arrays = compute(plane)  # of the same bend
    assert [point["role"] for point in result["points"]] == ["a", "b", "bend"]
    height = result["points"][2]["v"]
    assert arrays["v"][0] < 0 < height < arrays["v"][-1]
    with pytest.raises(AssertionError):
        compute_bend(replace(request, steps=3))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"kind": "round"}, "round"),
        ({"method": "none"}, "needs a method"),
        ({"resolution": 2}, "between 3 and 129"),
        ({"kind": "three"}, "takes 3 models"),
        ({"kind": "bend", "steps": 0}, "between 1 and"),
    ],
)
def test_what_cannot_be_drawn(references, words, message) -> None:
    with pytest.raises(BadInput, match=message):
        make_plane_request(references, **(WORDS | words))


def test_refusals_of_models(references) -> None:
    with pytest.raises(BadInput, match="two or three"):
        make_plane_request([*references, *references], **WORDS)
    with pytest.raises(BadInput, match="Three different"):
        make_plane_request([*references, references[1]], resolution=3, **WORDS)
    with pytest.raises(BadInput, match="span"):
        make_plane_request(references[:1], span=0.0, **WORDS)
    request = make_request(*references, **WORDS)
    with pytest.raises(UnknownName):
        choose_plane([request], "flat")


def test_a_point_of_the_grid_evaluated_by_itself_is_the_same(references, third) -> None:
    for request in (
        make_plane_request(references, resolution=3, **WORDS),
        make_plane_request([*references, third], resolution=3, **WORDS),
        make_plane_request(references[:1], resolution=3, span=0.5, **WORDS),
    ):
        _, arrays = compute(request)
        result, own = compute_point(
            choose_point(request, float(arrays["u"][2]), float(arrays["v"][0]))
        )
        assert result["loss"] == pytest.approx(arrays["loss"][0, 2], abs=1e-5)
        assert result["stderr"] == pytest.approx(arrays["stderr"][0, 2], abs=1e-5)
        assert result["accuracy"] == pytest.approx(arrays["correct"][0, 2])
        assert own["losses"].mean() == pytest.approx(result["loss"], abs=1e-6) and own[
            "correct"
        ].shape == (8,)
        elsewhere, _ = compute_point(
            choose_point(request, float(arrays["u"][1]), float(arrays["v"][1]))
        )
        assert abs(elsewhere["loss"] - result["loss"]) > 1e-4


def test_a_point_is_one_for_grids_of_all_resolutions(references) -> None:
    plane = make_plane_request(references, resolution=3, **WORDS)
    point = choose_point(plane, 1 / 3, -0.0)
    assert request_from_json(point.to_json()) == point and isinstance(point, PointRequest)
    assert point.key == choose_point(replace(plane, resolution=9), 0.33333334, 0.0).key != plane.key
    assert (
        point.key
        != choose_point(plane, 1 / 3, 0.1).key
        != choose_point(replace(plane, examples=4), 1 / 3, 0.1).key
    )
    with pytest.raises(BadInput, match="two finite coordinates"):
        choose_point(plane, float("nan"), 0.0)


def test_anew_neither_a_bend_nor_a_coarser_grid_is_taken_over(references) -> None:
    Inline().run(make_plane_request(references, resolution=3, **WORDS))
    fine = make_plane_request(references, resolution=5, **WORDS)
    assert compute(fine)[0]["gone_on"] == 9
    said: list[str] = []
    bend = make_bend_request(make_request(*references, method="none", **WORDS), steps=2, points=3)
    for wanted, kept in ((False, False), (False, True), (True, False)):
        said.clear()
        compute_bend(bend, lambda share, words: said.append(words), wanted)
        assert compute(fine, refresh=wanted)[0]["gone_on"] == (0 if wanted else 9)
        assert any("trained before" in words for words in said) is kept


def test_of_soft_matching_the_hard_end_is_drawn(references) -> None:
    result, _ = compute(
        make_plane_request(
            references, resolution=3, method="soft", settings={"temperature": 0.1}, **WORDS
        )
    )
    _, moved, b = result["points"]
    # as the caption says
    assert result["function_error"] < 1e-5 and moved["loss"] == pytest.approx(b["loss"], abs=1e-5)


@pytest.fixture
def overflowing(tmp_path: Path) -> str:
    """A model whose weights are finite and whose outputs are not."""
    model = tiny.tiny("vit", 0)
    state = {
        name: tensor * 1e25 if tensor.ndim > 1 else tensor for name, tensor in model.state.items()
    }
    return str(tiny.write(tmp_path / "huge", model.with_state(state)))


def test_a_plane_without_a_finite_loss_is_a_sentence(references, overflowing, lmc_command) -> None:
    request = make_plane_request([overflowing], kind="random", resolution=3, **WORDS)
    with pytest.raises(
        BadInput,
        match="None of .* has a finite loss on fashion-mnist, because what the networks compute",
    ):
        compute(request)
    said = lmc_command(
        "plane", overflowing, "--resolution", 3, "--examples", 8, "--task", "fashion-mnist"
    )
    assert said[0] == 2 and said[1].startswith("lmc: None of ") and len(said[1].splitlines()) == 1
    with pytest.raises(BadInput, match="None of the 4 points of this plane has a finite loss"):
        find_lowest({"loss": np.array([[np.nan, np.inf], [np.inf, np.nan]])}, "accuracy")


def test_infinite_losses_are_never_the_lowest() -> None:
    grid = {
        name: np.array([[np.nan, np.inf], [-np.inf, 2.0]]) for name in ("loss", "stderr", "correct")
    }
    found = find_lowest(grid | {"u": np.array([0.0, 1.0]), "v": np.array([2.0, 3.0])}, "perplexity")
    assert (found["u"], found["v"], found["loss"]) == (1.0, 3.0, 2.0)


@pytest.fixture
def lmc_command(capsys):
    """Run a command; returns its exit code and what it said of errors."""

    def run(*arguments: object) -> tuple[int, str]:
        code = main([str(argument) for argument in arguments])
        return code, capsys.readouterr().err

    return run
