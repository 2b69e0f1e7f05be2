"""What changes along a path, as requests; their numbers follow from their arrays, and their panels
show them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lmc_core.errors import BadInput
from lmc_core.figures.panel import panels
from lmc_core.paths.curve import curve
from lmc_core.paths.line import Line
from lmc_core.runs.computation import COMPUTATIONS, request_from_json, summarize
from lmc_core.runs.cost import estimate_memory
from lmc_core.runs.executors import obtain
from lmc_core.runs.inputs import open_inputs
from lmc_core.runs.kinds.along import compute
from lmc_core.runs.kinds.barrier import make_request
from lmc_core.runs.requests.along import QUANTITIES, AlongRequest, make_along_request
from lmc_core.runs.result import Result
from lmc_core.runs.store import Store
from tests.tiny import tiny, write

WORDS = {"task": "plays", "examples": 6, "device": "cpu", "length": 12}
FEW = {"at": (0, 0.5, 1), "curved": 2, "probes": 2}
Ask = Callable[..., AlongRequest]


@pytest.fixture
def ask(tiny_gpt2_pair: tuple[Path, Path]) -> Ask:
    """A quantity along the path between two tiny models."""
    a, b = map(str, tiny_gpt2_pair)

    def make(quantity: str, method: str = "none", other: str | None = None, **bend: int):
        barrier = make_request(a, b, method=method, **WORDS, **bend)
        other = other or ("austen" if quantity == "other-task" else None)
        few = FEW if quantity == "sharpness" else {"at": FEW["at"]}
        return make_along_request(barrier, quantity, other=other, **few)

    return make


def run(request: AlongRequest) -> Result:
    return obtain(request, lambda share, words: None, Store())


def test_a_request_is_one_of_its_settings(ask: Ask) -> None:
    sharp = ask("sharpness")
    assert (sharp.curved, sharp.probes, sharp.points) == (2, 2, 3)
    assert request_from_json(sharp.to_json()) == sharp
    assert len({ask(quantity).key for quantity in QUANTITIES}) == 4
    assert "bend" not in sharp.to_json() and ask("spectra").lanczos == 0
    # curvature is announced with the vectors that it holds
    assert estimate_memory(sharp).peak > estimate_memory(ask("spectra")).peak


def test_what_makes_no_sense_is_refused(ask: Ask, tiny_vit_pair: tuple[Path, Path]) -> None:
    barrier = make_request(*map(str, tiny_vit_pair), task="fashion-mnist", examples=6)
    text = make_request(*(request_models(ask)), method="none", **WORDS)
    for words, call in {
        "no such|nothing": lambda: make_along_request(barrier, "nothing"),
        "needs its name": lambda: make_along_request(barrier, "other-task"),
        "leave the other out": lambda: make_along_request(barrier, "spectra", other="austen"),
        "takes images": lambda: make_along_request(barrier, "other-task", other="austen"),
        "task of the models": lambda: make_along_request(text, "other-task", other="plays"),
        "between 0 and 1": lambda: make_along_request(barrier, "spectra", at=(0, 1.5)),
        "2 points": lambda: make_along_request(barrier, "spectra", 1),
        "2 probes": lambda: make_along_request(barrier, "sharpness", probes=1),
    }.items():
        with pytest.raises(BadInput, match=words):
            call()


def request_models(ask: Ask) -> tuple[str, str]:
    first, second = ask("spectra").models
    return first, second


def test_both_ends_have_the_same_values_before_and_after_an_alignment(ask: Ask) -> None:
    """At the ends the functions are the same, so that curvature and spectra are; half way they
    differ.
    """
    plain, aligned = (
        np.array(run(ask("spectra", method)).result["spectra"]["effective"])
        for method in ("none", "weight")
    )
    assert plain[:, [0, 2]] == pytest.approx(aligned[:, [0, 2]], rel=0.02)
    assert plain[:, 1] != pytest.approx(aligned[:, 1], rel=1e-3)
    # the trace is not compared: two probes say little of it, and mean something else where
    # rounding turns planes of the canonical form
    tops = [
        np.array([row[0] for row in run(ask("sharpness", m)).result["sharpness"]["largest"]])
        for m in ("none", "weight")
    ]
    assert tops[0][[0, 2]] == pytest.approx(tops[1][[0, 2]], rel=0.02)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_numbers_follow_from_the_arrays(quantity: str, ask: Ask) -> None:
    found = run(ask(quantity))
    arrays = found.arrays()
    named = {"other-task": "other"}.get(quantity, quantity)
    follows = summarize(found.request, found.result, arrays)
    assert set(follows) == {named}
    # as JSON keeps them
    assert follows[named].keys() == found.result[named].keys()
    for field, value in found.result[named].items():
        if isinstance(value, list) and isinstance(value[0], float):
            assert follows[named][field] == pytest.approx(value, rel=1e-6), field
    changed = {name: array * 1.5 for name, array in arrays.items()}
    assert summarize(found.request, found.result, changed) != follows


def test_losses_are_those_of_the_curve(ask: Ask) -> None:
    request = ask("other-task")
    numbers, arrays = compute(request)
    models, task, examples = open_inputs(request)
    measured = curve(Line(*models), examples, 3, 0)
    assert numbers["other"]["loss"] == pytest.approx(measured.mean.tolist(), abs=1e-6)
    assert numbers["other"]["other_loss"] != pytest.approx(numbers["other"]["loss"], rel=1e-3)
    assert numbers["other"]["excess"][0] == pytest.approx(0, abs=1e-9)
    assert numbers["other"]["task"] == "austen" and arrays["other_losses"].shape == (3, 6)


def test_a_curve_with_a_bend_is_followed(ask: Ask) -> None:
    straight, bent = (run(ask("spectra", "weight", **extra)) for extra in ({}, {"bend": 2}))
    assert straight.result["bent"] is None and bent.result["bent"]["steps"] == 2
    one, other = (np.array(each.result["spectra"]["norm"]) for each in (straight, bent))
    assert one[:, 0] == pytest.approx(other[:, 0]) and one[:, 1] != pytest.approx(other[:, 1])


def test_every_quantity_has_a_panel_with_both_settings(ask: Ask) -> None:
    found = [run(ask(quantity, m)) for quantity in QUANTITIES for m in ("none", "weight")]
    drawn = panels(found, strict=True)
    assert len(drawn) == 4
    for panel in drawn:
        assert panel.figure is not None and panel.finding.count(": ") >= 2
        assert {"Plain average", "All classes"} <= {trace.name for trace in panel.figure.data}
        assert len(panel.summary.rows) == 6 and len(panel.numbers.rows) >= 6
    assert "Dinh et al. 2017" in drawn[0].caption
    assert COMPUTATIONS["along"].title == "Along the path"


def test_the_routers_of_a_mixture_are_spoken_of(tmp_path: Path) -> None:
    pair = [write(tmp_path / f"m{seed}", tiny("mixtral", seed)) for seed in (0, 1)]
    barrier = make_request(*map(str, pair), method="none", **WORDS)
    request = make_along_request(barrier, "sharpness", at=(0.5,), curved=1, probes=2)
    numbers, _ = compute(request)
    assert any("piecewise constant" in note for note in numbers["notes"])
