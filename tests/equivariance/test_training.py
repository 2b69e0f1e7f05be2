"""Training: one step against one written out, what each form leads to, and what cannot go on."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from lmc_core.equivariance import networks
from lmc_core.equivariance.data import sample
from lmc_core.equivariance.forms import Equality, Fixed, Form, Resilient, State
from lmc_core.equivariance.measures import path, plane, score, score_outputs, strip
from lmc_core.equivariance.relaxed import Relaxed
from lmc_core.equivariance.training import Schedule, train
from lmc_core.errors import BadInput, Cancelled
from tests.equivariance.cases import domain


def nothing(step: int, state: State, gradient: torch.Tensor) -> None:
    pass


def trained(
    form: Form, kind: str = "orbit", steps: int = 200, as_built: bool = False, count: int = 60
) -> tuple[Relaxed, State]:
    net = Relaxed(*networks.build("perceptron", domain("C4"), 0), as_built=as_built)
    state = train(
        net, form, sample("digits", kind, domain("C4"), "train", 0, count), Schedule(steps), nothing
    )
    return net, state


def test_one_step_by_hand() -> None:
    """Plain autograd through W = P(We) + gamma (I - P)(Wn) with P as a dense matrix; then AdamW's
    first step, a sign.
    """
    space = domain("C4")
    module, layout = networks.build("perceptron", space, 0)
    net = Relaxed(module.double(), layout)
    data = sample("digits", "broken", space, "train", 0, 20).to("cpu", torch.float64)
    before = {name: (net.equivariant[name].clone(), net.free[name].clone()) for name in net.free}
    found: list[tuple[State, torch.Tensor]] = []
    rate, decay = 0.01, 0.5
    form = Equality(0.02, 0.03, 1.5)
    train(
        net,
        form,
        data,
        Schedule(1, rate, decay),
        lambda step, state, gradient: found.append((state, gradient)),
    )

    gamma = torch.ones(3, dtype=torch.float64, requires_grad=True)
    leaves, x = {}, data.inputs
    layers = {"first": 0, "second": 1, "head": 2}
    weights = {}
    for name, (equivariant, free) in before.items():
        size = free.numel()
        dense = torch.stack(
            [
                net.projections[name](row.view_as(free)).flatten()
                for row in torch.eye(size, dtype=torch.float64)
            ]
        )
        leaves[name] = equivariant.clone().requires_grad_(True), free.clone().requires_grad_(True)
        e, n = (leaf.flatten() for leaf in leaves[name])
        weights[name] = (dense @ e + gamma[layers[name.split(".")[0]]] * (n - dense @ n)).view_as(
            free
        )
    x = (x @ weights["first.weight"].T + weights["first.bias"]).relu()
    x = (x @ weights["second.weight"].T + weights["second.bias"]).relu()
    loss = cross_entropy(x @ weights["head.weight"].T + weights["head.bias"], data.labels)
    loss.backward()
    assert gamma.grad is not None and torch.allclose(found[1][1], gamma.grad, atol=1e-12)
    stepped = 1 - 0.02 * (gamma.grad + 0 + 1.5)
    assert torch.allclose(found[1][0].gamma, stepped.detach(), atol=1e-12)
    assert torch.allclose(found[1][0].multiplier, 0.03 * stepped.detach(), atol=1e-12)
    for name, (equivariant, free) in leaves.items():
        for leaf, now, then in (
            (equivariant, net.equivariant[name], before[name][0]),
            (free, net.free[name], before[name][1]),
        ):
            gradient = leaf.grad if leaf.grad is not None else torch.zeros_like(leaf)
            expected = then * (1 - rate * decay) - rate * gradient / (gradient.abs() + 1e-8)
            # near zero the direction of Adam's first step is rounding
            clear = gradient.abs() > 1e-6
            assert torch.allclose(now[clear], expected[clear], atol=1e-9), name


def test_a_free_network_is_trained_like_any_other() -> None:
    """Against a plain loop over the module; as two tensors, Adam would give the equivariant part
    steps of its own size.
    """
    data, schedule = sample("digits", "orbit", domain("C4"), "train", 0, 30), Schedule(20)
    module, layout = networks.build("perceptron", domain("C4"), 0)
    net = Relaxed(module, layout, as_built=True)
    state = train(net, Fixed(1.0), data, schedule, nothing)
    optimizer = torch.optim.AdamW(module.parameters(), schedule.rate, weight_decay=schedule.decay)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, schedule.steps)
    for _ in range(schedule.steps):
        optimizer.zero_grad()
        cross_entropy(module(data.inputs), data.labels).backward()
        optimizer.step()
        falling.step()
    with torch.no_grad():
        expected, found = module(data.inputs), net(data.inputs, state.gamma)
    assert torch.allclose(found, expected, atol=1e-3)
    two = Relaxed(*networks.build("perceptron", domain("C4"), 0))
    two.equivariant = {name: tensor.clone() for name, tensor in two.free.items()}
    train(two, Fixed(1.0), data, schedule, nothing)
    with torch.no_grad():
        assert not torch.allclose(two(data.inputs, state.gamma), expected, atol=1e-1)  # the control


def test_forms_lead_where_they_should() -> None:
    data, space = sample("digits", "symmetric", domain("C4"), "validation", 0), domain("C4")
    free, one = trained(Fixed(1.0), as_built=True)
    strict, zero = trained(Fixed(0.0))
    equality, near = trained(Equality(0.05, 0.05, 2.0), steps=300)
    resilient, between = trained(Resilient(0.05, 0.05, 0.2), steps=300)
    assert one.gamma.tolist() == [1, 1, 1] and zero.gamma.tolist() == [0, 0, 0]
    assert float(near.gamma.abs().max()) < 0.01 < float(between.gamma.abs().min()) < 1
    for net in (free, strict, equality, resilient):
        assert space.input.size == 64 and not any(
            tensor.requires_grad for tensor in net.free.values()
        )
    # Projection is harmless only when trained for.
    assert score(free, 0 * one.gamma, data).loss > score(free, one.gamma, data).loss + 0.5
    assert (
        abs(score(equality, 0 * near.gamma, data).loss - score(equality, near.gamma, data).loss)
        < 0.02
    )


def test_equivariant_part_is_trained_alone_where_gamma_is_zero() -> None:
    before = Relaxed(*networks.build("perceptron", domain("C4"), 0))
    after, _ = trained(Fixed(0.0), steps=1)
    # nothing but the decay moves it; the head's bias has no free part at all
    for name, tensor in after.free.items():
        left = 1.0 if after.projections[name].keeps_all else 1 - 0.01 * Schedule().decay
        assert torch.allclose(tensor, before.free[name] * left, atol=1e-7)
    assert not torch.allclose(
        after.equivariant["head.weight"], before.equivariant["head.weight"], atol=1e-3
    )


def test_batches_hold_whole_orbits() -> None:
    from lmc_core.equivariance.training import _Batches

    data = sample("digits", "orbit", domain("C4"), "train", 0, 30)
    batches = _Batches(data, Schedule(batch=40, seed=1))
    inputs, labels = batches.draw()
    assert len(labels) == 40
    rows = {row.numpy().tobytes() for row in inputs}
    for places in domain("C4").input.places:
        assert {row.numpy().tobytes() for row in inputs[:, torch.from_numpy(places)]} == rows
    again, _ = _Batches(data, Schedule(batch=40, seed=1)).draw()
    assert torch.equal(inputs, again) and not torch.equal(inputs, batches.draw()[0])


def test_paths_and_planes_agree_with_single_scores() -> None:
    net, state = trained(Fixed(1.0), steps=30, as_built=True)
    data = sample("digits", "orbit", domain("C4"), "validation", 0, 40)
    scores = path(net, state.gamma, torch.tensor([0.0, 0.5, 1.0]), data)
    assert scores[1].loss == pytest.approx(score(net, 0.5 * state.gamma, data).loss)
    losses = plane(net, state.gamma, (0, 2), torch.tensor([0.0, 1.0]), data)
    assert losses[1, 1] == pytest.approx(scores[2].loss)
    assert losses[0, 1] == pytest.approx(score(net, torch.tensor([0.0, 1.0, 1.0]), data).loss)
    moved, chances = strip(net, state.gamma, data.inputs[:2])
    assert moved.shape == (2, 4, 64) and torch.allclose(chances.sum(-1), torch.ones(2, 4))
    with torch.no_grad():
        assert torch.allclose(
            chances[1, 0], net(data.inputs[1:2], state.gamma).softmax(-1)[0], atol=1e-6
        )
        assert torch.equal(
            moved[:, 2], moved[:, 1][:, torch.from_numpy(domain("C4").input.places[1])]
        )


def test_standard_error_counts_an_orbit_once() -> None:
    data = sample("digits", "orbit", domain("C4"), "validation", 0, 25)
    outputs = torch.randn(100, 10, generator=torch.Generator().manual_seed(0))
    found = score_outputs(outputs, data)
    losses = (
        cross_entropy(outputs, data.labels, reduction="none")
        .double()
        .numpy()
        .reshape(25, 4)
        .mean(1)
    )
    assert found.loss == pytest.approx(losses.mean()) and found.stderr == pytest.approx(
        losses.std(ddof=1) / 5
    )


def test_what_cannot_be_trained() -> None:
    for bad, words in (
        ({"steps": 0}, "1 to 20,000 steps"),
        ({"rate": 0.0}, "learning rate above 0"),
        ({"rate": 2.0}, "learning rate above 0"),
        ({"decay": 100.0}, "weight decay of 0 or more"),
        ({"batch": -1}, "batch of 0"),
    ):
        with pytest.raises(BadInput, match=words):
            Schedule(**bad)  # type: ignore[arg-type]
    net = Relaxed(*networks.build("perceptron", domain("C4"), 0))
    net.free["head.weight"][0, 0] = float("nan")
    with pytest.raises(BadInput, match="not finite after 0 steps"):
        train(
            net,
            Fixed(1.0),
            sample("digits", "orbit", domain("C4"), "train", 0, 10),
            Schedule(3),
            nothing,
        )


def test_a_watcher_may_stop_it() -> None:
    net = Relaxed(*networks.build("perceptron", domain("C4"), 0))

    def watch(step: int, state: State, gradient: torch.Tensor) -> None:
        if step == 2:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        train(
            net,
            Fixed(1.0),
            sample("digits", "orbit", domain("C4"), "train", 0, 10),
            Schedule(5),
            watch,
        )
    assert not any(tensor.requires_grad for tensor in net.free.values())
