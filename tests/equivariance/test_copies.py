"""Moved copies of a network: each way to write them has the function it should have, and their
average by the group is P(W).
"""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

import lmc_core
from lmc_core.equivariance.copies import (
    ELEMENT,
    POINTS,
    WAYS,
    Copies,
    State,
    mean_of,
    measure_copies,
)
from lmc_core.equivariance.data import Sample
from lmc_core.equivariance.request import make_equivariance_request
from lmc_core.equivariance.run import compute
from lmc_core.equivariance.structures import hidden_units
from lmc_core.errors import FunctionChanged, UnknownName
from tests.equivariance.cases import PAIRS, built, inputs, relaxed

# S3 does the same with 6 elements in place of 24
QUICK = [pair for pair in PAIRS if pair != ("S4", "transformer")]
SMALL = [pair for pair in PAIRS if pair[0] in ("C4", "mirror", "S3")]


def copies(group: str, network: str) -> Copies:
    """Those of a random network that is not equivariant."""
    module, layout = built(group, network)
    return Copies(network, module, layout, dict(module.named_parameters()), labelled(group, 40))


def equivariant(group: str, network: str) -> Copies:
    """Those of a random network that is."""
    found = relaxed(group, network)
    return Copies(
        network, found.module, found.layout, found.weights(torch.zeros_like(found.ones()))
    )


def apart(one: State, other: State) -> float:
    """Largest absolute difference of two sets of weights."""
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def labelled(group: str, count: int = 12) -> Sample:
    """Random examples with random labels."""
    generator = torch.Generator().manual_seed(3)
    return Sample(inputs(group, count), torch.randint(10, (count,), generator=generator), 1)


@pytest.mark.parametrize(("group", "network"), QUICK)
def test_every_way_of_writing_a_copy_has_its_function(group: str, network: str) -> None:
    found = copies(group, network)
    assert found.function_error(inputs(group)) < 1e-13
    # not because the function is the same wherever the inputs are
    still, moved = (found.run(found.group[g], inputs(group)) for g in (0, ELEMENT))
    assert (still - moved).abs().max() > 0.01 * still.abs().max()


def test_a_copy_of_another_element_is_refused() -> None:
    found = copies("C4", "perceptron")
    found.naive[1], found.naive[3] = found.naive[3], found.naive[1]
    with pytest.raises(FunctionChanged):
        found.function_error(inputs("C4"))


@pytest.mark.parametrize(("group", "network"), PAIRS)
def test_the_merge_of_the_copies_aligned_by_the_group_is_the_projection(
    group: str, network: str
) -> None:
    found = copies(group, network)
    assert apart(mean_of(found.group), found.projection()) < 1e-14
    assert apart(found.weights, found.projection()) > 0.1
    # there the group leaves the hidden units where they are
    if not (group.startswith("S") and network == "transformer"):
        assert apart(mean_of(found.naive), found.projection()) > 0.1


def test_naive_copies_move_what_reads_the_inputs_and_nothing_else() -> None:
    found = copies("D4", "perceptron")
    matrices = torch.from_numpy(found.actions.input.matrices())
    for element in range(8):
        expected = {
            **found.weights,
            "first.weight": found.weights["first.weight"] @ matrices[element].T,
        }
        assert apart(found.naive[element], expected) == 0.0
    found = copies("C4", "transformer")
    moved = {
        name
        for name, tensor in found.naive[1].items()
        if not torch.equal(tensor, found.weights[name])
    }
    assert moved == {"embed.weight", "positions"}
    found = copies("C4", "convolution")
    kernels = found.weights["second.weight"]
    turned = [
        torch.equal(found.naive[1]["second.weight"], torch.rot90(kernels, k, (2, 3)))
        for k in range(4)
    ]
    assert sum(turned) == 1
    assert not turned[0]


def test_hidden_units_of_the_aligned_copy_are_those_of_the_network_in_the_order_the_group_says() -> (
    None
):
    found, x = copies("C4", "perceptron"), inputs("C4")
    first = hidden_units("perceptron", found.actions).actions["first"]
    into, out = found.actions.input.matrices(), first.matrices()

    def hidden(state: State, x: Tensor) -> Tensor:
        return (x @ state["first.weight"].T + state["first.bias"]).relu()

    for g, back in ((1, True), (1, False), (2, True)):  # half a turn back is half a turn
        moved = x @ torch.from_numpy(into[g].T if back else into[g]).T  # rho(g)^-1 x
        expected = hidden(found.weights, moved) @ torch.from_numpy(out[g]).T
        assert torch.allclose(hidden(found.group[g], x), expected) == back


@pytest.mark.parametrize(("group", "network"), QUICK)
def test_an_equivariant_network_is_its_own_aligned_copy(group: str, network: str) -> None:
    found = equivariant(group, network)
    assert max(apart(copy, found.weights) for copy in found.group) < 1e-14
    line = measure_copies(found, labelled(group))["curves"]["group"]
    assert abs(line["barrier"]) < 1e-12
    assert max(line["loss"]) - min(line["loss"]) < 1e-12


