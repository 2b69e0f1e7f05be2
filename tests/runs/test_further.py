"""What a result holds beside the curve: temperatures, routing; and what is refused before anything
runs.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lmc_core.errors import BadInput
from lmc_core.runs.kinds.barrier import compute, make_request

SMALL = {"examples": 4, "points": 5, "refine": 0, "device": "cpu"}


def test_the_curve_at_its_best_temperatures_stands_beside_the_curve(
    tiny_gpt2_pair: tuple[Path, Path],
) -> None:
    a, b = map(str, tiny_gpt2_pair)
    plain = make_request(a, b, task="plays", method="none", length=16, **SMALL)
    request = make_request(
        a, b, task="plays", method="none", length=16, temperature=True, learn=32, **SMALL
    )
    assert plain.learn is None and request.learn == 32 and plain.key != request.key
    result, without = compute(request)[0], compute(plain)[0]
    assert result["loss"] == without["loss"] and "tempered" not in without
    tempered = result["tempered"]
    assert len(tempered["temperatures"]) == 5 and min(tempered["temperatures"]) > 0
    assert tempered["excess"][0] == tempered["excess"][-1] == 0
    assert tempered["loss"] != result["loss"]
    # random networks are sure of nothing that is so: hotter is better for them on any text
    assert max(tempered["temperatures"]) > 1 and sum(tempered["loss"]) < sum(result["loss"])


def test_mixtures_say_where_their_tokens_go_and_others_do_not(
    tiny_gpt2_pair: tuple[Path, Path],
) -> None:
    a, b = map(str, tiny_gpt2_pair)
    assert (
        compute(make_request(a, b, task="plays", method="none", length=16, **SMALL))[0]["routing"]
        is None
    )
    request = make_request(
        "zoo:mixtral-plays-s0", "zoo:mixtral-plays-s0", length=16, method="none", **SMALL
    )
    routing = compute(request)[0]["routing"]
    assert len(routing["lam"]) == len(routing["with_a"]) == 11 and routing["active"] == 2
    assert all(value == 1.0 for point in routing["with_a"] for value in point)  # a model and itself
    assert all(sum(load) == pytest.approx(1.0) for point in routing["load"] for load in point)


def test_networks_with_norms_are_not_renormalised(tiny_gpt2_pair: tuple[Path, Path]) -> None:
    a, b = map(str, tiny_gpt2_pair)
    with pytest.raises(BadInput, match="for networks without norms"):
        make_request(a, b, task="plays", method="none", repair=True, **SMALL)


def test_routers_are_fitted_between_the_ends_alone() -> None:
    names = ("zoo:mixtral-plays-s0", "zoo:mixtral-plays-s1")
    asked = {"length": 16, "method": "none", **SMALL}
    plain = make_request(*names, **asked)
    fitted = make_request(*names, reroute=True, learn=8, **asked)
    assert plain.key != fitted.key
    before, after = (compute(request)[0] for request in (plain, fitted))
    assert after["rerouted"] and "rerouted" not in before
    assert [after["loss"][end] for end in (0, -1)] == [before["loss"][end] for end in (0, -1)]
    assert after["loss"][1:-1] != before["loss"][1:-1]
    assert before["routing"] is not None and after["routing"] is not None
    assert after["routing"]["with_a"][0] == before["routing"]["with_a"][0]
    assert after["routing"]["with_a"][5] != before["routing"]["with_a"][5]


def test_routers_of_networks_without_experts_are_not_fitted(
    tiny_gpt2_pair: tuple[Path, Path],
) -> None:
    a, b = map(str, tiny_gpt2_pair)
    with pytest.raises(BadInput, match="has no experts"):
        make_request(a, b, task="plays", method="none", reroute=True, **SMALL)
