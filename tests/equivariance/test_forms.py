"""The updates of gamma against steps computed by hand, against their continuous limits, and
refusals of bad settings.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lmc_core.equivariance.forms import FORMS, Equality, Fixed, Form, Resilient, State, make_form
from lmc_core.errors import BadInput, UnknownName


def values(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def run(form: Form, steps: int, gradient: Tensor | None = None) -> tuple[Tensor, State]:
    """All gammas of one layer under a constant gradient."""
    state = form.start(values(1.0))
    found = [1.0]
    for _ in range(steps):
        state = form.step(state, values(0.0) if gradient is None else gradient)
        found.append(float(state.gamma))
    return values(*found), state


def test_equality_by_hand() -> None:
    """New gamma 0.8 - 0.1 (0.3 + 0.5 + 2 * 0.8) = 0.56; lambda 0.5 + 0.2 * 0.56 = 0.612."""
    state = Equality(0.1, 0.2, 2.0).step(State(values(0.8), values(0.5), values(0.0)), values(0.3))
    assert float(state.gamma) == pytest.approx(0.56) and float(state.multiplier) == pytest.approx(
        0.612
    )
    plain = Equality(0.1, 0.2).step(State(values(0.8), values(0.5), values(0.0)), values(0.3))
    assert float(plain.gamma) == pytest.approx(0.72) and float(plain.multiplier) == pytest.approx(
        0.644
    )


def test_resilient_by_hand() -> None:
    """First layer: 0.5 - 0.1 * 0.2 = 0.48, shrunk by 0.1 * 0.4 to 0.44; lambda 0.4 + 0.05 (0.44 -
    0.2) = 0.412; u = 0.206.

    Second: -0.5 + 0.02 = -0.48 ... with the opposite gradient the same with signs. Third: shrunk to
    nothing, lambda falls to 0.
    """
    before = State(values(0.5, -0.5, 0.01), values(0.4, 0.4, 0.3), values(0.2, 0.2, 9.0))
    after = Resilient(0.1, 0.05, 2.0).step(before, values(0.2, -0.2, 0.0))
    assert after.gamma.tolist() == pytest.approx([0.44, -0.44, 0.0])
    assert after.multiplier.tolist() == pytest.approx([0.412, 0.412, 0.0])
    assert after.slack.tolist() == pytest.approx([0.206, 0.206, 0.0])


def test_fixed_forms_stay() -> None:
    for start in (0.0, 1.0):
        gammas, state = run(Fixed(start), 5, values(3.0))
        assert float(state.gamma) == start and gammas[1:].unique().tolist() == [start]


@pytest.mark.parametrize(("primal", "dual"), [(0.02, 0.02), (0.05, 0.01), (0.01, 0.1)])
def test_equality_rings_with_its_period_and_keeps_its_radius(primal: float, dual: float) -> None:
    form = Equality(primal, dual)
    gammas, _ = run(form, math.ceil(5.2 * form.period))
    crossings = torch.nonzero(gammas[:-1] * gammas[1:] < 0).flatten().double()
    assert float(crossings.diff().mean()) == pytest.approx(form.period / 2, rel=0.02)
    last = gammas[-math.ceil(form.period) :]
    assert float(last.abs().max()) == pytest.approx(1.0, rel=0.05)


def test_the_augmented_term_damps_and_is_critical_where_it_says() -> None:
    primal, dual = 0.02, 0.02
    critical = Equality(primal, dual).critical
    for factor, swings in ((0.2, True), (1.0, False)):
        gammas, _ = run(Equality(primal, dual, factor * critical), 2000)
        assert float(gammas[-1].abs()) < 1e-3
        below = gammas[gammas.argmin()]
        assert (int((gammas[:-1] * gammas[1:] < -1e-12).sum()) > 1) == swings and below < 0
    # The envelope falls at the rate eta_p c / 2.
    form = Equality(primal, dual, 0.2 * critical)
    gammas, _ = run(form, 1200)
    top = [
        float(
            gammas[
                round(k * form.period * 1.0206) - 20 : round(k * form.period * 1.0206) + 20
            ].max()
        )
        for k in (1, 2)
    ]
    assert math.log(top[0] / top[1]) == pytest.approx(
        form.period * 1.0206 * primal * 0.2 * critical / 2, rel=0.1
    )


def test_equality_multiplier_ends_at_the_force_of_the_data() -> None:
    """With a constant pull dJ/dgamma = -0.7 gamma still goes to 0, and lambda to 0.7: the
    multiplier is the diagnosis.
    """
    gammas, state = run(Equality(0.02, 0.02, 2.0), 3000, values(-0.7))
    assert abs(float(gammas[-1])) < 1e-6 and float(state.multiplier) == pytest.approx(0.7, abs=1e-5)


def test_resilient_rests_where_price_and_force_balance() -> None:
    """J = -0.3 gamma: gamma = u = 0.3 / rho, lambda = 0.3. Without a pull gamma goes to 0."""
    for price in (0.5, 1.0, 4.0):
        gammas, state = run(Resilient(0.05, 0.05, price), 8000, values(-0.3))
        assert float(gammas[-1]) == pytest.approx(0.3 / price, rel=1e-3)
        assert float(state.multiplier) == pytest.approx(0.3, rel=1e-3) and float(
            state.slack
        ) == pytest.approx(0.3 / price, rel=1e-3)
    gammas, _ = run(Resilient(0.05, 0.05, 1.0), 3000)
    assert abs(float(gammas[-1])) < 1e-6


def test_resilient_multiplier_is_never_negative() -> None:
    generator = torch.Generator().manual_seed(0)
    form = Resilient(0.1, 0.1, 0.2)
    state = form.start(torch.ones(4, dtype=torch.float64))
    for _ in range(500):
        state = form.step(state, torch.randn(4, generator=generator, dtype=torch.float64))
        assert float(state.multiplier.min()) >= 0 and float(state.slack.min()) >= 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Resilient(0.1, 0.1, 0.0), "price rho is expected to be above 0; 0 came"),
        (lambda: Resilient(0.1, 0.1, -1.0), "price rho"),
        (lambda: Resilient(0.1, 0.1, math.nan), "price should be a finite number"),
        (lambda: Resilient(0.1, 0.5, 0.2), "dual rate is expected to be at most the price"),
        (lambda: Equality(-0.1, 0.1), "primal rate is expected to be above 0; -0.1 came"),
        (lambda: Equality(0.1, 0.0), "dual rate is expected to be above 0"),
        (lambda: Equality(math.inf, 0.1), "primal_rate should be a finite number"),
        (lambda: Equality(0.1, 0.1, -1.0), "augmented term c is expected to be 0 or more"),
        (lambda: Equality(1.0, 0.5, 2.0), "grow without bound"),
    ],
)
def test_bad_settings(make: object, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        make()  # type: ignore[operator]


def test_the_bound_is_where_steps_begin_to_grow() -> None:
    below, above = Equality(1.0, 0.5, 1.7), 1.8
    gammas, _ = run(below, 400)
    assert float(gammas.abs().max()) < 10
    with pytest.raises(BadInput, match="grow"):
        Equality(1.0, 0.5, above)
    grown = Equality(1.0, 0.5, 0.0)
    object.__setattr__(grown, "augmented", above)  # past the check
    gammas, _ = run(grown, 400)
    assert float(gammas.abs().max()) > 1e3


def test_by_name() -> None:
    assert [type(make_form(name, 0.1, 0.1, 0.0, 1.0)) for name in FORMS] == [
        Fixed,
        Fixed,
        Equality,
        Resilient,
    ]
    assert make_form("free", -1, -1, -1, -1) == Fixed(1.0)
    with pytest.raises(UnknownName, match="Did you mean 'resilient'"):
        make_form("resilent", 0.1, 0.1, 0.0, 1.0)