@pytest.mark.parametrize(
    ("group", "network"), [pair for pair in SMALL if pair != ("C4", "perceptron")]
)  # a random network of that kind leaves matching in a local optimum; a trained one does not
def test_matching_finds_the_assignment_of_the_group_in_an_equivariant_network(
    group: str, network: str
) -> None:
    found = equivariant(group, network)
    assert set(found.ways) == {"naive", "matched", "group"}  # no examples, no activations
    assert set(found.agreement("matched", ELEMENT).values()) == {1.0}
    assert apart(found.ways["matched"][ELEMENT], found.weights) < 1e-14
    # with other weights, nothing ties the units to the places that the group gives them
    if network != "transformer":
        assert min(copies(group, network).agreement("matched", ELEMENT).values()) < 0.9


def test_activations_find_the_assignment_of_the_group_where_weights_do_not() -> None:
    found = relaxed("C4", "perceptron")
    state = found.weights(torch.zeros_like(found.ones()))
    exact = Copies("perceptron", found.module, found.layout, state, labelled("C4", 40))
    both = [exact.agreement(way, ELEMENT) for way in ("matched", "activation")]
    assert [set(shares.values()) == {1.0} for shares in both] == [False, True]
    assert apart(exact.ways["activation"][ELEMENT], exact.weights) < 1e-14


@pytest.mark.parametrize("network", ["perceptron", "convolution", "transformer"])
def test_the_description_of_hidden_units_passes_the_audit(network: str) -> None:
    module, layout = built("C4", network)
    model = lmc_core.own_model(module, hidden_units(network, layout).structure)
    found = lmc_core.audit(model.with_state(dict(module.state_dict())), inputs("C4"))
    assert found.double < 1e-10 < 1e-2 < found.control


def test_lines_and_merges_are_what_their_definitions_say() -> None:
    found, sample = copies("C4", "perceptron"), labelled("C4", 40)
    result = measure_copies(found, sample)
    assert json.loads(json.dumps(result)) == result
    assert (result["element"], len(result["lam"])) == ("90°", POINTS)
    assert set(result["agree"]) == set(result["agree_activation"]) == {"first", "second"}
    assert tuple(result["curves"]) == WAYS
    for way in WAYS:
        end, rows = found.ways[way][ELEMENT], []
        for share in result["lam"]:
            weights = {
                name: (1 - share) * tensor + share * end[name]
                for name, tensor in found.weights.items()
            }
            rows.append(
                cross_entropy(found.run(weights, sample.inputs), sample.labels, reduction="none")
            )
        losses, line = torch.stack(rows), result["curves"][way]
        assert line["loss"] == pytest.approx(losses.mean(1).tolist())
        assert line["stderr"] == pytest.approx((losses.std(1) / 40**0.5).tolist())
        chord = torch.tensor(
            [(1 - t) * line["loss"][0] + t * line["loss"][-1] for t in result["lam"]],
            dtype=torch.float64,
        )
        above = (losses.mean(1) - chord)[1:-1]
        assert line["barrier"] == pytest.approx(
            float(above.max() if above.max() > 0 else above.min())
        )
        merged = {
            name: sum((c[name] for c in found.ways[way][1:]), tensor) / 4
            for name, tensor in found.weights.items()
        }
        assert result["merges"][way]["loss"] == pytest.approx(
            float(cross_entropy(found.run(merged, sample.inputs), sample.labels))
        )
    losses = {way: line["loss"] for way, line in result["curves"].items()}
    assert (
        losses["naive"][-1]
        == pytest.approx(losses["matched"][-1])
        == pytest.approx(losses["group"][-1])
    )
    assert losses["naive"][5] != pytest.approx(losses["group"][5], rel=1e-3)
    assert result["merges"]["group"]["loss"] == pytest.approx(
        result["merges"]["projection"]["loss"]
    )
    assert result["merges"]["naive"]["loss"] != pytest.approx(
        result["merges"]["projection"]["loss"], rel=1e-3
    )


def test_examples_in_all_positions_count_once() -> None:
    found, sample = copies("C4", "perceptron"), labelled("C4", 20)
    thrice = Sample(sample.inputs.repeat_interleave(3, 0), sample.labels.repeat_interleave(3), 3)
    one, other = (measure_copies(found, each)["curves"]["naive"] for each in (sample, thrice))
    for name in ("loss", "stderr", "barrier", "barrier_stderr"):
        assert one[name] == pytest.approx(other[name])


def test_a_network_without_a_description_is_refused_by_name() -> None:
    module, layout = built("C4", "perceptron")
    with pytest.raises(UnknownName, match="perceptrom"):
        Copies("perceptrom", module, layout, dict(module.named_parameters()))


def test_a_result_carries_the_copies() -> None:
    request = make_equivariance_request(form="strict", steps=3, examples=20)
    found = compute(request)[0]["copies"]
    assert abs(found["curves"]["group"]["barrier"]) < 1e-6
    assert found["merges"]["projection"] == pytest.approx(found["merges"]["network"], rel=1e-5)
    assert found["group_is_projection"] < 1e-12
