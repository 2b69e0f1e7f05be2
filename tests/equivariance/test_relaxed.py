"""Networks between free and equivariant: exact at both ends, straight in between, ordinary state
dicts everywhere.
"""

from __future__ import annotations

import copy

import pytest
import torch

from lmc_core.equivariance import networks
from lmc_core.equivariance.data import domain_of, sample
from lmc_core.equivariance.groups import group as group_of
from lmc_core.equivariance.measures import equivariance_error, gauge
from lmc_core.equivariance.relaxed import Relaxed
from lmc_core.errors import BadInput, UnknownName
from tests.equivariance.cases import PAIRS, built, domain, inputs, moved, relaxed


@pytest.mark.parametrize(("group", "network"), PAIRS)
@torch.no_grad()
def test_zero_is_equivariant_and_one_is_the_network(group: str, network: str) -> None:
    module, layout = built(group, network)
    net, x = Relaxed(module, layout, as_built=True), inputs(group)
    ones, zeros = net.ones(), torch.zeros_like(net.ones())
    assert torch.allclose(net(x, ones), module(x), atol=1e-12)
    out = layout.output.matrices()
    still = net(x, zeros)
    for g in range(domain(group).group.order):
        assert torch.allclose(
            net(moved(layout, x, g), zeros), still @ torch.from_numpy(out[g]).T, atol=1e-12
        )
    free = max(
        float((net(moved(layout, x, g), ones) - net(x, ones)).abs().max())
        for g in range(1, domain(group).group.order)
    )
    assert free > 1e-3  # the control: the network itself is not


@pytest.mark.parametrize(("group", "network"), PAIRS)
@torch.no_grad()
def test_moving_every_axis_moves_the_function(group: str, network: str) -> None:
    """T(g) W is the network x -> rho_out(g) f(rho_in(g)^-1 x); with one action wrong it is not."""
    module, layout = built(group, network)
    x, element = inputs(group), domain(group).group.order - 1
    back = int(domain(group).group.inverse[element])
    net = Relaxed(module, layout, as_built=True)

    def apart(skipped: str) -> float:
        state = module.state_dict()
        found = {
            n: p.moved(state[n], element) if n != skipped else state[n]
            for n, p in net.projections.items()
        }
        copied = copy.deepcopy(module)
        copied.load_state_dict(found)
        expected = (
            module(moved(layout, x, back)) @ torch.from_numpy(layout.output.matrices()[element]).T
        )
        return float((copied(x) - expected).abs().max())

    assert apart("") < 1e-12
    first = next(name for name, project in net.projections.items() if not project.keeps_all)
    assert apart(first) > 1e-4


@torch.no_grad()
def test_the_path_is_straight_and_its_weights_are_ordinary() -> None:
    net, x = relaxed("C4", "convolution"), inputs("C4")
    ones = net.ones()
    ends = net.weights(0 * ones), net.weights(ones)
    for share in (0.25, 0.5):
        for name, weight in net.weights(share * ones).items():
            assert torch.allclose(
                weight, (1 - share) * ends[0][name] + share * ends[1][name], atol=1e-12
            )
    written = net.module_at(0.3 * ones)
    assert type(written) is type(net.module) and torch.allclose(
        written(x), net(x, 0.3 * ones), atol=1e-12
    )
    # nothing was changed by it
    assert torch.allclose(net(x, ones), relaxed("C4", "convolution")(x, ones))


def test_layers_without_a_choice_have_no_gamma() -> None:
    assert relaxed("S3", "transformer").layers == ("positions",)
    assert relaxed("C4", "perceptron").layers == ("first", "second", "head")
    assert relaxed("C4", "perceptron").dimensions()[0] == [64 * 64 // 4 + 16, 64 * 64 + 64]


@torch.no_grad()
def test_start_of_the_equivariant_part_keeps_the_law_of_the_weights() -> None:
    """Means of four entries have half the deviation; the start of We has the whole one."""
    net, built_as = relaxed("C4", "perceptron", as_built=False), relaxed("C4", "perceptron")
    zero = 0 * net.ones()
    stds = [float(found.weights(zero)["second.weight"].std()) for found in (net, built_as)]
    whole = float(built_as.free["second.weight"].std())
    assert stds[0] == pytest.approx(whole, rel=0.05) and stds[1] == pytest.approx(
        whole / 2, rel=0.05
    )
    assert torch.equal(net.free["second.weight"], built_as.free["second.weight"])


@torch.no_grad()
def test_asymmetry_sees_through_a_rescaled_gamma() -> None:
    net = relaxed("C4", "perceptron", as_built=False)
    before = net.asymmetry(net.ones())
    net.free = {name: 2 * tensor for name, tensor in net.free.items()}
    assert torch.allclose(net.asymmetry(0.5 * net.ones()), before)
    assert torch.allclose(
        net.asymmetry(0 * net.ones()), torch.zeros(3, dtype=torch.float64), atol=1e-12
    )
    assert before.min() > 0 and before.max() < 1


@pytest.mark.parametrize(("group", "network"), PAIRS)
def test_symmetric_criticality(group: str, network: str) -> None:
    """On data that the group maps to itself dJ/dgamma = 0 at gamma = 0 for any weights (Palais
    1979); on others not.
    """
    net, space = relaxed(group, network, as_built=False), domain(group)

    def found(kind: str, count: int) -> float:
        return float(
            gauge(net, sample("digits", kind, space, "train", 0, count).to("cpu", torch.float64))
            .abs()
            .max()
        )

    assert found("orbit", 6) < 1e-12
    assert found("broken", 60) > 1e-6
    spoiled = sample("digits", "orbit", space, "train", 0, 6).to("cpu", torch.float64)
    spoiled.inputs[0] += 0.5  # the control: one example of one orbit moved away
    assert float(gauge(net, spoiled).abs().max()) > 1e-6


def test_equivariance_error() -> None:
    net, x = relaxed("D4", "perceptron"), inputs("D4", 20)
    ones = net.ones()
    assert equivariance_error(net, 0 * ones, x) < 1e-13
    values = [equivariance_error(net, share * ones, x) for share in (0.1, 0.3, 1.0)]
    assert 0 < values[0] < values[1] < values[2]
    # By the matrices of the actions, summed by hand.
    with torch.no_grad():
        still = net(x, ones)
        squares = torch.stack(
            [
                (net(moved(net.layout, x, g), ones) - still).square().sum(1).mean()
                for g in range(1, 8)
            ]
        )
        spread = (still - still.mean(0)).square().sum(1).mean()
    assert values[2] == pytest.approx(float((squares.mean() / spread).sqrt()))


def test_what_a_network_does_not_take_is_refused() -> None:
    with pytest.raises(BadInput, match="grey images of an even side"):
        networks.build("convolution", domain("S3"), 0)
    with pytest.raises(BadInput, match="made of digits"):
        domain_of("fashion", group_of("S3"))
    with pytest.raises(UnknownName, match="Did you mean 'perceptron'"):
        networks.build("perception", domain("C4"), 0)
    with pytest.raises(ValueError, match="do not fit"):
        module, _ = built("C4", "perceptron")
        built("D4", "convolution")[1].check(module)


def test_a_network_belongs_to_its_seed_and_leaves_the_generator_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    a, b, c = (
        networks.build("perceptron", domain("C4"), seed)[0].state_dict() for seed in (0, 0, 1)
    )
    assert torch.rand(1) == expected
    assert all(torch.equal(a[name], b[name]) for name in a) and not torch.equal(
        a["first.weight"], c["first.weight"]
    )
